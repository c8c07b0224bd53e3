// The line of time under a waterfall. Long waits are shortened, so that three milliseconds of work beside an hour of waiting
// can still be seen.
import type { Span } from '../../../src/http/contract.ts';

/** Nothing that is only waited for takes more of the width than this many times the work. */
const MOST_WAIT = 1.2;
const LEAST_MS = 40;

export type Timed = Pick<Span, 'started_at' | 'ended_at' | 'shape'>;
export type Scale = { readonly at: (ms: number) => number; readonly cuts: readonly number[] };

/** Maps moments to 0…100. Stretches in which nobody worked are shortened; `cuts` are where. */
export function scaleOf(spans: readonly Timed[], nowMs: number): Scale {
  const ends = spans.map(({ started_at, ended_at, shape }) => ({
    from: Date.parse(started_at),
    to: shape === 'point' ? Date.parse(started_at) : ended_at === null ? nowMs : Date.parse(ended_at),
    isWork: shape === 'work',
  }));
  const moments = [...new Set(ends.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const worked = (from: number, to: number) => ends.some((end) => end.isWork && end.from < to && end.to > from);
  const work = ends.reduce((sum, end) => sum + (end.isWork ? end.to - end.from : 0), 0);
  const longest = Math.max(LEAST_MS, work * MOST_WAIT);
  const marks: { ms: number; x: number }[] = [{ ms: moments[0] ?? 0, x: 0 }];
  const cuts: number[] = [];
  let x = 0;
  for (const [n, to] of moments.entries()) {
    const from = moments[n - 1];
    if (from === undefined) continue;
    const isCut = !worked(from, to) && to - from > longest;
    if (isCut) cuts.push(x + longest / 2);
    x += isCut ? longest : to - from;
    marks.push({ ms: to, x });
  }
  const width = Math.max(x, 1);
  return {
    cuts: cuts.map((cut) => (100 * cut) / width),
    at: (ms) => {
      const next = marks.findIndex((mark) => mark.ms >= ms);
      if (next <= 0) return next === 0 ? 0 : 100;
      const [a, b] = [marks[next - 1]!, marks[next]!];
      return (100 * (a.x + ((ms - a.ms) / (b.ms - a.ms)) * (b.x - a.x))) / width;
    },
  };
}
