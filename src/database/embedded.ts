import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { DarkspereError, messageOf } from '../errors.ts';
import { type Connection, connectionUrl } from './connection.ts';
import { type Cluster, OWNER, openCluster, startFailed } from './embedded/cluster.ts';
import { endWithUs, type Keeper } from './embedded/keeper.ts';
import { beat, ownedElsewhere } from './embedded/owner-beat.ts';
import {
  disownPidFile,
  isAlive,
  isPostmaster,
  type Postmaster,
  readPidFile,
  removeSocketFolder,
  socketFolder,
  spawnPostmaster,
  stopPostmaster,
} from './embedded/postmaster.ts';

export type Embedded = {
  /** `postgres://user:password@%2Ffolder/darkspere`: the owner of the cluster, over a Unix socket. */
  url: string;
  connection: Connection;
  /** The process id of the server; it changes when a server that died was replaced. */
  readonly pid: number;
  stop(): Promise<void>;
};

export type EmbeddedOptions = {
  /** The `.darkspere` folder; the cluster lives in its `postgres`. */
  dataDir: string;
  log?: (line: string) => void;
  /** Called when the server died and could not be brought back: the program should end. */
  onLost?: (error: unknown) => void;
  /** More server settings, over the ones here. */
  settings?: Readonly<Record<string, string>>;
};

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '200',
  shared_buffers: '256MB',
  effective_cache_size: '1GB',
  max_wal_size: '2GB',
  // The only method of this build is pglz, which takes a fifth of the server's time at full load (bench/README.md).
  wal_compression: 'off',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  jit: 'off',
  huge_pages: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // The statement and the DETAIL of an error can carry a phone number or a text: neither may reach a log.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
};

/** How long a server that refuses to start is tried again: after a kill its children need a moment to go. */
const RETRY_MS = 6_000;
/** Crash recovery replays at most max_wal_size. */
const RECOVERY_MS = 300_000;
/** After a kill -9 of our predecessor its lock is gone as soon as the server has seen the closed socket. */
const LOCK_MS = 1_500;
/** Any constant: the advisory lock that says which copy of Darkspere owns this cluster. */
const OWNER_LOCK = 7_358_001;

/**
 * Starts PostgreSQL for the cluster under `dataDir`, or adopts the healthy server a killed predecessor left running,
 * and keeps it running until `stop()`.
 * Throws database_in_use, database_version or database_start_failed.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const log = options.log ?? (() => {});
  const cluster = await openCluster(resolve(options.dataDir), log);
  const settings = { ...SETTINGS, ...options.settings };
  if (await ownedElsewhere(cluster.home)) throw inUse(cluster, 'in another container or on another machine');
  let stopping = false;
  const keeper = endWithUs();
  let server = await ensureRunning(cluster, settings, log, keeper);
  let lock = await ownCluster(cluster, server, onLockLost).catch((error) => {
    // We have started it, and somebody else was faster to own it.
    if (error instanceof DarkspereError) keeper.letGo();
    throw error;
  });
  keeper.hold(server.pid);
  const connection = connectionTo(cluster, server, 'darkspere');
  const endBeat = beat(cluster.home);
  await ensureDatabase(lock);

  function onLockLost(): void {
    if (stopping) return;
    log('The embedded PostgreSQL went away; starting it again.');
    recover().catch((error) => {
      if (!stopping) options.onLost?.(error);
    });
  }

  async function recover(): Promise<void> {
    keeper.letGo();
    await lock.end({ timeout: 0 });
    const next = await ensureRunning(cluster, settings, log, keeper);
    server = next;
    lock = await ownCluster(cluster, next, onLockLost);
    keeper.hold(next.pid);
    if (stopping) await shutDown();
  }

  async function shutDown(): Promise<void> {
    // The lock is held to the end: the next copy waits for the shutdown instead of adopting a dying server.
    await stopPostmaster(server.pid, cluster.dataDir);
    keeper.letGo();
    endBeat();
    await lock.end({ timeout: 0 });
    removeSocketFolder(server.socketDir);
  }

  return {
    url: connectionUrl(connection),
    connection,
    get pid() {
      return server.pid;
    },
    async stop() {
      stopping = true;
      await shutDown();
    },
  };
}

/**
 * The database of a copy that runs now, for tools beside it; undefined when none runs. Throws database_in_use when the
 * copy is in another container or on another machine, where its socket cannot be reached.
 */
export async function findEmbedded(dataDir: string): Promise<Connection | undefined> {
  const folder = resolve(dataDir);
  if (!existsSync(join(folder, 'postgres'))) return undefined;
  const cluster = await openCluster(folder, () => {});
  if (await ownedElsewhere(cluster.home)) throw inUse(cluster, 'in another container or on another machine');
  const server = await findRunning(cluster);
  return server === undefined ? undefined : connectionTo(cluster, server, 'darkspere');
}

function connectionTo(cluster: Cluster, server: Postmaster, database: string): Connection {
  return { host: server.socketDir, port: 5432, user: OWNER, password: cluster.password, database };
}

/** One connection of the supervisor's own, that nothing recycles. */
function connect(cluster: Cluster, server: Postmaster, onclose: () => void = () => {}): postgres.Sql {
  const { host, port, user, password, database } = connectionTo(cluster, server, 'postgres');
  return postgres({
    host,
    port,
    user,
    password: password ?? '',
    database,
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 5,
    fetch_types: false,
    backoff: () => 0.05,
    onnotice: () => {},
    onclose,
    connection: { application_name: 'darkspere owner' },
  });
}

/** Comes back with a server that accepts connections. */
async function ensureRunning(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  log: (line: string) => void,
  keeper: Keeper,
): Promise<Postmaster> {
  const failures: string[] = [];
  const deadline = performance.now() + RETRY_MS;
  for (;;) {
    const running = await findRunning(cluster);
    if (running !== undefined) return running;
    const started = await start(cluster, settings, keeper);
    if ('pid' in started) return started;
    failures.push(started.failure);
    if (performance.now() > deadline) throw startFailed(failures.at(-1)!);
    if (failures.length === 1) log('The embedded PostgreSQL did not start at once; trying again.');
    await delay(200);
  }
}

/** The server that already runs on this data directory, once it answers; undefined when there is none. */
async function findRunning(cluster: Cluster): Promise<Postmaster | undefined> {
  const deadline = performance.now() + RECOVERY_MS;
  while (performance.now() < deadline) {
    const file = readPidFile(cluster.dataDir);
    if (file === undefined) return undefined;
    if (!isPostmaster(file.pid, cluster.dataDir)) {
      if (isAlive(file.pid)) disownPidFile(cluster.dataDir);
      return undefined;
    }
    if (file.status === 'ready' && (await answers(cluster, file))) return file;
    await delay(20);
  }
  throw startFailed('A server process holds the data directory but does not answer.');
}

async function answers(cluster: Cluster, server: Postmaster): Promise<boolean> {
  const sql = connect(cluster, server);
  try {
    const [row] = await sql<{ dir: string }[]>`select current_setting('data_directory') as dir`;
    return row !== undefined && realpathSync(row.dir) === realpathSync(cluster.dataDir);
  } catch (error) {
    // Wrong password: another cluster listens there, or this one was changed by hand. Waiting will not help.
    if ((error as { code?: string }).code === '28P01') throw startFailed(messageOf(error), error);
    return false;
  } finally {
    await sql.end({ timeout: 0 });
  }
}

async function start(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  keeper: Keeper,
): Promise<Postmaster | { failure: string }> {
  const { dataDir, home, runAs } = cluster;
  const socketDir = socketFolder(dataDir, runAs);
  const logFile = join(home, 'server.log');
  const file = join(cluster.binaries.root, 'bin', 'postgres');
  const child = spawnPostmaster({ file, dataDir, socketDir, logFile, runAs, settings });
  if (child.pid !== undefined) keeper.hold(child.pid);
  let failure: string | undefined;
  let ended = false;
  child.on('error', (error) => {
    failure = `${file}: ${error.message}`;
  });
  // Also called when a server that ran for weeks stops, perhaps without its folder: nothing is read here.
  child.on('exit', () => {
    ended = true;
    keeper.letGo(child.pid);
  });
  const deadline = performance.now() + RECOVERY_MS;
  while (failure === undefined && !ended && performance.now() < deadline) {
    const found = readPidFile(dataDir);
    if (found !== undefined && found.pid === child.pid && found.status === 'ready') return found;
    await delay(5);
  }
  if (ended) failure ??= `The end of ${logFile}:\n${lastLines(logFile)}`;
  return { failure: failure ?? `It is still recovering after ${RECOVERY_MS / 1000} s.` };
}

function lastLines(logFile: string): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
}

/**
 * Takes the lock that makes this process the one owner of the cluster. The connection stays open for life: PostgreSQL
 * gives the lock back the moment we die, and `onclose` tells us the moment the server does.
 */
async function ownCluster(cluster: Cluster, server: Postmaster, onLost: () => void): Promise<postgres.Sql> {
  let held = false;
  const sql = connect(cluster, server, () => {
    if (held) onLost();
  });
  const deadline = performance.now() + LOCK_MS;
  for (;;) {
    const [row] = await sql<{ won: boolean }[]>`select pg_try_advisory_lock(${OWNER_LOCK}) as won`;
    if (row?.won) break;
    if (performance.now() > deadline) {
      await sql.end({ timeout: 0 });
      throw inUse(cluster, 'on this machine');
    }
    await delay(50);
  }
  held = true;
  return sql;
}

function inUse(cluster: Cluster, where: string): DarkspereError {
  return new DarkspereError(
    'database_in_use',
    `${cluster.home} is in use by another copy of Darkspere ${where}. Stop it, or set DARKSPERE_DATA_DIR to another directory.`,
  );
}

async function ensureDatabase(sql: postgres.Sql): Promise<void> {
  const found = await sql`select 1 from pg_database where datname = 'darkspere'`;
  if (found.length === 0) await sql.unsafe('create database darkspere');
}
