// From when on, or until when: a moment, or a length of time before now.
import type postgres from 'postgres';
import { now } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/i;
const LENGTH = /^([1-9]\d{0,3})([mhd])$/;
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z');
const SECONDS: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };

/**
 * As a timestamptz of the database, whose clock made the ids. Throws invalid_request, which names the parameter, for what is neither.
 */
export function momentOf(sql: Sql, param: Param, given: string): postgres.PendingQuery<postgres.Row[]> {
  const read = readMoment(param, given);
  return 'backSeconds' in read
    ? sql`(now() - make_interval(secs => ${read.backSeconds}))`
    : sql`${read.at}::timestamptz`;
}

/** Throws invalid_request for a time that ends before it begins: nothing would be found in it, and nothing said why. */
export function assertForward({ since, until }: { readonly [P in Param]?: string | undefined }): void {
  if (since === undefined || until === undefined) return;
  const nowMs = now().getTime();
  if (msOf(readMoment('since', since), nowMs) < msOf(readMoment('until', until), nowMs)) return;
  throw new DarkspereError('invalid_request', 'until must be later than since.', { param: 'until' });
}

type Param = 'since' | 'until';
type Moment = { readonly at: Date } | { readonly backSeconds: number };

function readMoment(param: Param, given: string): Moment {
  const [, n, unit] = LENGTH.exec(given) ?? [];
  if (n !== undefined) return { backSeconds: Number(n) * SECONDS[unit!]! };
  const ms = MOMENT.test(given) ? Date.parse(given) : Number.NaN;
  // Ids begin in 1970; a year of five digits (9999, west of Greenwich) is none in PostgreSQL's way of writing it.
  if (!Number.isNaN(ms)) return { at: new Date(Math.min(Math.max(0, ms), LATEST_MS)) };
  throw new DarkspereError(
    'invalid_request',
    `${param} must be a moment, like 2026-11-25T10:00:00Z, or how far back: 15m, 1h, 24h, 7d.`,
    { param },
  );
}

const msOf = (moment: Moment, nowMs: number) =>
  'at' in moment ? moment.at.getTime() : nowMs - moment.backSeconds * 1_000;
