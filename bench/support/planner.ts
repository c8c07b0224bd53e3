// What the planner believes about the tables.
import type { Sql } from '../../src/database/pools.ts';

/**
 * As if the tables had been analysed on the first day, when five people had texted, and never since: the belief that misleads
 * most, because one conversation then looks like a fifth of everything. `sql` is the owner's. Needs PostgreSQL 18.
 */
export async function believeFirstDay(sql: Sql): Promise<void> {
  await sql.unsafe(`
    select pg_clear_attribute_stats(schemaname, tablename, attname, inherited) from pg_stats where schemaname = 'public';
    select pg_clear_relation_stats('public', relname)
      from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'i');
    select pg_restore_attribute_stats('schemaname', 'public', 'relname', c.relname::text, 'attname', a.attname::text, 'inherited', false,
        'null_frac', 0::real, 'avg_width', 16, 'n_distinct', 5::real)
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname in ('conversation_id', 'session_id')`);
}

/** As autovacuum leaves them. */
export async function believeTruth(sql: Sql): Promise<void> {
  await sql.unsafe('analyze');
}
