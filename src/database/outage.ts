import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import { isOutage } from './faults.ts';

/** Says once that the database is away and once that it is back, whoever notices, however often. */
export type Outage = {
  /** True when the error was the database's being away, and is thereby dealt with. */
  noticed(error: unknown): boolean;
  /** The database has just answered. */
  over(): void;
};

export function createOutage(logger: Logger): Outage {
  let sinceMs: number | null = null;
  return {
    noticed(error) {
      if (!isOutage(error)) return false;
      if (sinceMs === null) {
        sinceMs = performance.now();
        logger.warn({ error: messageOf(error) }, 'the database is away; waiting for it');
      }
      return true;
    },
    over() {
      if (sinceMs === null) return;
      logger.warn({ ms: Math.round(performance.now() - sinceMs) }, 'the database is back');
      sinceMs = null;
    },
  };
}
