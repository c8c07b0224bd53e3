// Installs the dependencies when they are missing or not the ones of package-lock.json.
// Runs under whatever Node the machine has (16 or newer), so nothing here may be newer than that.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * True when node_modules is not what package-lock.json says. npm writes node_modules/.package-lock.json as its last
 * step, so an install that was interrupted has none, and one made by hand or for production counts as well.
 */
export function needsInstall(folder, { dev }) {
  const wanted = readLock(join(folder, 'package-lock.json'));
  // Installed as a package of somebody else: its dependencies are theirs to install.
  if (wanted === undefined) return false;
  const present = readLock(join(folder, 'node_modules', '.package-lock.json'));
  if (present === undefined) return true;
  return Object.entries(wanted).some(([path, entry]) => {
    if (path === '') return false;
    const found = present[path];
    // A package of this repository.
    if (entry.link) return found === undefined;
    if (found === undefined) return !entry.optional && !entry.devOptional && !entry.peer && (dev || !entry.dev);
    return found.version !== entry.version;
  });
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Installs when needed; ends the program with npm's own words when npm fails. */
export function ensureInstalled({ dev }) {
  if (!needsInstall(root, { dev })) return;
  const release = takeLock();
  try {
    // The copy that held the lock may have done the work.
    if (needsInstall(root, { dev })) install(dev);
  } finally {
    release();
  }
}

function install(dev) {
  const first = !existsSync(join(root, 'node_modules'));
  const why = first ? 'first run, about half a minute' : 'the lockfile changed';
  process.stderr.write(`Installing dependencies (${why}) …\n`);
  const npm = process.env.npm_execpath;
  const viaNode = npm !== undefined && /npm-cli\.c?js$/.test(npm) && existsSync(npm);
  const flags = [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    dev ? '--include=dev' : '--omit=dev',
  ];
  const result = spawnSync(viaNode ? process.execPath : 'npm', viaNode ? [npm, ...flags] : flags, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status === 0) return;
  const said =
    `${result.stdout ?? ''}${result.stderr ?? ''}`.trim() ||
    String(result.error ?? `npm ended with ${result.status ?? result.signal}`);
  process.stderr.write(
    `${said}\nThe dependencies could not be installed. Is npm's registry within reach from here? Run "npm ci --ignore-scripts" in ${root} to see why.\n`,
  );
  process.exitCode = 1;
  throw new InstallFailed();
}

export class InstallFailed extends Error {}

/** One install at a time per checkout; a lock whose holder is dead does not count. */
function takeLock() {
  const lock = join(tmpdir(), `darkspere-install-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`);
  const holder = join(lock, 'pid');
  let pidless = 0;
  for (;;) {
    try {
      mkdirSync(lock, { mode: 0o700 });
      writeFileSync(holder, String(process.pid));
      return () => rmSync(lock, { recursive: true, force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const pid = existsSync(holder) ? Number(readFileSync(holder, 'utf8')) : 0;
    // The holder writes its id right after making the folder; two seconds without one is a holder that died there.
    pidless = pid > 0 ? 0 : pidless + 1;
    if ((pid > 0 && !isAlive(pid)) || pidless > 10) rmSync(lock, { recursive: true, force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
