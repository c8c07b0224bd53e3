// The worker's side of the mailbox: the `turn` job. At most one lives per conversation; it drains the conversation in
// order and ends when nothing waits. See README.md for the invariants.
import { setTimeout as sleep } from 'node:timers/promises';
import { isItemFault, isOutage } from '../database/faults.ts';
import { microBatch } from '../database/micro-batch.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import { packNotice } from './reply.ts';
import {
  type Ended,
  finishTurns,
  giveBack,
  type Start,
  startTurns,
  type Turn,
  type TurnEnd,
  type TurnJob,
  tellToWait,
} from './store.ts';
import { abandonTurn, answerTurn, interrupted, type TurnDeps } from './turn.ts';

export type MailboxDeps = TurnDeps & {
  readonly sql: Sql;
  readonly logger: Logger;
  readonly quietMs: number;
  readonly pacing: boolean;
  /** Sends a part whose time has come, without waiting for its job. */
  sendNow(partId: string): void;
};

/** Payload of a `turn` job: conversation, token, burst window in milliseconds. */
export type TurnPayload = { readonly c: string; readonly t: number; readonly q?: number };

export type Mailbox = {
  /** Runs one job: answers turns of its conversation until nothing waits. Never leaves a text without a job. */
  run(payload: TurnPayload): Promise<void>;
  /** Hears of a STOP: `<conversation> <epoch>`. Aborts the conversation's turn if it is older than that epoch. */
  cancel(notice: string): void;
  /** Looks for STOPs that nobody told us of, as while the connection that hears them was away. */
  catchUp(): Promise<void>;
  /** Hears that a person has said more: `<conversation> <epoch>`. The turn with that epoch is cut off and made anew. */
  interrupt(notice: string): void;
  /** Gives every held conversation back and refuses new ones. */
  stop(): void;
};

/** Texts an agent is given at once; of a flood the middle is left out. */
const MAX_TEXTS = 50;
/** A longer wait is left to the queue: it must not take a slot from others. */
const LONGEST_WAIT_MS = 6_000;
/** After this a chatty conversation goes to the end of the line. */
const MAX_JOB_MS = 30_000;
/** A head that has been started this often without an end breaks its workers. */
const MAX_TRIES = 10;
/** Tries to commit an answer that the database refuses. While it is away there is no end: the answer is kept. */
const MAX_COMMITS = 15;
/** Between tries: a database that is back is wanted at once. */
const LONGEST_PAUSE_MS = 1_000;
const MAX_BATCH = 128;
/** An agent's progress is worth a text once it has taken so long that a person wonders. */
const PROGRESS_TOLD_AFTER_MS = 5_000;
/** Why a call was aborted, where the person goes on talking. */
const INTERRUPTED = Symbol('interrupted');

export function createMailbox(deps: MailboxDeps): Mailbox {
  const { sql, logger } = deps;
  const held = new Map<string, { controller: AbortController; epoch: number }>();
  const shutdown = new AbortController();
  const refuse = () => new DarkspereError('storage_unavailable');
  const starts = microBatch<TurnJob, Start>({
    maxSize: MAX_BATCH,
    flights: 2,
    maxWaiting: 100_000,
    flush: (jobs) => startTurns(sql, jobs, { quietMs: deps.quietMs, maxTexts: MAX_TEXTS }),
    refuse,
  });
  const ends = microBatch<TurnEnd, Ended | null>({
    maxSize: MAX_BATCH,
    flights: 2,
    maxWaiting: 100_000,
    flush: (batch) => finishTurns(sql, batch, { pacing: deps.pacing }),
    isItemFault,
    refuse,
  });

  async function drain(job: TurnJob, quietMs: number): Promise<void> {
    const startedMs = deps.clock.monotonicMs();
    let waitMs = quietMs;
    while (true) {
      if (waitMs > 0) await sleep(waitMs, undefined, { signal: shutdown.signal });
      if (deps.clock.monotonicMs() - startedMs > MAX_JOB_MS) {
        await giveBack(sql, job, 0);
        return;
      }
      const start = await starts.add(job);
      if (!start) return;
      if (start.kind === 'wait') {
        if (start.nowHeld) noteHold(job);
        if (start.ms > LONGEST_WAIT_MS) {
          await giveBack(sql, job, start.ms);
          return;
        }
        waitMs = start.ms;
        continue;
      }
      waitMs = 0;
      if ((await serve(start.turn)) !== 'more') return;
    }
  }

  function noteHold(job: TurnJob): void {
    deps.metrics.conversationsHeld.inc();
    logger.warn(
      { conversation: job.conversationId },
      'a conversation goes round too fast for a person; its texts wait and are answered together',
    );
  }

  /** Answers one turn and commits it. `more`: texts wait already; `idle`: none; `lost`: the turn is not ours any more. */
  async function serve(turn: Turn): Promise<'more' | 'idle' | 'lost'> {
    const startedMs = deps.clock.monotonicMs();
    const controller = new AbortController();
    held.set(turn.conversationId, { controller, epoch: turn.epoch });
    deps.metrics.turnsHeld.inc();
    const telling = turn.hold?.ms ? setTimeout(() => void tell(turn), turn.hold.ms) : undefined;
    const onProgress = tellOnce(() => tell(turn), startedMs + PROGRESS_TOLD_AFTER_MS);
    try {
      const signal = AbortSignal.any([controller.signal, shutdown.signal]);
      const answered = turn.tries > MAX_TRIES ? abandonTurn(turn) : await answerTurn(turn, deps, signal, onProgress);
      clearTimeout(telling);
      const end = controller.signal.reason === INTERRUPTED ? interrupted(turn, answered) : answered;
      const committed = await commit(end);
      if (!committed) {
        // Cut off by our own stop: the texts are still ours to give back.
        shutdown.signal.throwIfAborted();
        return 'lost';
      }
      if (committed.sendNow !== null) deps.sendNow(committed.sendNow);
      deps.metrics.turns.inc({ state: end.state });
      deps.metrics.turnSeconds.observe((deps.clock.monotonicMs() - startedMs) / 1000);
      if (end.state === 'fell_back') {
        logger.warn(
          { turn: turn.turnId, conversation: turn.conversationId, code: end.error_code },
          'no agent could answer',
        );
      }
      return committed.pending ? 'more' : 'idle';
    } finally {
      clearTimeout(telling);
      if (held.get(turn.conversationId)?.controller === controller) held.delete(turn.conversationId);
      deps.metrics.turnsHeld.dec();
    }
  }

  /** Calls `tell` the first time it is called after `fromMs`: an agent may report progress many times in a second. */
  function tellOnce(tell: () => Promise<void>, fromMs: number): () => void {
    let told = false;
    return () => {
      if (told || deps.clock.monotonicMs() < fromMs) return;
      told = true;
      void tell();
    };
  }

  async function tell(turn: Turn): Promise<void> {
    if (turn.hold === null) return;
    try {
      const part = await tellToWait(sql, turn, packNotice(turn.hold.text), { pacing: deps.pacing });
      if (part !== null) deps.sendNow(part);
    } catch (error) {
      logger.warn({ turn: turn.turnId, error: messageOf(error) }, 'a person could not be told to wait');
    }
  }

  /**
   * Commits an end; an answer that is there already is not thrown away because the database is away for a moment. After a
   * lost connection nobody knows whether the first try was written: the next one finds out.
   */
  async function commit(end: TurnEnd): Promise<Ended | null> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await ends.add(end);
      } catch (error) {
        const isHopeless = isItemFault(error) || (attempt >= MAX_COMMITS && !isOutage(error));
        if (isHopeless || shutdown.signal.aborted) throw error;
        await sleep(Math.min(LONGEST_PAUSE_MS, 50 * 2 ** attempt));
      }
    }
  }

  return {
    async run(payload) {
      const job = { conversationId: payload.c, token: payload.t };
      try {
        shutdown.signal.throwIfAborted();
        await drain(job, payload.q ?? 0);
      } catch (error) {
        if (!shutdown.signal.aborted) {
          logger.error(
            { conversation: job.conversationId, error: messageOf(error) },
            'a turn broke; its texts go back in line',
          );
        }
        await giveBackForSure(job, shutdown.signal.aborted ? 0 : 1_000);
      }
    },
    cancel(notice) {
      const [conversationId = '', epoch = ''] = notice.split(' ');
      cancelBefore(conversationId, Number(epoch));
    },
    async catchUp() {
      const rows = await sql<{ id: string; epoch: number }[]>`
        select id, epoch from conversations where id = any (${[...held.keys()]}::uuid[])`;
      for (const { id, epoch } of rows) cancelBefore(id, epoch);
    },
    interrupt(notice) {
      const [conversationId = '', epoch = ''] = notice.split(' ');
      const turn = held.get(conversationId);
      if (turn?.epoch === Number(epoch)) turn.controller.abort(INTERRUPTED);
    },
    stop() {
      shutdown.abort();
    },
  };

  function cancelBefore(conversationId: string, epoch: number): void {
    const turn = held.get(conversationId);
    if (turn && turn.epoch < epoch) turn.controller.abort();
  }

  /**
   * The job may only end when its texts have another one. While the database is away this waits; if the process dies
   * first, the job is still locked by a dead pool and is taken over.
   */
  async function giveBackForSure(job: TurnJob, delayMs: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await giveBack(sql, job, delayMs);
        return;
      } catch (error) {
        if (shutdown.signal.aborted && attempt >= 3) throw error;
        await sleep(Math.min(LONGEST_PAUSE_MS, 100 * 2 ** attempt));
      }
    }
  }
}
