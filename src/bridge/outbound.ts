// The `send` job: one part to the carrier, once. The part is marked `sending` and committed before the request leaves, so
// that a crash in between can never turn into a second text.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, Part, SendOutcome } from '../channels/channel.ts';
import { isItemFault } from '../database/faults.ts';
import { microBatch } from '../database/micro-batch.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { CarrierStanding } from './carrier-standing.ts';
import { sendExchange } from './exchange.ts';
import { createSlots, SlotsClosed } from './slots.ts';
import { blankRecord, type ClaimedPart, claimParts, recordSends, type SendRecord, type VoidedPart } from './store.ts';

export type OutboundDeps = {
  readonly sql: Sql;
  readonly channel: Channel;
  readonly optOutScope: string | null;
  /** The pool in whose name parts are claimed: while it lives nobody else takes them for lost. */
  readonly poolId: string;
  readonly standing: CarrierStanding;
  readonly logger: Logger;
  readonly metrics: Metrics;
};

/** A part in this process's hands, and when it asked for it, monotonic milliseconds. */
type Claim = { readonly part: ClaimedPart; readonly askedMs: number };

export type SendPayload = { readonly p: string };

export type Outbound = {
  /** Runs one `send` job. Resolves when its outcome is committed. */
  send(payload: SendPayload): Promise<void>;
  record(record: SendRecord): Promise<void>;
  /** Sends a part ahead of its job, which does it two seconds later when this process cannot. Never throws. */
  sendNow(partId: string): void;
  /** Hears of a STOP: `<conversation> <epoch>`. What is claimed of that conversation and has not left does not leave. */
  cancel(notice: string): void;
  /** Resolves when everything that `sendNow` began is recorded. */
  idle(): Promise<void>;
};

/**
 * Refusals that may pass (429, refused connections, an account that an operator has to put right) are tried for as long as the
 * part is worth sending: `claim_parts` ends it. The pauses grow up to this and differ, so that a long outage costs the database
 * little and what it held up comes back spread out.
 */
const LONGEST_RETRY_MS = 120_000;
const FIRST_RETRY_MS = 1_000;
/** So many calls of a part are kept on record, and one in ten of those after them: an outage has hundreds that say the same. */
const KEPT_CALLS = 10;
const FIRST_LOOK_MS = 5_000;
/** The text is with the carrier already: nobody waits for the record, and it costs less in company. */
const RECORD_LINGER_MS = 5;
/** Parts claimed and not with the carrier yet: fewer than it has connections, so that no claim waits for one to be free. */
const MAX_UNDER_WAY = 240;
/**
 * Something may have happened since the claim that this process has not heard of, a STOP above all: it claims again. Less than
 * what a STOP waits for sends under way (LAST_SENDS_MS), so that nothing leaves after it even if nobody hears of it. Twice
 * as long each time that a part was held back for it, so that a slow database or connection makes a text late and never stops it.
 */
const CLAIM_HOLDS_MS = 500;
export const LONGEST_HOLD_MS = 8_000;
/**
 * An answer to a keyword leaves after a STOP too. But a process that was suspended must not send what another may have taken
 * for lost, looked for (a minute after its claim) and sent.
 */
const NOTICE_HOLDS_MS = 30_000;
/** More parts than are under way: of those that another process took over the count is dropped in the end. */
const MAX_HELD_BACK = 1_000;

export function createOutbound(deps: OutboundDeps): Outbound {
  const { sql, logger, metrics, standing } = deps;
  const refuse = () => new DarkspereError('storage_unavailable');
  const claims = microBatch<string, Claim | 'again' | null>({
    maxSize: 128,
    flights: 2,
    maxWaiting: 100_000,
    async flush(ids) {
      const askedMs = performance.now();
      const once = [...new Set(ids)];
      const claimed = await claimParts(sql, once, deps.optOutScope, deps.poolId, onVoided);
      const byPart = new Map(once.map((id, n) => [id, claimed[n]]));
      return ids.map((id) => {
        const part = byPart.get(id);
        byPart.set(id, undefined);
        return part === undefined ? 'again' : part && { part, askedMs };
      });
    },
    refuse,
  });

  function onVoided({ part_id: part, void_code: code, error_reason: reason }: VoidedPart): void {
    if (code !== 'expired') return;
    metrics.partsExpired.inc();
    logger.warn({ part, reason }, 'a part was not sent in the time that it was worth sending');
  }

  const records = microBatch<SendRecord, null>({
    maxSize: 128,
    flights: 1,
    lingerMs: RECORD_LINGER_MS,
    maxWaiting: 100_000,
    flush: async (batch) => {
      await recordSends(sql, batch, deps.optOutScope);
      return batch.map(() => null);
    },
    isItemFault,
    refuse,
  });

  /** The carrier has answered: what it said must be written down, however long the database is away. */
  async function record(result: SendRecord): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await records.add(result);
        return;
      } catch (error) {
        // Once: in an outage every send under way is here, and each tries every second.
        if (attempt === 0)
          logger.warn({ part: result.part_id, error: messageOf(error) }, 'a send waits to be recorded');
        await sleep(Math.min(1_000, 50 * 2 ** attempt));
      }
    }
  }

  const underWay = createSlots(MAX_UNDER_WAY);

  async function send({ p }: SendPayload): Promise<void> {
    const sent = await underWay.run(() => claimAndSend(p));
    if (sent) await record(sent);
  }

  /** What is to be recorded; null when the part is not ours to send. */
  async function claimAndSend(p: string): Promise<SendRecord | null> {
    let claim = await claims.add(p);
    // `sendNow` waited until the part's job was due, and both were in one batch. Asked for once more, a part that is on its way gets
    // another job: this one ends now, and if the process died then, the part would have none.
    while (claim === 'again') claim = await claims.add(p);
    if (!claim) {
      heldBack.delete(p);
      return null;
    }
    const { part } = claim;
    const { outcome, call } = await deps.channel.send(toPart(part), AbortSignal.timeout(30_000), () => mayLeave(claim));
    const isLater = outcome.kind === 'refused' && outcome.retry === 'later';
    metrics.sends.inc({ outcome: isLater ? 'later' : outcome.kind });
    const isKnown = standing.heard(outcome);
    if (outcome.kind === 'withheld') {
      holdLonger(p);
      return toRecord(part, outcome);
    }
    heldBack.delete(p);
    if (outcome.kind !== 'accepted') {
      const level = isKnown ? 'debug' : 'warn';
      logger[level](
        { part: p, outcome: outcome.kind, code: 'code' in outcome ? outcome.code : null },
        'a part was not accepted',
      );
    }
    const isKept = !isLater || part.attempts <= KEPT_CALLS || part.attempts % 10 === 0;
    return {
      ...toRecord(part, outcome),
      exchanges: isKept ? [sendExchange(part.attempts, outcome, call)] : [],
    };
  }

  /** Parts that were held back, and how often in a row. */
  const heldBack = new Map<string, number>();

  function holdLonger(p: string): void {
    const times = (heldBack.get(p) ?? 0) + 1;
    heldBack.delete(p);
    heldBack.set(p, times);
    if (heldBack.size > MAX_HELD_BACK) heldBack.delete(heldBack.keys().next().value ?? p);
  }

  /** Conversations that were stopped of late, and when this process heard it, monotonic milliseconds. */
  const stops = new Map<string, number>();

  /** Asked when the request is about to leave: the claim may have been overtaken by a STOP, or this process suspended. */
  function mayLeave({ part, askedMs }: Claim): boolean {
    const ageMs = performance.now() - askedMs;
    if (part.kind === 'notice') return ageMs < NOTICE_HOLDS_MS;
    const stoppedMs = stops.get(part.conversation_id) ?? Number.NEGATIVE_INFINITY;
    const holdsMs = Math.min(LONGEST_HOLD_MS, CLAIM_HOLDS_MS * 2 ** (heldBack.get(part.part_id) ?? 0));
    return stoppedMs < askedMs && ageMs < holdsMs;
  }

  const ahead = new Set<Promise<void>>();
  return {
    send,
    record,
    sendNow(partId) {
      const sent = send({ p: partId })
        .catch((error) => {
          if (!(error instanceof SlotsClosed))
            logger.warn({ part: partId, error: messageOf(error) }, 'a part waits for its job');
        })
        .finally(() => ahead.delete(sent));
      ahead.add(sent);
    },
    cancel(notice) {
      const nowMs = performance.now();
      // Older ones stop nothing: their claims have lost their hold.
      for (const [conversation, atMs] of stops) {
        if (nowMs - atMs < 2 * LONGEST_HOLD_MS) break;
        stops.delete(conversation);
      }
      const [conversation = ''] = notice.split(' ');
      stops.delete(conversation);
      stops.set(conversation, nowMs);
    },
    async idle() {
      underWay.close();
      await Promise.all(ahead);
    },
  };
}

function toPart(claimed: ClaimedPart): Part {
  return {
    id: claimed.part_id,
    channel: claimed.channel,
    from: claimed.our_address,
    to: claimed.their_address,
    text: claimed.body,
    mediaUrls: claimed.media_urls,
    validitySeconds: claimed.valid_seconds,
  };
}

function toRecord(claimed: ClaimedPart, outcome: SendOutcome): SendRecord {
  const base = blankRecord(claimed.part_id, claimed);
  switch (outcome.kind) {
    case 'accepted':
      return { ...base, state: 'accepted', provider_id: outcome.providerId, segments: outcome.segments };
    case 'withheld':
      // Claimed again at once: then it is void, or leaves after all.
      return { ...base, state: 'queued', run_at_ms: 0 };
    case 'unknown':
      return { ...base, state: 'unknown', error_reason: outcome.reason, run_at_ms: FIRST_LOOK_MS };
    case 'refused': {
      const again = outcome.retry === 'later';
      return {
        ...base,
        state: again ? 'queued' : 'failed',
        error_code: outcome.code,
        error_reason: outcome.reason,
        run_at_ms: again ? retryDelayMs(claimed.attempts, outcome.afterMs) : null,
        opted_out: outcome.optedOut,
      };
    }
  }
}

/** Exponential from 1 s with full jitter on top of what the carrier asked for. */
function retryDelayMs(attempts: number, askedMs: number | null): number {
  const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1));
  return Math.round((askedMs ?? ceiling / 2) + (Math.random() * ceiling) / 2);
}
