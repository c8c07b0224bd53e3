// Is it well? What came in, what went out, how long it took and what waits. One computation serves everybody for a few
// seconds, however many ask.
import {
  type CountMinutes,
  countMinutes,
  createMinutes,
  MINUTE_MS,
  type Minute,
  type Minutes,
  quantile,
  together,
} from './minutes.ts';
import { type Reader, rowsOf } from './reader.ts';

export type Window = '1h' | '24h';
export type Figures = {
  at: string;
  window: Window;
  texts_in: number;
  texts_out: number;
  turns: { replied: number; fell_back: number; other: number };
  answered_share: number | null;
  time_to_answer_ms: { p50: number; p95: number; p99: number } | null;
  parts: { delivered: number; failed: number; under_way: number; unknown: number };
  waiting: Waiting & { deferred: number; with_operator: Waiting };
  series: { step_ms: number; points: Point[] };
};
type Waiting = { texts: number; conversations: number; oldest_ms: number | null };
type Point = {
  at: string;
  texts_in: number;
  texts_out: number;
  fell_back: number;
  failed: number;
  p50_ms: number | null;
  p95_ms: number | null;
};

type Now = {
  at: Date;
  texts: number;
  conversations: number;
  oldest_at: Date | null;
  operator_texts: number;
  operator_conversations: number;
  operator_oldest_at: Date | null;
  deferred: number;
};

const SIZES: Readonly<Record<Window, { steps: number; stepMs: number }>> = {
  '1h': { steps: 60, stepMs: MINUTE_MS },
  '24h': { steps: 96, stepMs: 15 * MINUTE_MS },
};
const FRESH_MS = 2_000;

/** One for each process. `reader` carries no signal: what one asks for, others get too. */
export function createOverview(reader: Reader): (window: Window) => Promise<Figures> {
  // Each window has minutes of its own: whoever looks at an hour does not pay for a day.
  const count: CountMinutes = (fromMs, toMs) => countMinutes(reader, fromMs, toMs);
  const minutes: Record<Window, Minutes> = { '1h': createMinutes(count), '24h': createMinutes(count) };
  const known = new Map<Window, { endedMs: number; figures: Promise<Figures> }>();
  return (window) => {
    const last = known.get(window);
    if (last && performance.now() - last.endedMs < FRESH_MS) return last.figures;
    const entry = { endedMs: Number.POSITIVE_INFINITY, figures: compute(reader, minutes[window], window) };
    known.set(window, entry);
    entry.figures.then(
      () => {
        entry.endedMs = performance.now();
      },
      // What failed is asked again at once.
      () => known.get(window) === entry && known.delete(window),
    );
    return entry.figures;
  };
}

async function compute(reader: Reader, minutes: Minutes, window: Window): Promise<Figures> {
  const { steps, stepMs } = SIZES[window];
  const [now] = await rowsOf(
    reader,
    reader.sql<Now[]>`
      select clock_timestamp() as at, w.texts, w.conversations, w.oldest_at,
        o.texts as operator_texts, o.conversations as operator_conversations, o.oldest_at as operator_oldest_at,
        (select count(*)::int from deferred_conversations(1000000)) as deferred
      from waiting_totals() w, operator_totals() o`,
  );
  const { at, deferred } = now!;
  // Whole steps, so that a point means the same each time it is drawn; the last one is the one that goes on.
  const fromMs = (Math.floor(at.getTime() / stepMs) - steps + 1) * stepMs;
  const byMinute = await minutes.read(fromMs, fromMs + steps * stepMs, at.getTime());
  const bySteps = Map.groupBy(byMinute, ([minuteMs]) => Math.floor((minuteMs - fromMs) / stepMs));
  const all = together(byMinute.values());
  const decided = all.replied + all.fell_back;
  const p50 = quantile(all.answers, 0.5);
  return {
    at: at.toISOString(),
    window,
    texts_in: all.texts_in,
    texts_out: all.texts_out,
    turns: { replied: all.replied, fell_back: all.fell_back, other: all.other },
    answered_share: decided === 0 ? null : all.replied / decided,
    time_to_answer_ms:
      p50 === null ? null : { p50, p95: quantile(all.answers, 0.95)!, p99: quantile(all.answers, 0.99)! },
    parts: { delivered: all.delivered, failed: all.failed, under_way: all.under_way, unknown: all.unknown },
    waiting: {
      ...waitingOf(at, now!.texts, now!.conversations, now!.oldest_at),
      deferred,
      with_operator: waitingOf(at, now!.operator_texts, now!.operator_conversations, now!.operator_oldest_at),
    },
    series: {
      step_ms: stepMs,
      points: Array.from({ length: steps }, (_, step) =>
        pointOf(fromMs + step * stepMs, together((bySteps.get(step) ?? []).map(([, minute]) => minute))),
      ),
    },
  };
}

function waitingOf(at: Date, texts: number, conversations: number, oldestAt: Date | null): Waiting {
  return { texts, conversations, oldest_ms: oldestAt && Math.max(0, at.getTime() - oldestAt.getTime()) };
}

function pointOf(atMs: number, { texts_in, texts_out, fell_back, failed, answers }: Minute): Point {
  return {
    at: new Date(atMs).toISOString(),
    texts_in,
    texts_out,
    fell_back,
    failed,
    p50_ms: quantile(answers, 0.5),
    p95_ms: quantile(answers, 0.95),
  };
}
