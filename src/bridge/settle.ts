// The `settle` job: a part whose send nobody knows the end of. Twilio's create call has no idempotency key, so the part is
// looked for in the carrier's list; it is sent again only when the carrier surely does not have it.
import type { Channel, SentMessage } from '../channels/channel.ts';
import { follow, steadyMs } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Outbound, SendPayload } from './outbound.ts';
import { blankRecord, findUnknownPart, type SendRecord, type UnknownPart } from './store.ts';

export type SettleDeps = {
  readonly sql: Sql;
  readonly channel: Channel;
  readonly outbound: Outbound;
  readonly logger: Logger;
  /** A request that left us may still be on its way to the carrier's list for this long. */
  readonly graceMs?: number;
};

const GRACE_MS = 60_000;
const LOOK_AGAIN_MS = 10_000;
/** A carrier that cannot be asked is asked again after a tenth of the time that it could not, this long at least and at most. */
const UNREACHABLE_MS = { least: 15_000, most: 120_000 };
/** Longest a try can take, with the carrier's clock a little off. */
const TRY_MS = 45_000;

export function createSettle(deps: SettleDeps): (payload: SendPayload) => Promise<void> {
  const graceMs = deps.graceMs ?? GRACE_MS;
  return async ({ p }) => {
    const part = await findUnknownPart(deps.sql, p);
    if (!part) return;
    // Whether the database's clock was set since anybody looked is seen here before the age is believed.
    follow(part.now);
    const record = (known: Pick<SendRecord, 'state'> & Partial<SendRecord>) =>
      deps.outbound.record({ ...blankRecord(p, part), ...known });
    let found: SentMessage | undefined;
    try {
      found = match(part, await list(deps.channel, part));
    } catch (error) {
      deps.logger.warn({ part: p, error: messageOf(error) }, 'the carrier could not be asked about a part');
      const error_reason = 'the carrier could not be asked';
      if (part.is_worthless) return record({ state: 'failed', error_code: 'unknown_outcome', error_reason });
      const againMs = Math.min(UNREACHABLE_MS.most, Math.max(UNREACHABLE_MS.least, Math.round(part.age_ms / 10)));
      return record({ state: 'unknown', error_reason, run_at_ms: againMs });
    }
    if (found) return record({ state: 'accepted', provider_id: found.providerId, segments: found.segments });
    // Too young, or the database's clock was set ahead meanwhile: then nobody knows how old it is.
    if (Math.min(part.age_ms, steadyMs()) < graceMs)
      return record({ state: 'unknown', error_reason: 'not at the carrier yet', run_at_ms: LOOK_AGAIN_MS });
    return record({ state: 'queued', error_reason: 'the carrier never had it', run_at_ms: 0 });
  };
}

function list(channel: Channel, part: UnknownPart): Promise<SentMessage[]> {
  return channel.findSent(
    { channel: part.channel, from: part.our_address, to: part.their_address, since: part.sending_at },
    AbortSignal.timeout(30_000),
  );
}

/**
 * The message at the carrier that is this part: the same words, not one of the conversation's other parts. The carrier may
 * change what is between the words (smart encoding), and a Twilio trial account puts some before them. Failing that, a message
 * made by us at the time of the try that is nobody else's: better to believe that than to send a second one. One with the
 * words of another part under way (a notice that overtook this one) is that part's.
 */
function match(part: UnknownPart, messages: readonly SentMessage[]): SentMessage | undefined {
  const known = new Set(part.known_ids);
  const unclaimed = messages.filter((message) => !known.has(message.providerId));
  const words = wordsOf(part.body);
  const others = new Set(part.other_bodies.map(wordsOf));
  const triedMs = part.sending_at.getTime();
  return (
    unclaimed.find((message) => message.text === part.body) ??
    // Pictures alone have no words, and every message ends with none.
    unclaimed.find((message) => words !== '' && wordsOf(message.text).endsWith(words)) ??
    unclaimed.find(
      ({ isAsked, createdAt, text }) =>
        isAsked && Math.abs(createdAt.getTime() - triedMs) < TRY_MS && !others.has(wordsOf(text)),
    )
  );
}

function wordsOf(text: string): string {
  const words = text.normalize('NFKC').replace(/[^\p{Letter}\p{Number}]/gu, '');
  return words === '' ? text.trim() : words;
}
