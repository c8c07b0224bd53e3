// Where the database's time goes: pg_stat_statements, statements inside functions included.

import type { Connection } from '../../src/database/connection.ts';
import { openSql } from '../../src/database/pools.ts';

export const STATEMENT_SETTINGS = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'all',
};

export type StatementCost = {
  readonly query: string;
  readonly level: 'called' | 'inside';
  readonly calls: number;
  readonly totalMs: number;
  readonly meanMs: number;
};

/** The costliest statements since the last reset; a statement inside a function is counted in its caller as well. */
export async function statementCosts(connection: Connection, limit: number): Promise<StatementCost[]> {
  const sql = openSql(connection, { max: 1 });
  try {
    return await sql<StatementCost[]>`
      select regexp_replace(left(query, 2000), '\\s+', ' ', 'g') as query,
        case when toplevel then 'called' else 'inside' end as level,
        calls::int, total_exec_time as "totalMs", mean_exec_time as "meanMs"
      from pg_stat_statements order by total_exec_time desc limit ${limit}`;
  } finally {
    await sql.end();
  }
}

export async function resetStatementCosts(connection: Connection): Promise<void> {
  const sql = openSql(connection, { max: 1 });
  try {
    await sql.unsafe('create extension if not exists pg_stat_statements');
    await sql.unsafe('select pg_stat_statements_reset()');
  } finally {
    await sql.end();
  }
}
