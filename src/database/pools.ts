import type { PoolConfig } from 'pg';
import postgres from 'postgres';
import { DarkspereError, messageOf } from '../errors.ts';
import { ARRAY_TYPES } from './array-types.ts';
import { type Connection, parseConnection } from './connection.ts';

/** What every query goes through. int8 is a number here: counters and micro-dollars stay far below 2^53. */
export type Sql = postgres.Sql<{ int8: number }>;
/** The same inside a transaction. */
export type Tx = postgres.TransactionSql<{ int8: number }>;

export type Role = 'darkspere_web' | 'darkspere_worker' | 'darkspere_admin';

export type Pools = {
  web: Sql;
  worker: Sql;
  admin: Sql;
  /** Throws database_unreachable unless each of them can work. */
  check(): Promise<void>;
  /** Waits for running queries for up to five seconds, then closes every connection. */
  close(): Promise<void>;
};

/** Connections per role; a process that does not play a part gives it 1. */
export type PoolSizes = { web: number; worker: number; admin: number };

type Limits = { statementMs: number; idleInTransactionMs: number; connectSeconds: number };

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
  return {
    web,
    worker,
    admin,
    async check() {
      await Promise.all(all.map((sql) => sql`select 1`)).catch((error) => {
        throw unreachable(at, error);
      });
    },
    async close() {
      await Promise.all(all.map((sql) => sql.end({ timeout: 5 })));
    },
  };
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
export function openSql(connection: Connection, options: { role?: Role; max: number }): Sql {
  const { host, port, user, password, database, tls } = connection;
  const { statementMs, idleInTransactionMs, connectSeconds } = LIMITS[options.role ?? 'darkspere_admin'];
  return postgres({
    host,
    port,
    user,
    password: password ?? '',
    database,
    ssl: tls ?? false,
    max: options.max,
    prepare: true,
    fetch_types: false,
    connect_timeout: connectSeconds,
    // The default waits up to 20 s between tries; a database that comes back is wanted at once.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 0.5),
    onnotice: () => {},
    // A session lock must live as long as its pool; without a role this is a migration.
    ...(options.role === undefined ? { max_lifetime: null, idle_timeout: 0 } : {}),
    connection: {
      application_name: options.role ?? 'darkspere',
      TimeZone: 'UTC',
      ...(options.role === undefined
        ? {}
        : {
            role: options.role,
            statement_timeout: statementMs,
            idle_in_transaction_session_timeout: idleInTransactionMs,
          }),
    },
    types: { ...ARRAY_TYPES, int8: { to: 20, from: [20], serialize: String, parse: safeInteger } },
  });
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('An int8 from the database does not fit a number.');
  return value;
}

/** The same connection for the `pg` pool that graphile-worker runs on. */
export function pgConfig(connection: Connection, role?: Role): PoolConfig {
  const { host, port, user, password, database, tls } = connection;
  return {
    host,
    port,
    user,
    ...(password === undefined ? {} : { password }),
    database,
    ssl: tls ?? false,
    application_name: role ?? 'darkspere',
    connectionTimeoutMillis: 3_000,
    options: role === undefined ? '-c TimeZone=UTC' : `-c TimeZone=UTC -c role=${role}`,
  };
}
