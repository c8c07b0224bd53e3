// The carrier: takes people's texts to the customer's webhook, and the customer's texts on their way to people. No HTTP
// server here; rest-api.ts and control.ts talk to this.
import { DarkspereError } from '../../errors.ts';
import { countSegments } from '../segments.ts';
import { inboundFields } from './fields.ts';
import { createJourneys, type JourneyParts } from './journey.ts';
import type { Message, MessageStore } from './message.ts';
import type { OptOuts } from './opt-out.ts';
import type { Fields } from './webhooks.ts';

/** A message the customer asked for, checked and not yet accepted. */
export type Draft = Pick<Message, 'from' | 'to' | 'body' | 'mediaUrls' | 'messagingServiceSid' | 'statusCallback'>;

export type PersonText = {
  readonly from: string;
  /** The first of our numbers when absent. */
  readonly to?: string;
  readonly body: string;
  readonly mediaUrls?: readonly string[];
};

export type Carrier = {
  /** Stores the message as `queued`; nothing moves until `carry`. */
  accept(draft: Draft): Message;
  /** Starts the way of an accepted message to the phone. */
  carry(message: Message, validityMs: number): void;
  /** A person texts us. `answered` is the HTTP status of the webhook, 0 when there was no answer; it never rejects. */
  textFromPerson(text: PersonText): { sid: string; to: string; answered: Promise<number> };
  /** Where inbound texts are posted from now on. */
  setWebhookUrl(url: string): void;
  close(): void;
};

export type CarrierParts = JourneyParts & {
  readonly numbers: readonly string[];
  readonly webhookUrl: string;
  /** Origin of the simulator, known once it listens: media URLs start with it. */
  readonly baseUrl: () => string;
  /** Twilio's Advanced Opt-Out: the webhook says which keyword it was. */
  readonly advancedOptOut: boolean;
  readonly store: MessageStore;
  readonly optOuts: OptOuts;
};

export function createCarrier(parts: CarrierParts): Carrier {
  const { accountSid, events, faults, numbers, webhooks } = parts;
  const journeys = createJourneys(parts);
  let webhookUrl = parts.webhookUrl;
  let closed = false;

  const create = (draft: Draft, direction: Message['direction']): Message => {
    const hasMedia = draft.mediaUrls.length > 0;
    const nowMs = Date.now();
    const message: Message = {
      ...draft,
      sid: (hasMedia ? 'MM' : 'SM') + parts.random.hex(),
      direction,
      segments: hasMedia ? 1 : countSegments(draft.body).segments,
      createdAtMs: nowMs,
      sentAtMs: direction === 'inbound' ? nowMs : null,
      updatedAtMs: nowMs,
      status: direction === 'inbound' ? 'received' : 'queued',
      errorCode: null,
    };
    parts.store.add(message);
    return message;
  };

  const carry = (message: Message, validityMs: number): void => {
    if (!closed) journeys.start(message, validityMs);
  };

  const postInbound = async (message: Message, fields: Fields): Promise<number> => {
    // The copy carries an idempotency token of its own, as a redelivery from the network would: only MessageSid tells.
    const copy = faults.take('duplicateWebhooks') !== null ? webhooks.post(webhookUrl, fields) : null;
    const result = await webhooks.post(webhookUrl, fields);
    await copy;
    if (result.problem === null) {
      events.emit('status', message);
      return result.status;
    }
    events.counts.webhookFailures += 1;
    events.noteProblem(message.sid, `webhook: ${result.problem}`);
    events.emit('status', message, { status: 'failed', errorCode: 11_200, detail: result.problem });
    return result.status;
  };

  return {
    accept: (draft) => create(draft, 'outbound-api'),
    carry,
    textFromPerson({ from, body, to = numbers[0]!, mediaUrls = [] }) {
      if (!numbers.includes(to)) {
        throw new DarkspereError('invalid_request', 'to: not a number of this account.', { param: 'to' });
      }
      const plain = { messagingServiceSid: null, statusCallback: null };
      const message = create({ from, to, body, mediaUrls, ...plain }, 'inbound');
      events.counts.textsIn += 1;
      events.emit('text-in', message);
      const { keyword, answer } = parts.optOuts.apply(to, from, body);
      const optOutType = parts.advancedOptOut ? keyword : null;
      const answered = postInbound(
        message,
        inboundFields(message, { accountSid, baseUrl: parts.baseUrl(), optOutType }),
      );
      if (answer !== null) {
        const reply = create({ from: to, to: from, body: answer, mediaUrls: [], ...plain }, 'outbound-reply');
        carry(reply, Number.POSITIVE_INFINITY);
      }
      return { sid: message.sid, to, answered };
    },
    setWebhookUrl(url) {
      webhookUrl = url;
    },
    close() {
      closed = true;
      journeys.close();
    },
  };
}
