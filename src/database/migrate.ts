import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Logger, runMigrations } from 'graphile-worker';
import { DarkspereError } from '../errors.ts';
import { type Connection, parseConnection } from './connection.ts';
import { openJobPool } from './job-pool.ts';
import { buildIndexes } from './online-indexes.ts';
import { firstAnswer, openSql, RETIRED, type Sql, type Tx, unreachable } from './pools.ts';

type Script = { name: string; text: string; checksum: string };

export type Migrated = {
  /** Names of the migrations that were applied just now. */
  applied: string[];
  /** Name of the newest migration of this release. */
  version: string;
  /** Indexes that were built just now. */
  indexes: string[];
};

const DATABASE_FOLDER = fileURLToPath(new URL('../../database/', import.meta.url));
/** Any constant: the session lock under which one process at a time migrates. */
const MIGRATION_LOCK = 7_358_002;
const OLDEST_SERVER = 14;
/** PostgreSQL's code for a lock_timeout that ran out. */
const LOCK_NOT_AVAILABLE = '55P03';
/**
 * How long a migration waits for a table: everybody who comes after it waits behind it. It steps aside then, and tries again.
 */
const LOCK_MS = 2_000;
const LOCK_TRIES = 30;
const LOCK_PAUSE_MS = 1_000;

/**
 * Brings the database to this release: migrations in order, then graphile-worker's own, then functions and views.
 * Safe to call from any number of processes at once. The login must be allowed to create roles, or have been granted ours. `indexes`:
 * which of those that are missing are built, only those of small tables unless told otherwise.
 * Throws database_unreachable, database_version, schema_changed or schema_newer.
 */
export async function migrate(
  connection: Connection | string,
  options: { directory?: string; indexes?: 'small' | 'all' } = {},
): Promise<Migrated> {
  const at = typeof connection === 'string' ? parseConnection(connection) : connection;
  const directory = options.directory ?? DATABASE_FOLDER;
  const sql = openSql(at, { max: 1 });
  try {
    await checkServer(sql, at);
    await sql`select pg_advisory_lock(${MIGRATION_LOCK})`;
    const migrated = await applyMigrations(sql, await readScripts(join(directory, 'migrations')));
    await migrateWorker(at, sql);
    await applyRepeatables(sql, await readRepeatables(directory));
    await ensurePartitions(sql);
    return { ...migrated, indexes: await buildIndexes(sql, options.indexes ?? 'small') };
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function checkServer(sql: Sql, at: Connection): Promise<void> {
  await firstAnswer(at, sql).catch((error) => {
    throw unreachable(at, error);
  });
  const [row] = await sql<{ version: string; number: number }[]>`
    select current_setting('server_version') as version, current_setting('server_version_num')::int as number`;
  if (row!.number < OLDEST_SERVER * 10_000) {
    throw new DarkspereError(
      'database_version',
      `The server at ${at.host}:${at.port} is PostgreSQL ${row!.version}; Darkspere needs ${OLDEST_SERVER} or newer.`,
    );
  }
}

/** The SQL files of a folder in the order of their names; none when there is no such folder. */
async function readScripts(folder: string, prefix = ''): Promise<Script[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8');
      return { name: `${prefix}${name}`, text, checksum: checksumOf(text) };
    }),
  );
}

/** Line endings do not count: a checkout on another system may change them. */
function checksumOf(text: string): string {
  return createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');
}

async function applyMigrations(sql: Sql, scripts: Script[]): Promise<Omit<Migrated, 'indexes'>> {
  await sql`
    create table if not exists schema_migrations (
      name text primary key,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`;
  const rows = await sql<{ name: string; checksum: string }[]>`select name, checksum from schema_migrations`;
  const known = new Map(rows.map((row) => [row.name, row.checksum]));
  refuseForeign(known, scripts);
  const applied: string[] = [];
  for (const { name, text, checksum } of scripts) {
    if (known.has(name)) continue;
    await betweenOthers(() =>
      sql.begin(async (tx) => {
        await tx.unsafe(`set local lock_timeout = ${LOCK_MS}`);
        await runScript(tx, { name, text });
        await tx`insert into schema_migrations (name, checksum) values (${name}, ${checksum})`;
      }),
    );
    applied.push(name);
  }
  return { applied, version: scripts.at(-1)?.name ?? '' };
}

/** Does it again as long as a table is in use by somebody who does not let go of it. */
async function betweenOthers(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      const { cause = error } = error as { cause?: unknown };
      if ((cause as { code?: string }).code !== LOCK_NOT_AVAILABLE || attempt === LOCK_TRIES) throw error;
      await sleep(LOCK_PAUSE_MS);
    }
  }
}

function refuseForeign(known: Map<string, string>, scripts: Script[]): void {
  const ours = new Map(scripts.map((script) => [script.name, script.checksum]));
  for (const [name, checksum] of known) {
    if (!ours.has(name)) {
      throw new DarkspereError(
        'schema_newer',
        `The database has the migration ${name}, which this release does not know.`,
      );
    }
    if (ours.get(name) !== checksum) {
      throw new DarkspereError('schema_changed', `The migration ${name} was applied with another content.`);
    }
  }
}

async function runScript(tx: Tx, script: { name: string; text: string }) {
  try {
    await tx.unsafe(script.text).simple();
  } catch (error) {
    const { message, position } = error as { message: string; position?: string };
    const line = position === undefined ? '' : `, line ${script.text.slice(0, Number(position)).split('\n').length}`;
    throw new Error(`${script.name}${line}: ${message}`, { cause: error });
  }
}

/**
 * graphile-worker's own schema. Its tables have row level security without policies, so a role that does not own them
 * sees nothing until it has one; owning them would let a worker drop them. Functions there are open to all, and identity
 * columns need no right on their sequence.
 */
async function migrateWorker(at: Connection, sql: Sql): Promise<void> {
  const pool = openJobPool(at, { max: 1 });
  try {
    await runMigrations({ pgPool: pool, logger: new Logger(() => () => {}) });
  } finally {
    await pool.end();
  }
  await sql.begin((tx) => tx.unsafe(WORKER_GRANTS).simple());
}

const WORKER_GRANTS = `
do $$
declare
  part record;
begin
  if not has_schema_privilege('darkspere_worker', 'graphile_worker', 'usage') then
    grant usage on schema graphile_worker to darkspere_worker, darkspere_admin;
  end if;
  for part in
    select c.oid::regclass as name, c.relname, c.relrowsecurity from pg_class c
    where c.relnamespace = 'graphile_worker'::regnamespace and c.relkind in ('r', 'p', 'v')
  loop
    if not has_table_privilege('darkspere_worker', part.name, 'select') then
      execute format('grant select, insert, update, delete on %s to darkspere_worker, darkspere_admin', part.name);
    end if;
    if part.relrowsecurity and not exists (
      select from pg_policy where polrelid = part.name and polname = 'darkspere'
    ) then
      execute format('create policy darkspere on %s to darkspere_worker, darkspere_admin using (true) with check (true)', part.name);
    end if;
  end loop;
  if not has_function_privilege('darkspere_worker', 'graphile_worker.force_unlock_workers(text[])', 'execute') then
    grant execute on all functions in schema graphile_worker to darkspere_worker, darkspere_admin;
  end if;
end $$`;

/** Every folder under functions/ in the order of their names, then views/. */
async function readRepeatables(directory: string): Promise<Script[]> {
  const owners = (await readdir(join(directory, 'functions')).catch(() => [])).sort();
  const folders = [...owners.map((owner) => `functions/${owner}`), 'views'];
  return (await Promise.all(folders.map((folder) => readScripts(join(directory, folder), `${folder}/`)))).flat();
}

/** Re-applies all of them, in one transaction, when any of them changed, came or went. */
async function applyRepeatables(sql: Sql, scripts: Script[]): Promise<void> {
  await sql`create table if not exists schema_repeatables (name text primary key, checksum text not null)`;
  const rows = await sql<{ name: string; checksum: string }[]>`select name, checksum from schema_repeatables`;
  const known = new Map(rows.map((row) => [row.name, row.checksum]));
  const current = known.size === scripts.length && scripts.every(({ name, checksum }) => known.get(name) === checksum);
  if (current) return;
  await sql.begin(async (tx) => {
    // A function's body may name a table or view that a later file makes.
    await tx`set local check_function_bodies = off`;
    await retireFunctions(tx, scripts);
    for (const script of scripts) await runScript(tx, script);
    await dropReplaced(tx);
    await tx`delete from schema_repeatables`;
    for (const { name, checksum } of scripts) {
      await tx`insert into schema_repeatables (name, checksum) values (${name}, ${checksum})`;
    }
  });
}

/**
 * Puts the functions that the scripts are about to make out of the way, into a schema that sessions search after `public`.
 * What the release before last left there goes. Processes of the release before this one are still running: a function whose
 * parameters change stays callable for them until the next release.
 */
async function retireFunctions(tx: Tx, scripts: Script[]): Promise<void> {
  const names = scripts.flatMap(({ text }) =>
    [...text.matchAll(/^create or replace function (\w+)/gim)].map(([, name]) => name!),
  );
  await tx.unsafe(
    `create schema if not exists ${RETIRED}; grant usage on schema ${RETIRED} to darkspere_web, darkspere_worker, darkspere_admin`,
  );
  for (const signature of await functionsIn(tx, RETIRED)) await tx.unsafe(`drop function ${signature}`);
  for (const signature of await functionsIn(tx, 'public', names)) {
    await tx.unsafe(`alter function ${signature} set schema ${RETIRED}`);
  }
}

/** Drops the retired functions that have a successor with the same parameters; the others keep finding each other. */
async function dropReplaced(tx: Tx): Promise<void> {
  const replaced = await tx<{ signature: string }[]>`
    select old.oid::regprocedure::text as signature from pg_proc old
    join pg_proc new on new.proname = old.proname and new.proargtypes = old.proargtypes
      and new.pronamespace = 'public'::regnamespace
    where old.pronamespace = ${RETIRED}::regnamespace`;
  for (const { signature } of replaced) await tx.unsafe(`drop function ${signature}`);
  const kept = await tx<{ signature: string }[]>`
    select oid::regprocedure::text as signature from pg_proc
    where pronamespace = ${RETIRED}::regnamespace and proconfig @> array['search_path=public, pg_temp']`;
  for (const { signature } of kept) {
    await tx.unsafe(`alter function ${signature} set search_path = public, ${RETIRED}, pg_temp`);
  }
}

async function functionsIn(tx: Tx, schema: string, names?: readonly string[]): Promise<string[]> {
  const rows = await tx<{ signature: string }[]>`
    select format('%I.%I(%s)', ${schema}::text, proname, pg_get_function_identity_arguments(oid)) as signature
    from pg_proc
    where pronamespace = ${schema}::regnamespace and (${names === undefined} or proname = any (${[...(names ?? [])]}))`;
  return rows.map((row) => row.signature);
}

async function ensurePartitions(sql: Sql): Promise<void> {
  const [row] = await sql<{ found: boolean }[]>`
    select to_regprocedure('ensure_partitions(int)') is not null as found`;
  if (!row?.found) return;
  await sql`select ensure_partitions()`.catch((error: unknown) => {
    // A long query, a dump perhaps, is in the way. There are months ahead, and the daily job tries again.
    if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
  });
}
