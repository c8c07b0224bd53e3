// Installs the dependencies when they are missing or not the ones of package-lock.json.
// Runs under whatever Node the machine has (16 or newer), so nothing here may be newer than that.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants as system, tmpdir } from 'node:os';
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
export async function ensureInstalled({ dev }) {
  if (!needsInstall(root, { dev })) return;
  const lock = takeLock(lockFor(root));
  try {
    // The copy that held the lock may have done the work.
    if (needsInstall(root, { dev })) await install(dev, lock);
  } finally {
    lock.release();
  }
}

async function install(dev, lock) {
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
  const npmChild = spawn(viaNode ? process.execPath : 'npm', viaNode ? [npm, ...flags] : flags, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // npm takes its time to end: told to stop, it first takes back what it had begun, half a minute on a slow machine. Another one
  // must not begin before, not even when we are gone.
  if (npmChild.pid !== undefined) lock.holdFor(npmChild.pid);
  const { said, status, stoppedBy } = await endOf(npmChild);
  if (stoppedBy !== null) {
    lock.release();
    process.exit(128 + system.signals[stoppedBy]);
  }
  if (status === 0) return;
  process.stderr.write(
    `${said}\nThe dependencies could not be installed. Is npm's registry within reach from here? Run "npm ci --ignore-scripts" in ${root} to see why.\n`,
  );
  process.exitCode = 1;
  throw new InstallFailed();
}

/** What npm said and how it ended; a signal to us is handed on to it, and its end awaited. */
function endOf(child) {
  let said = '';
  let stoppedBy = null;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
  }
  const listeners = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
    const onSignal = () => {
      // Whoever asks twice does not want to wait: the lock is npm's as well.
      if (stoppedBy !== null) process.exit(128 + system.signals[signal]);
      stoppedBy = signal;
      process.stderr.write(
        'Stopping as soon as npm has taken back what it had begun (once more to leave it alone with that) …\n',
      );
      // A terminal sends Ctrl-C to npm as well.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    process.on(signal, onSignal);
    return [signal, onSignal];
  });
  return new Promise((resolve) => {
    const end = (status, reason) => {
      for (const [signal, onSignal] of listeners) process.off(signal, onSignal);
      resolve({ said: said.trim() || reason, status, stoppedBy });
    };
    child.on('error', (error) => end(null, String(error)));
    child.on('close', (code, signal) => end(code, `npm ended with ${code ?? signal}`));
  });
}

export class InstallFailed extends Error {}

/** One install at a time per checkout. */
function lockFor(folder) {
  return join(tmpdir(), `darkspere-install-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`);
}

const LOOK_MS = 200;

/** Waits for the lock; one whose holders are dead does not count. It is held for this process, and for those that it names. */
function takeLock(lock) {
  const holders = join(lock, 'pid');
  let pidless = 0;
  let looks = 0;
  for (;;) {
    try {
      mkdirSync(lock, { mode: 0o700 });
      writeFileSync(holders, String(process.pid));
      return {
        holdFor: (pid) => writeFileSync(holders, `${process.pid} ${pid}`),
        release: () => rmSync(lock, { recursive: true, force: true }),
      };
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const pids = existsSync(holders)
      ? readFileSync(holders, 'utf8')
          .split(' ')
          .map(Number)
          .filter((pid) => pid > 0)
      : [];
    // The holder writes its id right after making the folder; two seconds without one is a holder that died there.
    pidless = pids.length > 0 ? 0 : pidless + 1;
    if ((pids.length > 0 && !pids.some(isAlive)) || pidless > 10) {
      rmSync(lock, { recursive: true, force: true });
      continue;
    }
    looks += 1;
    if (looks === 5) {
      process.stderr.write(
        `Waiting for another installation here (process ${pids.join(', ') || 'not known'}; if it is none, remove ${lock}) …\n`,
      );
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
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
