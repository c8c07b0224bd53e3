// The carrier: takes people's texts to the customer's webhook, and the customer's texts on their way to people. No HTTP
// server here; rest-api.ts and control.ts talk to this.
import { DarkspereError } from '../../errors.ts';
import { countSegments } from '../segments.ts';
import { MAX_CHARACTERS } from './create-message.ts';
import type { Subject } from './faults.ts';
import { inboundFields } from './fields.ts';
import { createInboundTexts, type InboundParts } from './inbound-texts.ts';
import { createJourneys, type JourneyParts } from './journey.ts';
import { createLoopGuard } from './loop-guard.ts';
import type { Message, MessageStore } from './message.ts';
import type { OptOuts } from './opt-out.ts';
import type { TwimlMessage } from './twiml.ts';
import { isWhatsApp, onChannelOf, plainAddress } from './whatsapp.ts';

/** A message the customer asked for, checked and not yet accepted. */
export type Draft = Pick<
  Message,
  'from' | 'to' | 'body' | 'mediaUrls' | 'messagingServiceSid' | 'statusCallback' | 'contentSid' | 'sendAtMs'
>;

export type PersonText = {
  /** A number, or an address with `whatsapp:` before it. */
  readonly from: string;
  /** The first of our numbers when absent. */
  readonly to?: string;
  readonly body: string;
  readonly mediaUrls?: readonly string[];
};

export type Carrier = {
  /** Stores the message as `queued` or `scheduled`; nothing moves until `carry`. Lists show it `listedAfterMs` later. */
  accept(draft: Draft, listedAfterMs?: number): Message;
  /** Starts the way of an accepted message to the phone; resolves when its end was reported. */
  carry(message: Message, validityMs: number, subject: Subject): Promise<void>;
  /** Takes a scheduled message back; false when it has left. */
  cancel(message: Message): boolean;
  /** A person texts us. `answered` is the HTTP status of the webhook, 0 when there was no answer; it never rejects. */
  textFromPerson(text: PersonText): { sid: string; to: string; answered: Promise<number> };
  /** Where inbound texts are posted from now on. */
  setUrls(webhookUrl: string, fallbackUrl: string | null): void;
  close(): void;
};

export type CarrierParts = JourneyParts &
  Omit<InboundParts, 'reply'> & {
    readonly numbers: readonly string[];
    /** Origin of the simulator, known once it listens: media URLs start with it. */
    readonly baseUrl: () => string;
    /** Twilio's Advanced Opt-Out: the webhook says which keyword it was. */
    readonly advancedOptOut: boolean;
    readonly store: MessageStore;
    readonly optOuts: OptOuts;
  };

/** What a text of a person and a reply of the carrier have not. */
const PLAIN = { messagingServiceSid: null, statusCallback: null, contentSid: null, sendAtMs: null } as const;

function segmentsOf({ body, mediaUrls, to, from }: Draft): number {
  const isOneMessage = mediaUrls.length > 0 || isWhatsApp(to) || isWhatsApp(from);
  return isOneMessage ? 1 : countSegments(body).segments;
}

export function createCarrier(parts: CarrierParts): Carrier {
  const { accountSid, events, faults, history, numbers, timers, windows } = parts;
  const journeys = createJourneys(parts);
  const loops = createLoopGuard();

  const create = (draft: Draft, direction: Message['direction'], listedAfterMs = 0): Message => {
    const nowMs = Date.now();
    const isInbound = direction === 'inbound';
    const message: Message = {
      ...draft,
      sid: (draft.mediaUrls.length > 0 ? 'MM' : 'SM') + parts.random.hex(),
      direction,
      segments: segmentsOf(draft),
      createdAtMs: nowMs,
      listedAtMs: nowMs + listedAfterMs,
      sentAtMs: isInbound ? nowMs : null,
      updatedAtMs: nowMs,
      status: isInbound ? 'received' : draft.sendAtMs === null ? 'queued' : 'scheduled',
      errorCode: null,
      webhook: isInbound ? { taken: 0, httpStatus: null, code: null } : null,
    };
    parts.store.add(message);
    return message;
  };

  /** The carrier's own words to a person who texted `ours`. */
  const answer = (ours: string, theirs: string, body: string, mediaUrls: readonly string[] = []): void => {
    const reply = create({ from: ours, to: theirs, body, mediaUrls, ...PLAIN }, 'outbound-reply');
    void journeys.start(reply, Number.POSITIVE_INFINITY, { from: ours, to: theirs, body, ordinal: 0 });
  };

  const replyByTwiml = (text: Message, { body, mediaUrls }: TwimlMessage): number | null => {
    if (body === '' && mediaUrls.length === 0) return 14_103;
    if (body.length > MAX_CHARACTERS) return 21_617;
    if (parts.optOuts.has(text.to, text.from)) return 21_610;
    if (!loops.allow(text.to, text.from, Date.now())) return 14_107;
    answer(text.to, text.from, body, mediaUrls);
    return null;
  };

  const inbound = createInboundTexts({ ...parts, reply: replyByTwiml });

  return {
    accept: (draft, listedAfterMs) => create(draft, 'outbound-api', listedAfterMs),
    carry: journeys.start,
    cancel: journeys.cancel,
    textFromPerson({ from, body, to = numbers[0]!, mediaUrls = [] }) {
      if (!numbers.includes(plainAddress(to))) {
        throw new DarkspereError('invalid_request', 'to: not a number of this account.', { param: 'to' });
      }
      const ours = onChannelOf(from, to);
      const message = create({ from, to: ours, body, mediaUrls, ...PLAIN }, 'inbound');
      const subject = faults.subject('text', { from, to: ours, body });
      events.counts.textsIn += 1;
      history.add({ kind: 'text', sid: message.sid, from, to: ours, body });
      events.emit('text-in', message);
      if (isWhatsApp(from)) windows.opened(ours, from, Date.now());
      // The default keywords are those of numbers; on WhatsApp a STOP is a text like any other.
      const kept = isWhatsApp(from) ? NO_KEYWORD : parts.optOuts.apply(ours, from, body);
      const optOutType = parts.advancedOptOut ? kept.keyword : null;
      const fields = inboundFields(message, { accountSid, baseUrl: parts.baseUrl(), optOutType });
      const answered = inbound.post(message, fields, subject);
      if (kept.answer !== null) answer(ours, from, kept.answer);
      return { sid: message.sid, to: ours, answered };
    },
    setUrls: inbound.setUrls,
    close: timers.close,
  };
}

const NO_KEYWORD = { keyword: null, answer: null } as const;
