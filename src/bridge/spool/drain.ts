// Brings the spool to the database: looks for it while it is away, then file by file, oldest first. A file is removed after
// the last of its commits; a kill in between makes the next process do that file again, and receipts make that nothing.
import { DarkspereError, messageOf } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { withinTime } from '../within-time.ts';
import type { Breaker } from './breaker.ts';
import { type ReplayDeps, replay } from './replay.ts';
import type { Segment, Spool } from './spool.ts';

export type DrainDeps = ReplayDeps & {
  readonly spool: Spool;
  /** True when the database can be used now. */
  databaseAnswers(): Promise<boolean>;
  readonly logger: Logger;
  readonly metrics: Metrics;
};

export type Drain = {
  /** Something was spooled while the database is there. */
  wake(): void;
  /** Drains what can be drained in a moment; the rest stays for the next start. */
  close(): Promise<void>;
};

/** Between looks for a database that is away. */
const PROBE_MS = 250;
/** Between looks for what gateways that are gone have left. */
const ADOPT_MS = 1_000;
/** Records brought to the database at once, and how long that may take before they are tried again. */
const CHUNK = 250;
const CHUNK_MS = 10_000;
/** A disk that hangs fails no call. What takes longer than this is its trouble too. */
const DISK_MS = 2_000;
const DISK_HANGS = 'The disk does not answer.';
/** How long a stop drains. */
const CLOSE_MS = 3_000;

export function startDrain(deps: DrainDeps, breaker: Breaker): Drain {
  const { spool, logger, metrics } = deps;
  const alarm = createAlarm();
  let endsMs = Number.POSITIVE_INFINITY;
  let adoptedMs = Number.NEGATIVE_INFINITY;
  let isReported = false;
  /** The file being drained, and how many of its records are in the database. */
  let progress = { path: '', done: 0 };
  /** Settles when the disk has done what it was asked last, however late. */
  let disk: Promise<unknown> = Promise.resolve();

  async function run(): Promise<void> {
    while (performance.now() < endsMs) {
      const state = await step().catch(async (error) => {
        if (!isReported) logger.error({ error: messageOf(error) }, 'the spool cannot be drained; trying on');
        isReported = true;
        // The disk's trouble, not the database's: texts still go there.
        if (await deps.databaseAnswers().catch(() => false)) breaker.close();
        return 'stuck' as const;
      });
      if (state !== 'stuck') isReported = false;
      if (state === 'drained') continue;
      if (endsMs !== Number.POSITIVE_INFINITY) return;
      await alarm.wait(state === 'idle' ? ADOPT_MS : PROBE_MS);
    }
  }

  /** What is late is waited for before anything else is asked: nothing is done twice, and what hangs holds one thread. */
  async function onDisk<T>(work: () => Promise<T>): Promise<T> {
    await withinTime(disk, DISK_MS, DISK_HANGS);
    const mine = work();
    disk = mine.catch(() => {});
    return withinTime(mine, DISK_MS, DISK_HANGS);
  }

  /** Rejects when the disk does not go along. */
  async function step(): Promise<'drained' | 'idle' | 'stuck'> {
    if (performance.now() - adoptedMs > ADOPT_MS) {
      await onDisk(() => spool.adopt());
      adoptedMs = performance.now();
    }
    // What others left here may be older than our own: it goes first.
    if (!spool.isDecided) return 'stuck';
    if (!breaker.isOpen && spool.records === 0) return 'idle';
    if (!(await deps.databaseAnswers())) {
      breaker.open(new DarkspereError('storage_unavailable', 'The database does not answer.'));
      return 'stuck';
    }
    const segment = await onDisk(() => spool.next());
    if (segment !== null && !(await drainSegment(segment))) return 'stuck';
    breaker.close();
    return segment === null ? 'idle' : 'drained';
  }

  /** False when the database does not go along. */
  async function drainSegment(segment: Segment): Promise<boolean> {
    if (progress.path !== segment.path) progress = { path: segment.path, done: 0 };
    const content = await onDisk(() => spool.read(segment, progress.done === 0));
    if (content === null) return true;
    while (progress.done < content.found.length) {
      const chunk = content.found.slice(progress.done, progress.done + CHUNK);
      // A connection that went silent must not hold the rest for ever: tried again, what it wrote after all is a duplicate.
      const refused = await withinTime(replay(chunk, deps), CHUNK_MS, 'It takes too long.').catch((error) => {
        breaker.open(error);
        return null;
      });
      if (refused === null) return false;
      for (const record of refused) await onDisk(() => spool.setAside(segment, record, content.file));
      progress.done += chunk.length;
      metrics.spoolDrained.inc(chunk.length);
      breaker.close();
    }
    await onDisk(() => spool.remove(segment));
    return true;
  }

  const running = run();
  return {
    wake: alarm.ring,
    async close() {
      endsMs = performance.now() + CLOSE_MS;
      alarm.ring();
      await running;
      if (spool.records > 0) logger.warn({ records: spool.records }, 'texts stay in the spool for the next start');
    },
  };
}

/** A sleep that can be ended, also before it has begun. */
function createAlarm() {
  let isRung = false;
  let end = () => {};
  return {
    ring(): void {
      isRung = true;
      end();
    },
    async wait(ms: number): Promise<void> {
      if (!isRung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          end = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isRung = false;
    },
  };
}
