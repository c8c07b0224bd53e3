// Spans on one line of time. Work is solid, waiting is hatched, a moment is a diamond. Long waits are cut short, with a
// mark where, so that three milliseconds of work beside an hour of waiting can still be seen; the figures are always true.
import type { Span } from '../../../src/http/contract.ts';
import { duration } from '../../parts/time.tsx';

/** Nothing that is only waited for takes more of the width than this many times the work. */
const MOST_WAIT = 1.2;
const LEAST_MS = 40;

type Scale = { readonly at: (ms: number) => number; readonly cuts: readonly number[] };

/** Maps moments to 0…100. Stretches in which nobody worked are shortened; `cuts` are where. */
function scaleOf(spans: readonly Span[], nowMs: number): Scale {
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

const WORK: Readonly<Record<Span['outcome'], string>> = {
  ok: 'bg-accent',
  failed: 'bg-bad',
  running: 'bg-accent animate-wait',
  unknown: 'bg-warn',
};
const SIGNS: Readonly<Record<Span['outcome'], string>> = {
  ok: '',
  failed: 'failed',
  running: 'goes on',
  unknown: 'unknown',
};

export function Waterfall({
  spans,
  openId,
  onOpen,
}: {
  spans: readonly Span[];
  openId: string | null;
  onOpen: (id: string) => void;
}) {
  const nowMs = Date.now();
  const scale = scaleOf(spans, nowMs);
  return (
    <ol aria-label="What happened, in order" className="py-1.5">
      {spans.map((span) => (
        <Row
          key={span.id}
          span={span}
          scale={scale}
          nowMs={nowMs}
          isOpen={span.id === openId}
          onOpen={() => onOpen(span.id)}
        />
      ))}
    </ol>
  );
}

function Row({
  span,
  scale,
  nowMs,
  isOpen,
  onOpen,
}: {
  span: Span;
  scale: Scale;
  nowMs: number;
  isOpen: boolean;
  onOpen: () => void;
}) {
  const from = Date.parse(span.started_at);
  const to = span.ended_at === null ? nowMs : Date.parse(span.ended_at);
  const isWait = span.shape === 'wait';
  return (
    <li>
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={onOpen}
        className={`grid w-full grid-cols-[minmax(6.5rem,34%)_1fr_4rem] items-center gap-x-3 px-4 py-[3px] text-left -outline-offset-2 ${isOpen ? 'bg-selected' : 'hover:bg-hover'}`}
      >
        <span
          className={`truncate ${span.outcome === 'failed' ? 'font-medium text-bad' : isWait ? 'text-ink-3' : 'text-ink'}`}
        >
          {span.name}
        </span>
        <span className="relative h-4" aria-hidden>
          {scale.cuts.map((cut) => (
            <span
              key={cut}
              className="absolute inset-y-0 w-px border-l border-dashed border-line-strong"
              style={{ left: `${cut}%` }}
            />
          ))}
          {span.shape === 'point' ? (
            <Diamond at={scale.at(from)} tone={span.outcome === 'failed' ? 'bg-bad' : 'bg-good'} />
          ) : (
            <Bar from={scale.at(from)} to={scale.at(to)} tone={isWait ? 'hatched' : WORK[span.outcome]} />
          )}
        </span>
        <span className="figures text-right text-small text-ink-3">
          {span.shape === 'point' ? SIGNS[span.outcome] : duration(Math.max(0, to - from))}
          {span.shape !== 'point' && SIGNS[span.outcome] !== '' && (
            <span className="sr-only">, {SIGNS[span.outcome]}</span>
          )}
        </span>
      </button>
      {isOpen && span.note !== null && <p className="px-4 pt-0.5 pb-1.5 text-ink-2">{span.note}</p>}
    </li>
  );
}

function Bar({ from, to, tone }: { from: number; to: number; tone: string }) {
  return (
    <span
      className={`absolute top-[3px] h-2.5 min-w-[3px] rounded-[3px] ${tone}`}
      style={{ left: `${Math.min(from, 99.2)}%`, width: `${Math.max(0, to - from)}%` }}
    />
  );
}

function Diamond({ at, tone }: { at: number; tone: string }) {
  return (
    <span
      className={`absolute top-1 size-2 -translate-x-1/2 rotate-45 rounded-[2px] ${tone}`}
      style={{ left: `${Math.min(at, 99)}%` }}
    />
  );
}
