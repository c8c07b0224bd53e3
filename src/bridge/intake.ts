// Where a verified webhook goes: to the database, or to the spool while that is away. The webhook is answered 200 when one of
// them has it for sure.
//
// The database gets its chance first. The first text that it fails or keeps waiting opens the breaker: from then on texts go
// to the spool without asking it, so that an outage costs a webhook one fsync and the database nothing. Draining looks for it
// and closes the breaker with the first batch that it takes. Until a conversation is drained its newer texts go behind the
// older ones; texts of everybody else go straight to the database again, so steady traffic cannot keep the spool in use.
//
// A STOP is not acknowledged from the spool. The database may be away for this gateway alone, and then workers go on sending to
// somebody who was told that they do not. It is kept all the same, and answered 503: so the carrier tries another gateway
// (`#rp=5xx`, or the number's fallback URL), and should nobody take it, it holds from the drain on. In both places it is one STOP.
//
// A phone that was without a signal sends all at once. What comes right behind a START must not be judged before it.
import type { Inbound, StatusReport } from '../channels/channel.ts';
import { DarkspereError } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createBreaker } from './spool/breaker.ts';
import { startDrain } from './spool/drain.ts';
import type { Entry } from './spool/record.ts';
import type { ReplayDeps } from './spool/replay.ts';
import type { Spool } from './spool/spool.ts';
import type { StatusOutcome } from './store.ts';
import { withinTime } from './within-time.ts';

export type IntakeDeps = ReplayDeps & {
  /** Null: what the database does not take is refused. */
  readonly spool: Spool | null;
  /** True when the database can be used now. */
  databaseAnswers(): Promise<boolean>;
  readonly logger: Logger;
  readonly metrics: Metrics;
};

export type TextOutcome = 'keyword' | 'duplicate' | 'refused' | 'stored' | 'spooled';

export type Intake = {
  /**
   * Durable when it resolves; a STOP is in the database then. Throws `storage_unavailable` within a second, also for a STOP
   * that only the spool has.
   */
  text(text: Inbound): Promise<TextOutcome>;
  status(report: StatusReport): Promise<StatusOutcome | 'spooled'>;
  /** Drains what can be drained now; the rest stays for the next start. */
  close(): Promise<void>;
};

/** Twilio waits 15 s but answers nobody meanwhile: when nothing takes the text it must hear so and use its fallback. */
const TOTAL_MS = 900;
/** What the database gets of it. */
const DATABASE_MS = 600;
/** And of a STOP, which waits 0.7 s for sends that are under way (consent.ts): that is no outage. */
const STOP_MS = 800;
/** How long a text waits for a keyword before it, which mostly takes milliseconds. What is left is enough for the database and the spool. */
const KEYWORD_MS = 200;

export function createIntake(deps: IntakeDeps): Intake {
  const { spool } = deps;
  const store = { text: (text: Inbound) => storeText(deps, text), status: deps.delivery.apply };
  const behindKeywords = inOrder(deps.consent);
  if (spool === null) {
    return {
      text: (text) =>
        deps.consent.isStop(text)
          ? withinTime(store.text(text), TOTAL_MS)
          : behindKeywords(text, (leftMs) => withinTime(store.text(text), leftMs)),
      status: (report) => withinTime(store.status(report), TOTAL_MS),
      async close() {},
    };
  }
  const breaker = createBreaker({ logger: deps.logger, patienceMs: DATABASE_MS, isEmpty: () => spool.records === 0 });
  const drain = startDrain({ ...deps, spool }, breaker);

  async function keep(entry: Entry): Promise<'spooled'> {
    await spool!.keep(entry);
    if (!breaker.isOpen) drain.wake();
    return 'spooled';
  }

  async function take<T>(entry: Entry, direct: () => Promise<T>, leftMs = TOTAL_MS): Promise<T | 'spooled'> {
    const startedMs = performance.now();
    const work = direct();
    const first = await breaker.wait(work);
    if (first !== 'late') return first.value;
    // The database may still take it, and so may the spool: in both it is one text.
    const either = Promise.any([keep(entry), work]).catch(() => {
      throw new DarkspereError('storage_unavailable');
    });
    return withinTime<T | 'spooled'>(either, leftMs - (performance.now() - startedMs));
  }

  /** Kept whatever comes; resolves only when the database has it. */
  async function takeStop(text: Inbound): Promise<TextOutcome> {
    const startedMs = performance.now();
    if (!breaker.isOpen && !spool!.holds(text)) {
      const first = await breaker.wait(store.text(text), STOP_MS);
      if (first !== 'late') return first.value;
    }
    await withinTime(keep({ kind: 'text', text }), TOTAL_MS - (performance.now() - startedMs));
    throw new DarkspereError(
      'storage_unavailable',
      'The STOP is kept; workers cannot know it before the database does.',
    );
  }

  return {
    async text(text) {
      if (deps.consent.isStop(text)) return takeStop(text);
      const entry = { kind: 'text', text } as const;
      return behindKeywords(text, (leftMs) => {
        if (breaker.isOpen || spool.holds(text)) return withinTime(keep(entry), leftMs);
        return take(entry, () => store.text(text), leftMs);
      });
    },
    async status(report) {
      // Reports need no order: states only move forward.
      const entry = { kind: 'status', report } as const;
      return breaker.isOpen ? withinTime(keep(entry), TOTAL_MS) : take(entry, () => store.status(report));
    },
    close: drain.close,
  };
}

type Work = (leftMs: number) => Promise<TextOutcome>;

/** Does what is to be done with a text when a keyword of the same person that is under way has been taken, or takes too long. */
function inOrder({ scopeOf, concerns }: ReplayDeps['consent']): (text: Inbound, work: Work) => Promise<TextOutcome> {
  const underWay = new Map<string, Promise<void>>();
  return async (text, work) => {
    const startedMs = performance.now();
    const scope = scopeOf(text);
    const before = underWay.get(scope);
    if (before !== undefined) await withinTime(before, KEYWORD_MS).catch(() => {});
    const taken = work(TOTAL_MS - (performance.now() - startedMs));
    if (!concerns(text)) return taken;
    const ended = taken.then(
      () => {},
      () => {},
    );
    underWay.set(scope, ended);
    try {
      return await taken;
    } finally {
      if (underWay.get(scope) === ended) underWay.delete(scope);
    }
  };
}

/** Keywords first, then the mailbox. Resolves after the commit. */
async function storeText({ consent, ingest }: ReplayDeps, text: Inbound): Promise<TextOutcome> {
  if (await consent.handle(text)) return 'keyword';
  const taken = await ingest.take(text);
  if (taken === null) return 'duplicate';
  return taken.refused === null ? 'stored' : 'refused';
}
