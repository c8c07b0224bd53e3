// Nothing of a test outlives it, also when it is killed. A process beside it holds the end of a pipe: when the pipe breaks it ends
// what the test had started and removes what it had laid down.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

const UNDERTAKER = fileURLToPath(new URL('./undertaker.ts', import.meta.url));

/** What to end: a line each on the pipe. */
export type Heirloom = { readonly pid: number } | { readonly dataDir: string } | { readonly mount: string };

let pipe: Socket | undefined;

/** Ends it when this process is gone. The function it gives says that it has ended already. */
export function endWithUs(what: Heirloom): () => void {
  pipe ??= openPipe();
  pipe.write(`${JSON.stringify({ keep: what })}\n`);
  return () => void pipe?.write(`${JSON.stringify({ drop: what })}\n`);
}

/** The same for a child process, until it has ended. */
export function endChildWithUs(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const ended = endWithUs({ pid: child.pid });
  child.once('exit', ended);
}

function openPipe(): Socket {
  // In a group of its own: whoever kills ours does not mean it.
  const child = spawn(process.execPath, [UNDERTAKER], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  const stdin = child.stdin as unknown as Socket;
  stdin.on('error', () => {});
  stdin.unref();
  return stdin;
}

/** Ends a database server that a killed process left behind and removes its files, wherever it put them. */
export async function removeData(dataDir: string): Promise<void> {
  let home: string | undefined;
  try {
    home = realpathSync(join(dataDir, 'postgres'));
    const pid = Number(readFileSync(join(home, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(pid, 'SIGQUIT');
    await until(() => !isAlive(pid), { what: 'the end of the database server' });
  } catch (error) {
    // No cluster, no server: nothing was left behind.
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  if (home !== undefined) await rm(home, { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

/** Takes a file system away that was mounted for a test, and the folder it was mounted on. */
export async function unmount(folder: string): Promise<void> {
  // Where nothing may be mounted there is nothing to take away, and perhaps no umount.
  await once(spawn('umount', ['-l', folder], { stdio: 'ignore' }), 'exit').catch(() => {});
  await rm(folder, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
