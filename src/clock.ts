/** Wall time for records, monotonic time for deadlines: a clock that jumps must never expire a call. */
export type Clock = {
  now(): Date;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
};

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};
