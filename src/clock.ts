/** Wall time for records, monotonic time for deadlines: a clock that jumps must never expire a call. */
export type Clock = {
  now(): Date;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
};

export const systemClock: Clock = {
  now,
  monotonicMs: () => performance.now(),
};

/** What the time was at a monotonic moment, once somebody has said so. */
let known: { readonly wallMs: number; readonly monotonicMs: number } | null = null;

/**
 * The time that all processes share: the database's, so that machines whose clocks disagree still agree on when something was
 * and until when something holds. This machine's own until `follow` is called.
 */
export function now(): Date {
  return new Date(known === null ? Date.now() : known.wallMs + performance.now() - known.monotonicMs);
}

/** What was read of another clock is at most this old. */
const STEP_MS = 2_000;
let steppedMs = Number.NEGATIVE_INFINITY;

/**
 * Sets the time that all processes share, as of this moment. The first one is compared with our own clock: otherwise a clock
 * that was set just before this process began would be trusted.
 */
export function follow(wall: Date): void {
  if (Math.abs(wall.getTime() - now().getTime()) > STEP_MS) steppedMs = performance.now();
  known = { wallMs: wall.getTime(), monotonicMs: performance.now() };
}

/** For how long the shared time has gone on evenly, as far as this process knows: what has a longer age by it may be younger. */
export function steadyMs(): number {
  return performance.now() - steppedMs;
}
