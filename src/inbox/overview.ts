// Is it well? What came in, what went out, how long it took and what waits, from the tables themselves. One computation serves
// everybody for a few seconds, however many ask.
import { type Reader, rowsOf } from './reader.ts';

export type Window = '1h' | '24h';
type Percentiles = { p50: number; p95: number; p99: number } | null;
export type Figures = {
  at: string;
  window: Window;
  texts_in: number;
  texts_out: number;
  turns: { replied: number; fell_back: number; other: number };
  answered_share: number | null;
  time_to_answer_ms: Percentiles;
  parts: { delivered: number; failed: number; unknown: number };
  waiting: { texts: number; conversations: number; oldest_ms: number | null };
  series: { step_ms: number; points: Point[] };
};
type Point = {
  at: string;
  texts_in: number;
  texts_out: number;
  fell_back: number;
  failed: number;
  p50_ms: number | null;
  p95_ms: number | null;
};

const MINUTE_MS = 60_000;
const SIZES: Readonly<Record<Window, { steps: number; stepMs: number }>> = {
  '1h': { steps: 60, stepMs: MINUTE_MS },
  '24h': { steps: 96, stepMs: 15 * MINUTE_MS },
};
const FRESH_MS = 2_000;

type Counted = { step: number; texts_in: number; texts_out: number };
type Ended = {
  step: number | null;
  replied: number;
  fell_back: number;
  other: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
};
type Sent = { step: number; delivered: number; failed: number; unknown: number };

/** One for each process. `reader` carries no signal: what one asks for, others get too. */
export function createOverview(reader: Reader): (window: Window) => Promise<Figures> {
  const known = new Map<Window, { atMs: number; figures: Promise<Figures> }>();
  return (window) => {
    const last = known.get(window);
    if (last && performance.now() - last.atMs < FRESH_MS) return last.figures;
    const entry = { atMs: performance.now(), figures: compute(reader, window) };
    known.set(window, entry);
    // What failed is asked again at once.
    entry.figures.catch(() => known.get(window) === entry && known.delete(window));
    return entry.figures;
  };
}

async function compute(reader: Reader, window: Window): Promise<Figures> {
  const { sql } = reader;
  const { steps, stepMs } = SIZES[window];
  const [clock] = await rowsOf(reader, sql<{ now: Date }[]>`select clock_timestamp() as now`);
  const at = clock!.now;
  // Whole steps, so that a point means the same each time it is drawn; the last one is the one that goes on.
  const from = new Date((Math.floor(at.getTime() / stepMs) - steps + 1) * stepMs);
  const seconds = stepMs / 1_000;
  const [counted, ended, sent, [waiting]] = await Promise.all([
    rowsOf(
      reader,
      sql<Counted[]>`
        select floor(extract(epoch from id_time(m.id) - ${from}::timestamptz) / ${seconds})::int as step,
          count(*) filter (where m.direction = 'in')::int as texts_in,
          count(*) filter (where m.direction = 'out')::int as texts_out
        from messages m where m.id >= id_at(${from}::timestamptz) group by 1`,
    ),
    rowsOf(
      reader,
      sql<Ended[]>`
        with ended as (
          select t.state, floor(extract(epoch from t.ended_at - ${from}::timestamptz) / ${seconds})::int as step,
            extract(epoch from t.ended_at - id_time(first.id)) * 1000 as ms
          from turns t
          left join lateral (
            -- From the first text of the burst: that is how long its person waited.
            select m.id from messages m
            where t.state = 'replied' and m.conversation_id = t.conversation_id and m.seq = t.from_seq
              and m.id between id_at(t.started_at - interval '1 day') and t.id
            order by m.id desc limit 1
          ) first on true
          where t.id >= id_at(${from}::timestamptz - interval '15 minutes') and t.ended_at >= ${from}
        )
        select step, count(*) filter (where state = 'replied')::int as replied,
          count(*) filter (where state = 'fell_back')::int as fell_back,
          count(*) filter (where state not in ('replied', 'fell_back'))::int as other,
          percentile_cont(0.5) within group (order by ms) as p50, percentile_cont(0.95) within group (order by ms) as p95,
          percentile_cont(0.99) within group (order by ms) as p99
        from ended group by grouping sets ((step), ())`,
    ),
    rowsOf(
      reader,
      sql<Sent[]>`
        select floor(extract(epoch from p.created_at - ${from}::timestamptz) / ${seconds})::int as step,
          count(*) filter (where p.state in ('delivered', 'read'))::int as delivered,
          count(*) filter (where p.state in ('failed', 'undelivered'))::int as failed,
          count(*) filter (where p.state = 'unknown')::int as unknown
        from outbound_parts p where p.id >= id_at(${from}::timestamptz) group by 1`,
    ),
    rowsOf(
      reader,
      sql<{ texts: number; conversations: number; oldest_at: Date | null }[]>`select * from waiting_totals()`,
    ),
  ]);
  const all = ended.find((row) => row.step === null);
  const { replied, fell_back, other } = all ?? { replied: 0, fell_back: 0, other: 0 };
  const sum = <T>(rows: readonly T[], of: (row: T) => number) => rows.reduce((total, row) => total + of(row), 0);
  return {
    at: at.toISOString(),
    window,
    texts_in: sum(counted, (row) => row.texts_in),
    texts_out: sum(counted, (row) => row.texts_out),
    turns: { replied, fell_back, other },
    answered_share: replied + fell_back === 0 ? null : replied / (replied + fell_back),
    time_to_answer_ms: all?.p50 == null ? null : { p50: all.p50, p95: all.p95!, p99: all.p99! },
    parts: {
      delivered: sum(sent, (row) => row.delivered),
      failed: sum(sent, (row) => row.failed),
      unknown: sum(sent, (row) => row.unknown),
    },
    waiting: {
      texts: waiting!.texts,
      conversations: waiting!.conversations,
      oldest_ms: waiting!.oldest_at && Math.max(0, at.getTime() - waiting!.oldest_at.getTime()),
    },
    series: { step_ms: stepMs, points: Array.from({ length: steps }, (_, step) => pointOf(step)) },
  };

  function pointOf(step: number): Point {
    const texts = counted.find((row) => row.step === step);
    const turns = ended.find((row) => row.step === step);
    return {
      at: new Date(from.getTime() + step * stepMs).toISOString(),
      texts_in: texts?.texts_in ?? 0,
      texts_out: texts?.texts_out ?? 0,
      fell_back: turns?.fell_back ?? 0,
      failed: sent.find((row) => row.step === step)?.failed ?? 0,
      p50_ms: turns?.p50 ?? null,
      p95_ms: turns?.p95 ?? null,
    };
  }
}
