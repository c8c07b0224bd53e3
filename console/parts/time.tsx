// Times: how long ago, at a glance; exactly and in UTC on hover, because that is what logs and other people have.
import { useSyncExternalStore } from 'react';

export { duration } from './duration.ts';

const TICK_MS = 5_000;
const tickers = new Set<() => void>();
let nowMs = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

/** One clock for all times on the page. */
function subscribe(ticker: () => void): () => void {
  tickers.add(ticker);
  timer ??= setInterval(() => {
    nowMs = Date.now();
    for (const each of tickers) each();
  }, TICK_MS);
  return () => {
    tickers.delete(ticker);
    if (tickers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => nowMs);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const exactClock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const fullDay = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric' });

/** `2026-11-24 20:58:42.113 UTC` */
export function utc(at: string): string {
  return `${new Date(at).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}

/** now · 42 s · 7 min · 20:58 · Nov 24 */
export function ago(at: string, now: number): string {
  const then = new Date(at);
  const seconds = Math.round((Math.max(now, Date.now()) - then.getTime()) / 1000);
  if (seconds < 5) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 20 * 3600) return clock.format(then);
  return then.getFullYear() === new Date(now).getFullYear() ? day.format(then) : fullDay.format(then);
}

export function Ago({ at, className = '' }: { at: string; className?: string }) {
  const now = useNow();
  return (
    <time dateTime={at} title={utc(at)} className={`figures ${className}`}>
      {ago(at, now)}
    </time>
  );
}

/** The time on the clock, for a thread where each bubble has one. */
export function ClockTime({
  at,
  seconds = false,
  className = '',
}: {
  at: string;
  seconds?: boolean;
  className?: string;
}) {
  return (
    <time dateTime={at} title={utc(at)} className={`figures ${className}`}>
      {(seconds ? exactClock : clock).format(new Date(at))}
    </time>
  );
}
