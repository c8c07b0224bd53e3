// Who drains what. Each process has folders of its own, `<folder>@<owner>`, and keeps touching `<owner>.owner`, which says
// where it runs. A folder whose owner is gone is adopted by renaming it: that succeeds for one process only.
//
// Being gone is a guess, and a wrong one does no harm. Whoever writes checks after every write that the file still has its
// name, and acknowledges nothing otherwise; whoever adopts reads the files after the rename, so it sees all that was
// acknowledged. Two that drain the same file do the same things in the same order, and receipts make them count once.
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { place } from '../../database/embedded/owner-beat.ts';
import { newId } from '../../ids.ts';
import { syncFolder } from './journal.ts';

export type Ownership = {
  /** Our folder to write in; a new one when the last one is not ours any more. */
  folder(renew: boolean): Promise<string>;
  /** The folders that the dead have left. `undecided`: others may be dead too, which takes some seconds to say. */
  find(): Promise<{ left: string[]; undecided: boolean }>;
  /** Takes such a folder over and says where it is now; null when somebody else was faster. */
  take(folder: string): Promise<string | null>;
  /** What is not empty is left to others. */
  close(): Promise<void>;
};

const BEAT_MS = 1_000;
/** A beat that is missed for this long is an owner that is gone. */
const SILENT_MS = 5_000;
const FOLDER = /^([\w-]+)@([\w-]+)$/;
const BEAT_FILE = /^([\w-]+)\.owner$/;

type Watched = { readonly touchedMs: number; readonly sinceMs: number; readonly wasSeenAlive: boolean };

/** Throws what the file system says when the directory cannot be used. */
export async function openOwnership(directory: string): Promise<Ownership> {
  const owner = newId();
  const watched = new Map<string, Watched>();
  let current: string | null = null;

  await mkdir(directory, { recursive: true, mode: 0o700 });
  const beatFile = (of: string) => join(directory, `${of}.owner`);
  const sign = () => writeFile(beatFile(owner), `${process.pid} ${place()}`, { mode: 0o600 });
  await sign();
  await syncFolder(directory);
  /** One at a time: on a disk that hangs they would take every thread there is. */
  let beating: Promise<void> | null = null;
  const timer = setInterval(() => {
    beating ??= beat(beatFile(owner), sign).finally(() => {
      beating = null;
    });
  }, BEAT_MS);
  timer.unref();

  /** `alive` and `dead` are what was seen; `unknown` until a beat, or the lack of it, was watched for long enough. */
  async function look(other: string): Promise<'alive' | 'dead' | 'unknown'> {
    const text = await readFile(beatFile(other), 'utf8').catch(() => null);
    if (text === null) return 'dead';
    const [, pid = '', where = ''] = /^(\d+) (.*)$/s.exec(text) ?? [];
    if (where === place() && !isRunning(Number(pid))) return 'dead';
    const touchedMs = (await stat(beatFile(other)).catch(() => null))?.mtimeMs ?? 0;
    const before = watched.get(other);
    const nowMs = performance.now();
    if (before === undefined || before.touchedMs !== touchedMs) {
      watched.set(other, { touchedMs, sinceMs: nowMs, wasSeenAlive: before !== undefined });
    } else if (nowMs - before.sinceMs > SILENT_MS) {
      return 'dead';
    }
    return watched.get(other)!.wasSeenAlive ? 'alive' : 'unknown';
  }

  return {
    async folder(renew) {
      if (current === null || renew) {
        const path = join(directory, `${newId()}@${owner}`);
        await mkdir(path, { recursive: true, mode: 0o700 });
        await syncFolder(directory);
        current = path;
      }
      return current;
    },
    async find() {
      const left: string[] = [];
      let undecided = false;
      const entries = (await readdir(directory)).sort();
      for (const entry of entries) {
        const [, , from = owner] = FOLDER.exec(entry) ?? [];
        if (from === owner) continue;
        const state = await look(from);
        if (state === 'unknown') undecided = true;
        if (state === 'dead') left.push(join(directory, entry));
      }
      for (const [, other] of entries.map((entry) => BEAT_FILE.exec(entry) ?? [])) {
        if (other === undefined || other === owner || (await look(other)) !== 'dead') continue;
        watched.delete(other);
        // A folder without one belongs to the dead too.
        await rm(beatFile(other), { force: true }).catch(() => {});
      }
      return { left, undecided };
    },
    async take(folder) {
      const path = join(directory, `${basename(folder).split('@')[0]}@${owner}`);
      try {
        await rename(folder, path);
        return path;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    async close() {
      clearInterval(timer);
      await beating;
      for (const name of await readdir(directory).catch(() => [])) {
        // Fails when there is something in it, as it should.
        if (FOLDER.exec(name)?.[2] === owner) await rmdir(join(directory, name)).catch(() => {});
      }
      await rm(beatFile(owner), { force: true });
    },
  };
}

async function beat(path: string, sign: () => Promise<void>): Promise<void> {
  const now = new Date();
  // Not there: somebody took us for dead. When it cannot be made either the directory is gone, and the next write says so.
  await utimes(path, now, now)
    .catch(sign)
    .catch(() => {});
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal, but there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
