import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DarkspereError } from '../../errors.ts';
import { type Binaries, findBinaries, type RunAs, reachable, sharedPlace } from './binaries.ts';
import { isAlive } from './postmaster.ts';

export const OWNER = 'darkspere';

/** One cluster on disk: `home` holds data/, password and server.log, and appears complete or not at all. */
export type Cluster = {
  home: string;
  dataDir: string;
  password: string;
  binaries: Binaries;
  runAs: RunAs | undefined;
};

/** Opens the cluster of `.darkspere`, making it on the first start (about half a second). */
export async function openCluster(dataDir: string, log: (line: string) => void): Promise<Cluster> {
  const link = join(dataDir, 'postgres');
  if (!existsSync(link)) {
    log('Preparing the embedded PostgreSQL (first start) …');
    await createCluster(dataDir, link);
  }
  const home = realpathSync(link);
  const version = read(join(home, 'data', 'PG_VERSION'), home).trim();
  const runAs = userFor(home);
  const binaries = findBinaries(runAs);
  if (version !== binaries.major) {
    throw new DarkspereError(
      'database_version',
      `${home} holds a PostgreSQL ${version} cluster and this release runs PostgreSQL ${binaries.major}. Start the release that made it and take a backup, or move ${dataDir} away to begin anew.`,
    );
  }
  return { home, dataDir: join(home, 'data'), password: read(join(home, 'password'), home).trim(), binaries, runAs };
}

function read(path: string, home: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new DarkspereError(
      'database_start_failed',
      `${home} is not a cluster that this user can open (${(cause as NodeJS.ErrnoException).code} at ${path}). Use the user that made it, or another DARKSPERE_DATA_DIR.`,
      { cause },
    );
  }
}

/** Root hands PostgreSQL to the user that owns the cluster; any other user runs it as itself. */
function userFor(home: string): RunAs | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = statSync(join(home, 'data'));
  return uid === 0 ? unprivilegedUser() : { uid, gid };
}

/** initdb looks its user up, so an id without an account will not do; `nobody` exists everywhere. */
function unprivilegedUser(): RunAs {
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find((fields) => fields[0] === name);
    // macOS writes nobody's id as -2.
    if (account) return { uid: Number(account[2]) >>> 0, gid: Number(account[3]) >>> 0 };
  }
  throw new DarkspereError(
    'database_start_failed',
    'PostgreSQL cannot run as root, and /etc/passwd has neither a user postgres nor nobody. Run Darkspere as an ordinary user, or set DATABASE_URL.',
  );
}

/**
 * Everything is made in a staging folder and renamed: a start that is killed half way, or two first starts at once,
 * leave one whole cluster or none.
 */
async function createCluster(dataDir: string, link: string): Promise<void> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const runAs = process.getuid?.() === 0 ? unprivilegedUser() : undefined;
  // Others may pass through to the cluster, which has its own lock; they cannot list.
  if (runAs !== undefined) chmodSync(dataDir, statSync(dataDir).mode | 0o011);
  const here = reachable(realpathSync(dataDir), runAs);
  const place = here ? realpathSync(dataDir) : sharedPlace();
  sweepStaging(place);
  const staging = mkdtempSync(join(place, `.new-${process.pid}-`));
  try {
    await initialise(staging, findBinaries(runAs), runAs);
    if (here) renameSync(staging, link);
    else linkFrom(link, staging, place);
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    // Another copy made it first; its cluster is as good as ours.
    if (!existsSync(link)) throw error;
  }
}

/**
 * The name is new each time: removing `.darkspere` means beginning anew, and a `.darkspere` that was moved keeps its
 * cluster. belongs-to tells a person who tidies up which clusters are still wanted.
 */
function linkFrom(link: string, staging: string, place: string): void {
  writeFileSync(join(staging, 'belongs-to'), `${link}\n`);
  const home = join(place, `cluster-${randomBytes(6).toString('hex')}`);
  renameSync(staging, home);
  try {
    symlinkSync(home, link);
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

/** Removes what an interrupted first start left behind. */
function sweepStaging(place: string): void {
  for (const name of readdirSync(place)) {
    const pid = /^\.new-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    try {
      rmSync(join(place, name), { recursive: true, force: true });
    } catch {
      // Its initdb may still be writing; the next start finds it again.
    }
  }
}

async function initialise(staging: string, binaries: Binaries, runAs: RunAs | undefined): Promise<void> {
  const passwordFile = join(staging, 'password');
  const dataDir = join(staging, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  writeFileSync(passwordFile, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
  if (runAs !== undefined) {
    for (const path of [staging, dataDir, passwordFile]) chownSync(path, runAs.uid, runAs.gid);
  }
  const settings = [
    ['--pgdata', dataDir],
    ['--username', OWNER],
    ['--pwfile', passwordFile],
    ['--auth', 'scram-sha-256'],
    ['--encoding', 'UTF8'],
    // The builtin provider needs no locale of the machine, and its order never changes under an index.
    ['--locale-provider', 'builtin'],
    ['--builtin-locale', 'C.UTF-8'],
    ['--locale', 'C'],
    // The password is 192 random bits: stretching it would only make each connection slower.
    ['--set', 'scram_iterations=256'],
  ];
  await run(join(binaries.root, 'bin', 'initdb'), [...settings.flat(), '--no-instructions'], runAs);
}

function run(file: string, args: string[], runAs: RunAs | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(file, args, { ...runAs, cwd: '/', env: { LANG: 'C' }, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
  });
  child.on('error', (cause) => reject(startFailed(`${file} could not be started: ${cause.message}`, cause)));
  child.on('close', (code, signal) => {
    if (code === 0) resolve();
    else reject(startFailed(`initdb ended with ${code ?? signal}: ${errors.trim().slice(-1000)}`));
  });
  return promise;
}

/** The error of a PostgreSQL that does not come up; `detail` says why, in its own words. */
export function startFailed(detail: string, cause?: unknown): DarkspereError {
  return new DarkspereError('database_start_failed', `The embedded PostgreSQL did not start. ${detail}`, { cause });
}
