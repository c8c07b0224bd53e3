import { readFileSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

// The pid file and the advisory lock protect a cluster among processes that see each other. Two containers on one volume
// do not: to each, the other's server looks dead, and a second server on the same files would ruin them. So the owner
// also keeps touching a file that names where it runs.

const BEAT_MS = 1_000;
/** A beat that is missed for this long is an owner that is gone. */
const WATCH_MS = 4_000;

const beatFile = (home: string) => join(home, 'owner');

/** Where this process runs: process ids and sockets mean the same thing only within one such place. */
export function place(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}\n`;
  } catch {
    return `${hostname()}\n`;
  }
}

/** True when an owner in another container or on another machine is alive. Takes four seconds to say no to a dead one. */
export async function ownedElsewhere(home: string): Promise<boolean> {
  const path = beatFile(home);
  let owner: string;
  try {
    owner = readFileSync(path, 'utf8');
  } catch {
    return false;
  }
  if (owner === place()) return false;
  const seen = touchedAt(path);
  const deadline = performance.now() + WATCH_MS;
  while (performance.now() < deadline) {
    await delay(50);
    const now = touchedAt(path);
    // Removed: its owner has just stopped.
    if (now === undefined) return false;
    if (now !== seen) return true;
  }
  return false;
}

function touchedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/** Begins to beat; the function it returns ends it and takes the file away. */
export function beat(home: string): () => void {
  const path = beatFile(home);
  writeFileSync(path, place());
  const timer = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Somebody removed the folder; the server will notice on its own.
    }
  }, BEAT_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    rmSync(path, { force: true });
  };
}
