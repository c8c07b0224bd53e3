// The console as it is served: built once, and again when its source is newer.
import { execFile } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const DIST = fileURLToPath(new URL('../../console/dist', import.meta.url));
const SOURCES = ['console/*.*', 'console/{pages,parts,public}/**/*.*', 'package-lock.json'];

/** Builds the console when it is not there or older than its source. `npm test` does so before the first test. */
export async function buildConsole(): Promise<void> {
  const built = `${DIST}/index.html`;
  const newestMs = Math.max(...globSync(SOURCES, { cwd: ROOT }).map((file) => statSync(`${ROOT}/${file}`).mtimeMs));
  if (existsSync(built) && statSync(built).mtimeMs > newestMs) return;
  await promisify(execFile)(`${ROOT}/node_modules/.bin/vite`, ['build', '--config', 'console/vite.config.ts'], {
    cwd: ROOT,
  });
}
