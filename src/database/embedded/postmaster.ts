import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunAs } from './binaries.ts';

/** A server process, ours by birth or adopted. */
export type Postmaster = { pid: number; socketDir: string };

/** The lines of postmaster.pid (PostgreSQL's own src/include/utils/pidfile.h) that we read. */
export type PidFile = { pid: number; socketDir: string; status: string };

export function readPidFile(dataDir: string): PidFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  const pid = Number(lines[0]);
  return pid > 0 ? { pid, socketDir: lines[4] ?? '', status: (lines[7] ?? '').trim() } : undefined;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * True when `pid` is a postmaster of exactly this data directory: after a power cut the number in postmaster.pid may
 * belong to any program. The command line is readable for every user, and empty for a zombie.
 */
export function isPostmaster(pid: number, dataDir: string): boolean {
  const line = commandLine(pid);
  return line.includes('postgres') && line.includes(dataDir);
}

function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

/**
 * Tells PostgreSQL that the process named in postmaster.pid is gone, when that number now belongs to another program.
 * The file stays: it names the shared memory by which PostgreSQL itself notices server processes that still run.
 */
export function disownPidFile(dataDir: string): void {
  const path = join(dataDir, 'postmaster.pid');
  const [, ...rest] = readFileSync(path, 'utf8').split('\n');
  // Above any pid_max, so no process can have it.
  writeFileSync(path, ['2147483646', ...rest].join('\n'));
}

/**
 * A short folder for the socket (its whole path may have 107 bytes on Linux, 103 on macOS), closed to other users.
 * The name follows from the data directory, so that open pools find a restarted server again.
 */
export function socketFolder(dataDir: string, runAs: RunAs | undefined): string {
  const base = runAs === undefined && tmpdir().length < 60 ? tmpdir() : '/tmp';
  const owner = runAs?.uid ?? process.getuid?.();
  const folder = join(base, `darkspere-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch {
    const found = lstatSync(folder);
    if (found.isDirectory() && found.uid === owner) return folder;
    // Somebody else made a folder of that name; anyone can, in /tmp.
    return own(mkdtempSync(join(base, 'darkspere-')), runAs);
  }
  return own(folder, runAs);
}

function own(folder: string, runAs: RunAs | undefined): string {
  if (runAs !== undefined) chownSync(folder, runAs.uid, runAs.gid);
  return folder;
}

/** Removes the socket folder unless a server has made its socket there since. */
export function removeSocketFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not empty or gone already.
  }
}

/** Starts a server in its own session: a Ctrl-C in the terminal must not reach it before us. */
export function spawnPostmaster(options: {
  file: string;
  dataDir: string;
  socketDir: string;
  logFile: string;
  runAs: RunAs | undefined;
  settings: Readonly<Record<string, string>>;
}): ChildProcess {
  const { file, dataDir, socketDir, logFile, runAs, settings } = options;
  rotate(logFile);
  const output = openSync(logFile, 'a', 0o600);
  try {
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(file, ['-D', dataDir, '-k', socketDir, ...flags], {
      ...runAs,
      cwd: '/',
      env: { LANG: 'C' },
      detached: true,
      stdio: ['ignore', output, output],
    });
    child.unref();
    return child;
  } finally {
    closeSync(output);
  }
}

const LOG_LIMIT_BYTES = 5 * 1024 * 1024;

function rotate(logFile: string): void {
  if ((statSync(logFile, { throwIfNoEntry: false })?.size ?? 0) > LOG_LIMIT_BYTES) renameSync(logFile, `${logFile}.1`);
}

/**
 * Fast shutdown: open transactions are rolled back, the rest is written. Escalates to immediate (which costs a recovery
 * at the next start) and at last to a kill, so that stopping always ends.
 */
export async function stopPostmaster(pid: number, dataDir: string): Promise<void> {
  for (const [signal, patienceMs] of [
    ['SIGINT', 15_000],
    ['SIGQUIT', 6_000],
    ['SIGKILL', 2_000],
  ] as const) {
    if (!isPostmaster(pid, dataDir)) return;
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const deadline = performance.now() + patienceMs;
    while (performance.now() < deadline) {
      if (!isPostmaster(pid, dataDir)) return;
      await delay(10);
    }
  }
}
