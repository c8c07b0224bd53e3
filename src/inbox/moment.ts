// From when on, or until when: a moment, or a length of time before now.
import type postgres from 'postgres';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/i;
const LENGTH = /^([1-9]\d{0,3})([mhd])$/;
const SECONDS: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };

/**
 * As a timestamptz of the database, whose clock made the ids. Throws invalid_request, which names the parameter, for what is neither.
 */
export function momentOf(sql: Sql, param: 'since' | 'until', given: string): postgres.PendingQuery<postgres.Row[]> {
  const [, n, unit] = LENGTH.exec(given) ?? [];
  if (n !== undefined) return sql`(now() - make_interval(secs => ${Number(n) * SECONDS[unit!]!}))`;
  const ms = MOMENT.test(given) ? Date.parse(given) : Number.NaN;
  // Ids begin in 1970.
  if (!Number.isNaN(ms)) return sql`${new Date(Math.max(0, ms))}::timestamptz`;
  throw new DarkspereError(
    'invalid_request',
    `${param} must be a moment, like 2026-11-25T10:00:00Z, or how far back: 15m, 1h, 24h, 7d.`,
    { param },
  );
}
