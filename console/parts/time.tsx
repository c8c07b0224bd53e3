// Times: how long ago, at a glance; exactly and in UTC on hover, because that is what logs and other people have.
import { useSyncExternalStore } from 'react';
import { gatewayNow } from '../clock.ts';

export { duration } from './duration.ts';

const TICK_MS = 5_000;
/** So near, the time on the clock says which day it is. */
const CLOCK_SECONDS = 20 * 3_600;
const tickers = new Set<() => void>();
let nowMs = gatewayNow();
let timer: ReturnType<typeof setInterval> | undefined;

/** One clock for all times on the page. */
function subscribe(ticker: () => void): () => void {
  tickers.add(ticker);
  timer ??= setInterval(() => {
    nowMs = gatewayNow();
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

/** now · 42 s · 7 min · 20:58 · Nov 24; in a sentence: just now · 42 s ago · 7 min ago · at 20:58 · on Nov 24 */
function ago(at: string, now: number, isInSentence: boolean): string {
  const then = new Date(at);
  const seconds = Math.round((Math.max(now, gatewayNow()) - then.getTime()) / 1000);
  const [before, after] = isInSentence ? ['at ', ' ago'] : ['', ''];
  if (seconds < 5) return isInSentence ? 'just now' : 'now';
  if (seconds < 60) return `${seconds} s${after}`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min${after}`;
  if (seconds < CLOCK_SECONDS) return `${before}${clock.format(then)}`;
  return `${isInSentence ? 'on ' : ''}${dayOf(then, now)}`;
}

function dayOf(then: Date, now: number): string {
  return (then.getFullYear() === new Date(now).getFullYear() ? day : fullDay).format(then);
}

/** How long ago; short, as a column or a corner has it, unless it is part of a sentence. */
export function Ago({
  at,
  inSentence = false,
  className = '',
}: {
  at: string;
  inSentence?: boolean;
  className?: string;
}) {
  const now = useNow();
  return (
    <time dateTime={at} title={utc(at)} className={`figures ${className}`}>
      {ago(at, now, inSentence)}
    </time>
  );
}

/** When something to come ends: 20:58, or Nov 26, 20:58. */
export function Until({ at }: { at: string }) {
  const now = useNow();
  const then = new Date(at);
  const isSoon = then.getTime() - now < CLOCK_SECONDS * 1000;
  return (
    <time dateTime={at} title={utc(at)} className="figures">
      {isSoon ? clock.format(then) : `${dayOf(then, now)}, ${clock.format(then)}`}
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
