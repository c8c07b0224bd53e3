// Builds the console into console/dist: before `npm start` when its sources changed, and by hand with `npm run console`.
// The build is made beside the old one and renamed into its place: whoever interrupts it, or starts a second one at the same
// time, leaves a whole console behind, the old or the new. When it fails the program starts all the same, with what there is.
import { existsSync } from 'node:fs';
import { glob, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { messageOf } from '../src/errors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'console');
const dist = join(folder, 'dist');
const BUILD = '.build-';
const COMPRESSIBLE = /\.(?:js|css|svg|json|txt|webmanifest)$/;
/** Smaller files gain nothing. */
const MIN_BYTES = 1_024;

const { consoleHash } = (await import(new URL('../bin/console.mjs', import.meta.url).href)) as {
  consoleHash(root: string): string;
};

if (import.meta.main) process.exitCode = await main();

async function main(): Promise<number> {
  const startedMs = performance.now();
  const seconds = () => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  process.stderr.write('Building the console (its sources changed) …\n');
  try {
    await build();
    process.stderr.write(`The console is built (${seconds()}).\n`);
    return 0;
  } catch (error) {
    const rest = existsSync(join(dist, 'index.html')) ? 'The one before is served.' : 'Darkspere starts without it.';
    process.stderr.write(`The console could not be built (${seconds()}). ${rest} Why:\n${messageOf(error)}\n`);
    return 1;
  }
}

async function build(): Promise<void> {
  // Before the first file is read: what is changed meanwhile is built by the next start.
  const hash = consoleHash(root);
  await removeAbandoned();
  const fresh = join(folder, `${BUILD}${process.pid}`);
  try {
    const vite = await import('vite');
    await vite.build({
      configFile: join(folder, 'vite.config.ts'),
      logLevel: 'warn',
      build: { outDir: fresh, emptyOutDir: true },
    });
    await compress(fresh);
    await writeFile(join(fresh, '.built'), `${hash}\n`);
    await replace(fresh);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Builds that were interrupted leave their folder; a living process may still be at its own. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(BUILD) && !isAlive(Number(/^\.build-(\d+)/.exec(name)?.[1])))
      await rm(join(folder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Puts a .br and a .gz beside each file that they make smaller, as strong as it gets: it is done once. */
async function compress(build: string): Promise<void> {
  const brotli = promisify(brotliCompress);
  const zip = promisify(gzip);
  for await (const name of glob('**/*', { cwd: build })) {
    if (!COMPRESSIBLE.test(name)) continue;
    const path = join(build, name);
    const bytes = await readFile(path);
    if (bytes.length < MIN_BYTES) continue;
    const size = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    await writeFile(`${path}.br`, await brotli(bytes, { params: size }));
    await writeFile(`${path}.gz`, await zip(bytes, { level: 9 }));
  }
}

/** Renames the build into its place. Somebody else may do the same at this moment: then theirs is moved away in turn. */
async function replace(fresh: string): Promise<void> {
  const old = `${fresh}-old`;
  for (let tries = 0; ; tries++) {
    await rm(old, { recursive: true, force: true });
    await rename(dist, old).catch(ignore('ENOENT'));
    try {
      await rename(fresh, dist);
      break;
    } catch (error) {
      if (tries > 20 || !['ENOTEMPTY', 'EEXIST', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) {
        await rename(old, dist).catch(() => {});
        throw error;
      }
    }
  }
  await rm(old, { recursive: true, force: true });
}

function ignore(code: string) {
  return (error: NodeJS.ErrnoException): void => {
    if (error.code !== code) throw error;
  };
}
