// Spans on one line of time. Work is solid, waiting is hatched, a moment is a diamond, and a dashed line is where a long wait
// was cut short; the figures are always true.
import { useEffect, useReducer } from 'react';
import type { Span } from '../../../src/http/contract.ts';
import { gatewayNow } from '../../clock.ts';
import { duration } from '../../parts/time.tsx';
import { type Scale, scaleOf } from './time-scale.ts';

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

const TICK_MS = 1_000;

/** The time at the gateway; while something goes on it is drawn anew every second. */
function useSeconds(isOn: boolean): number {
  const [, tick] = useReducer((ticks: number) => ticks + 1, 0);
  useEffect(() => {
    if (!isOn) return;
    const timer = setInterval(tick, TICK_MS);
    return () => clearInterval(timer);
  }, [isOn]);
  return gatewayNow();
}

export function Waterfall({
  spans,
  openId,
  onOpen,
}: {
  spans: readonly Span[];
  openId: string | null;
  onOpen: (id: string) => void;
}) {
  const nowMs = useSeconds(spans.some(({ ended_at: end }) => end === null));
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
  const isOngoing = span.ended_at === null;
  return (
    <li>
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={onOpen}
        className={`grid w-full grid-cols-[minmax(8.75rem,34%)_1fr_3.5rem] items-center gap-x-3 px-4 py-[3px] text-left -outline-offset-2 ${isOpen ? 'bg-selected' : 'hover:bg-hover'}`}
      >
        <span className="flex min-w-0 flex-wrap items-baseline gap-x-1.5">
          <span
            className={`max-w-full truncate ${span.outcome === 'failed' ? 'font-medium text-bad' : isWait ? 'text-ink-3' : 'text-ink'}`}
          >
            {span.name}
          </span>
          {isOngoing && <span className="shrink-0 text-small text-accent">{SIGNS.running}</span>}
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
          {span.shape !== 'point' && span.outcome !== 'running' && SIGNS[span.outcome] !== '' && (
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
