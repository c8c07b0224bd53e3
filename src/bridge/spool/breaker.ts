// Whether the database is asked at all. The first text that it fails or keeps waiting opens the breaker for all.
import { isItemFault } from '../../database/faults.ts';
import { DarkspereError, messageOf } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';

export type Breaker = {
  readonly isOpen: boolean;
  /**
   * The work's value, or `late` as soon as the database is found to be away. Rejects for a fault of the item itself.
   * `patienceMs` for work that takes longer than others by its nature.
   */
  wait<T>(work: Promise<T>, patienceMs?: number): Promise<{ readonly value: T } | 'late'>;
  open(error: unknown): void;
  /** The database takes what it is given. */
  close(): void;
};

export type BreakerDeps = {
  readonly logger: Logger;
  /** How long an item may take. */
  readonly patienceMs: number;
  /** True when nothing is spooled. */
  isEmpty(): boolean;
};

/** An outage that comes and goes says so once a minute. */
const QUIET_MS = 60_000;

export function createBreaker({ logger, patienceMs, isEmpty }: BreakerDeps): Breaker {
  /** In the order of arrival: those that give up together go to the spool in it. */
  const waiting = new Set<() => void>();
  let isOpen = false;
  let saidMs = Number.NEGATIVE_INFINITY;
  let isAnnounced = false;

  function open(error: unknown): void {
    if (!isOpen) announce(error);
    isOpen = true;
    for (const giveUp of [...waiting]) giveUp();
  }

  function announce(error: unknown): void {
    if (performance.now() - saidMs < QUIET_MS) return;
    saidMs = performance.now();
    isAnnounced = true;
    logger.warn({ error: messageOf(error) }, 'the database does not take texts: they are kept in the spool');
  }

  return {
    get isOpen() {
      return isOpen;
    },
    open,
    close() {
      isOpen = false;
      if (!isAnnounced || !isEmpty()) return;
      isAnnounced = false;
      logger.info('the spool is drained: texts go to the database again');
    },
    wait<T>(work: Promise<T>, ownPatienceMs = patienceMs) {
      return new Promise<{ readonly value: T } | 'late'>((resolve, reject) => {
        const end = () => {
          clearTimeout(timer);
          waiting.delete(giveUp);
        };
        const giveUp = () => {
          end();
          resolve('late');
        };
        const timer = setTimeout(
          () => open(new DarkspereError('storage_unavailable', 'It takes too long.')),
          ownPatienceMs,
        );
        waiting.add(giveUp);
        work.then(
          (value) => {
            end();
            resolve({ value });
          },
          (error) => {
            if (!waiting.has(giveUp)) return;
            if (!isItemFault(error)) return open(error);
            end();
            reject(error);
          },
        );
      });
    },
  };
}
