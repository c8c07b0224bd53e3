import { Socket } from 'node:net';
import postgres from 'postgres';
import { DarkspereError, messageOf } from '../errors.ts';
import { ARRAY_TYPES } from './array-types.ts';
import { type Connection, parseConnection } from './connection.ts';
import { type Dial, dialler, KEEP_ALIVE_MS } from './dial.ts';
import { isOutage } from './faults.ts';
import { withoutHoles } from './whole-results.ts';

/** What every query goes through. int8 is a number here: counters and micro-dollars stay far below 2^53. */
export type Sql = postgres.Sql<{ int8: number }>;
/** The same inside a transaction. */
export type Tx = postgres.TransactionSql<{ int8: number }>;

export type Role = 'darkspere_web' | 'darkspere_worker' | 'darkspere_admin';

export type Pools = {
  web: Sql;
  /** What operators look at, with the rights of `web`: a few connections of its own, so that no search keeps a text waiting. */
  console: Sql;
  worker: Sql;
  admin: Sql;
  /** Throws database_unreachable unless each of them can work. */
  check(): Promise<void>;
  /** Waits for running queries for up to five seconds, then closes every connection. */
  close(): Promise<void>;
};

/** Connections per role, at most: they are opened when they are needed. */
export type PoolSizes = { web: number; worker: number; admin: number };

/** Opened when somebody looks. */
const CONSOLE_CONNECTIONS = 3;
/**
 * Every question of the console is about few rows that an index leads to. So their plans are made once for each connection (with
 * a partition for each month that takes longer than asking), and lead along indexes whatever the tables' sizes were then.
 */
const CONSOLE_PLANS = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
};

type Limits = { statementMs: number; idleInTransactionMs: number; connectSeconds: number };

/**
 * Makes the first message of a session so long that the library writes it at once. When a socket closes over bytes that it was
 * about to write at the end of the event loop's turn, it takes that write for scheduled for ever, and short messages wait with
 * it: seconds in which a connection that is there cannot be used. (postgres 3.4.9; what it had kept is cut off in dial.ts.)
 */
const PADDING = ' '.repeat(1024);

/** Where functions of the release before this one stay for its processes, which may still run (see migrate.ts). */
export const RETIRED = 'retired';

/** What the way to and from the server may add to a statement. */
const ANSWER_MS = 1_000;

const LIMITS: Record<Role, Limits> = {
  // A webhook must be refused within a second when its text cannot be stored.
  darkspere_web: { statementMs: 5_000, idleInTransactionMs: 5_000, connectSeconds: 0.9 },
  darkspere_worker: { statementMs: 30_000, idleInTransactionMs: 10_000, connectSeconds: 3 },
  darkspere_admin: { statementMs: 300_000, idleInTransactionMs: 60_000, connectSeconds: 3 },
};

/**
 * Opens the three pools, each limited to the rights of its role from its first byte. One login serves all three: it
 * must be a member of the roles, as `migrate` makes it.
 * Throws database_unreachable.
 */
export async function openPools(connection: Connection | string, sizes: PoolSizes): Promise<Pools> {
  const pools = preparePools(connection, sizes);
  try {
    await pools.check();
  } catch (error) {
    await pools.close();
    throw error;
  }
  return pools;
}

/** The same without looking whether there is a server. */
export function preparePools(connection: Connection | string, sizes: PoolSizes): Pools {
  const at = typeof connection === 'string' ? parseConnection(connection) : connection;
  const web = openSql(at, { role: 'darkspere_web', max: sizes.web });
  const worker = openSql(at, { role: 'darkspere_worker', max: sizes.worker });
  const admin = openSql(at, { role: 'darkspere_admin', max: sizes.admin });
  const all = [web, worker, admin];
  const console = openSql(at, { role: 'darkspere_web', max: CONSOLE_CONNECTIONS, isConsole: true });
  return {
    web,
    console,
    worker,
    admin,
    async check() {
      await Promise.all(all.map((sql) => firstAnswer(at, sql))).catch((error) => {
        throw unreachable(at, error);
      });
    },
    async close() {
      await Promise.all([...all, console].map((sql) => sql.end({ timeout: 5 })));
    },
  };
}

/** The first host that answers may be a standby: the pool learns that from its first connection, and goes to the next one. */
export async function firstAnswer(connection: Connection, sql: Sql): Promise<void> {
  for (let left = connection.others?.length ?? 0; ; left--) {
    try {
      await sql`select 1`;
      return;
    } catch (error) {
      if (left === 0 || !isOutage(error)) throw error;
    }
  }
}

/** The operator's error for a server that cannot be used, without the credentials. */
export function unreachable({ host, port, database }: Connection, cause: unknown): DarkspereError {
  return new DarkspereError('database_unreachable', `PostgreSQL at ${host}:${port}/${database}: ${messageOf(cause)}`, {
    cause,
  });
}

/**
 * One pool with our conventions. Without a role it acts as the login itself, which only migrations and the tools of an
 * operator need.
 */
export function openSql(
  connection: Connection,
  options: { role?: Role; max: number; silenceMs?: number; isConsole?: boolean },
): Sql {
  const { host, port, user, password, database } = connection;
  const { statementMs, idleInTransactionMs, connectSeconds } = LIMITS[options.role ?? 'darkspere_admin'];
  const dial = dialler(connection, {
    connectMs: connectSeconds * 1000,
    silenceMs: options.silenceMs ?? statementMs + ANSWER_MS,
  });
  const sql: Sql = postgres({
    host,
    port,
    // Not in the library's types: it speaks over what this gives.
    ...{ socket: () => socketFor(dial) },
    user,
    password: password ?? '',
    database,
    max: options.max,
    prepare: true,
    // Not in the library's types. A search that is cancelled must not take along what was sent behind it.
    ...(options.isConsole ? { max_pipeline: 0 } : {}),
    fetch_types: false,
    keep_alive: KEEP_ALIVE_MS / 1_000,
    connect_timeout: connectSeconds,
    // The default waits up to 20 s between tries; a database that comes back is wanted at once.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 0.5),
    onnotice: () => {},
    // A session lock must live as long as its pool; without a role this is a migration.
    ...(options.role === undefined ? { max_lifetime: null, idle_timeout: 0 } : {}),
    connection: {
      application_name: options.isConsole ? 'darkspere_console' : (options.role ?? 'darkspere'),
      options: PADDING,
      TimeZone: 'UTC',
      search_path: `public, ${RETIRED}`,
      ...(options.role === undefined
        ? {}
        : {
            role: options.role,
            statement_timeout: statementMs,
            idle_in_transaction_session_timeout: idleInTransactionMs,
          }),
      ...(options.isConsole ? CONSOLE_PLANS : {}),
    },
    types: { ...ARRAY_TYPES, int8: { to: 20, from: [20], serialize: String, parse: safeInteger } },
  });
  return withoutHoles(sql);
}

/** The library cannot take a rejection, but a socket that breaks. */
async function socketFor(dial: Dial): Promise<Socket> {
  try {
    return await dial();
  } catch (error) {
    return new BrokenSocket(error as Error);
  }
}

/**
 * Fails at the first thing that the library does with it (keep_alive must be set): had it begun to write, it would go on with
 * those bytes on its next socket.
 */
class BrokenSocket extends Socket {
  private readonly reason: Error;

  constructor(reason: Error) {
    super();
    this.reason = reason;
    setImmediate(() => this.destroy(reason));
  }

  override setKeepAlive(): never {
    throw this.reason;
  }
}

/** Hears no more from now on. Nobody waits for the database to know: it may be silent, and forgets with the connection. */
export function stopListening(listening: postgres.ListenMeta): void {
  listening.unlisten().catch(() => {});
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('An int8 from the database does not fit a number.');
  return value;
}
