// Indexes that tables of the text path have gained since there were rows in them. Building one in a migration would stop all
// texts until it is done, so a migration of a small table builds it, and `darkspere migrate` the others, beside everything else.
import type { Sql } from './pools.ts';

type OnlineIndex = {
  readonly name: string;
  readonly table: string;
  readonly definition: string;
  /** The oldest PostgreSQL with which the text path does not pay for it. */
  readonly since?: number;
};

// Failures are rare and their code is null in all other updates, which therefore stay HOT.
const INDEXES: readonly OnlineIndex[] = [
  {
    name: 'outbound_parts_errors',
    table: 'outbound_parts',
    definition: '(id) include (error_code) where error_code is not null',
  },
  { name: 'turns_errors', table: 'turns', definition: '(id) include (error_code) where error_code is not null' },
  {
    name: 'outbound_parts_provider_id',
    table: 'outbound_parts',
    definition: 'using brin (provider_id text_bloom_ops) with (autosummarize = on)',
    // Before, a BRIN index ends HOT updates like any other. Without it a search looks through the newest 100,000 parts.
    since: 16,
  },
];

const LOCK_NOT_AVAILABLE = '55P03';
/** A table of so many pages (8 MB) is indexed before anybody notices. */
const SMALL_PAGES = 1_000;

/**
 * Builds what is missing; gives the names. `which`: those of small tables, in no time, or all of them, which may take minutes and
 * holds nobody up. The caller holds the lock of migrations and is the owner.
 */
export async function buildIndexes(sql: Sql, which: 'small' | 'all'): Promise<string[]> {
  const [server] = await sql<{ major: number }[]>`
    select current_setting('server_version_num')::int / 10000 as major`;
  const built: string[] = [];
  for (const { name, table, definition, since = 0 } of INDEXES) {
    if (server!.major < since) continue;
    const [row] = await sql<{ valid: boolean | null; pages: number }[]>`
      select (select i.indisvalid from pg_index i where i.indexrelid = to_regclass(${name})) as valid,
        (pg_relation_size(to_regclass(${table})) / 8192)::int as pages
      where to_regclass(${table}) is not null`;
    if (!row || row.valid === true || (which === 'small' && row.pages > SMALL_PAGES)) continue;
    if (which === 'small') {
      if (await buildAtOnce(sql, `create index if not exists ${name} on ${table} ${definition}`)) built.push(name);
      continue;
    }
    // What a broken build left.
    if (row.valid === false) await sql.unsafe(`drop index concurrently if exists ${name}`);
    await sql.unsafe(`create index concurrently ${name} on ${table} ${definition}`);
    built.push(name);
  }
  return built;
}

/** False when somebody holds the table for longer than a moment: the next start tries again. */
async function buildAtOnce(sql: Sql, statement: string): Promise<boolean> {
  return sql
    .unsafe(`set lock_timeout = '500ms'; ${statement}; reset lock_timeout`)
    .then(() => true)
    .catch(async (error: { code?: string }) => {
      await sql.unsafe('reset lock_timeout');
      if (error.code !== LOCK_NOT_AVAILABLE) throw error;
      return false;
    });
}
