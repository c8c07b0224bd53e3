// The console as it is served: built as `npm start` builds it, when its source changed.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const DIST = fileURLToPath(new URL('../../console/dist', import.meta.url));

const { consoleIsStale } = (await import(new URL('../../bin/console.mjs', import.meta.url).href)) as {
  consoleIsStale(root: string): boolean;
};

/** `npm test` does it before the first test; a file that is run by itself builds for itself. */
export async function buildConsole(): Promise<void> {
  if (!consoleIsStale(ROOT)) return;
  await promisify(execFile)(process.execPath, ['scripts/console.ts'], { cwd: ROOT });
}
