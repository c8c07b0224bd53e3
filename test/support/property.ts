// Properties whose every run takes a database some time.
import type { Parameters } from 'fast-check';

/** Less than what a test has: a failure that is still being made smaller then is told as small as it is, not lost with the test. */
const LIMIT_MS = 100_000;

/** Parameters of a property for as many runs, with what else there is to say. */
export function runs<T>(numRuns: number, more: Parameters<T> = {}): Parameters<T> {
  return { numRuns, interruptAfterTimeLimit: LIMIT_MS, ...more };
}
