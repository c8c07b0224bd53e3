// How long calls took, in buckets that can be added up: over calls, over processes, over time.

/** Answered calls by bucket, and failed ones under FAILED. */
export type Histogram = Map<number, number>;

/** Each bucket reaches four percent further than the one before it: its middle is at most two percent off. */
const BASE = Math.log(1.04);
const SLOWEST_MS = 3_600_000;
/** The bucket of calls that failed. */
export const FAILED = -1;

/** The bucket of a duration: 1.04^(bucket - 1) to 1.04^bucket milliseconds. */
export function bucketOf(ms: number): number {
  return ms <= 1 ? 0 : Math.ceil(Math.log(Math.min(ms, SLOWEST_MS)) / BASE);
}

/** Counts one call more. */
export function count(histogram: Histogram, bucket: number): void {
  histogram.set(bucket, (histogram.get(bucket) ?? 0) + 1);
}
