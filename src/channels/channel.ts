// What a carrier must be able to do. Kept to six members on purpose: a contract that grows to the union of all vendors
// stops being one.
import type { IncomingHttpHeaders } from 'node:http';

/** `mms` is `sms` with media; WhatsApp and others are kinds of their own because the same person has another address there. */
export const CHANNELS = ['sms', 'whatsapp'] as const;
export type ChannelKind = (typeof CHANNELS)[number];

/** A webhook exactly as it arrived. `path` is the raw path and query string, percent-encoding untouched. */
export type RawWebhook = { readonly path: string; readonly body: Buffer; readonly headers: IncomingHttpHeaders };

export type Media = { readonly url: string; readonly contentType: string };

/** An inbound text, parsed and made storable (no NUL, no lone surrogate). Addresses carry no `whatsapp:` prefix. */
export type Inbound = {
  readonly channel: ChannelKind;
  /** The carrier's id of the message; unique per channel, the dedupe key. */
  readonly providerId: string;
  /** Their address: E.164, or an opaque id where the channel gives no number. */
  readonly from: string;
  /** Our address, E.164. */
  readonly to: string;
  readonly text: string;
  readonly media: readonly Media[];
  /** Set when the carrier itself already answered an opt-out keyword. */
  readonly optOutHandled: 'STOP' | 'START' | 'HELP' | null;
  /** When its webhook reached us, ISO 8601: it may be stored much later, by way of the spool. */
  readonly receivedAt?: string;
};

/** One part of a reply, ready to be sent. */
export type Part = {
  readonly id: string;
  readonly channel: ChannelKind;
  readonly from: string;
  readonly to: string;
  readonly text: string;
  readonly mediaUrls: readonly string[];
  /** How long the text is worth delivering, seconds. */
  readonly validitySeconds: number;
};

/** States a carrier reports, in the order a message moves through them. */
export type CarrierState = 'accepted' | 'sent' | 'delivered' | 'read' | 'failed' | 'undelivered';

export type SendOutcome =
  /** The carrier has it. */
  | { readonly kind: 'accepted'; readonly providerId: string; readonly segments: number | null }
  /** Not sent, because `mayLeave` said no when its turn came. */
  | { readonly kind: 'withheld' }
  /** Surely not accepted. `retry` says whether the same request may be sent again, and after how long. */
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly reason: string;
      readonly retry: 'later' | 'never';
      readonly afterMs: number | null;
      /** The refusal says that the person has opted out (21610). */
      readonly optedOut: boolean;
      /**
       * What stands in the way of texts as such, not of this one: nobody listens, too many at once, or something is wrongly set
       * up and an operator has to act. Null for a refusal of this text.
       */
      readonly hindrance: 'unreachable' | 'busy' | 'setup' | null;
    }
  /** Nobody knows whether it was accepted: never send again blindly. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** What an exchange record keeps of one HTTP call; secrets never get in here. */
export type CallRecord = {
  readonly target: string;
  readonly status: number | null;
  readonly request: string;
  /** First 2 KiB of the answer. */
  readonly response: string;
  readonly startedAt: Date;
  readonly durationMs: number;
};

export type StatusReport = {
  /** Our own part id from the callback URL; null when the carrier lost it. */
  readonly partId: string | null;
  readonly providerId: string;
  readonly state: CarrierState;
  readonly errorCode: string | null;
};

/** A picture or file of an inbound text, fetched from the carrier; null when it is gone, too large or not the carrier's. */
export type FetchedMedia = { readonly contentType: string; readonly bytes: Buffer };

/** A message found at the carrier. */
export type SentMessage = {
  readonly providerId: string;
  readonly to: string;
  readonly text: string;
  /** We asked for it; false for the carrier's own answers to keywords. */
  readonly isAsked: boolean;
  readonly state: CarrierState;
  readonly createdAt: Date;
  readonly segments: number | null;
};

export type Channel = {
  /** Checks that the webhook is authentic; throws `signature_missing` or `signature_invalid`. */
  authenticate(webhook: RawWebhook): void;
  /** Parses an authentic inbound webhook; throws `malformed_body` or `webhook_malformed`. Pure. */
  parseInbound(webhook: RawWebhook): Inbound;
  /** Parses an authentic status callback; null when it reports nothing we follow. Pure. */
  parseStatus(webhook: RawWebhook): StatusReport | null;
  /**
   * One attempt, no retries inside. Never throws: a failure is an outcome. `mayLeave` is asked at the last moment, when
   * the first byte is about to be written.
   */
  send(part: Part, signal: AbortSignal, mayLeave?: () => boolean): Promise<{ outcome: SendOutcome; call: CallRecord }>;
  /** Messages the carrier has from `from` to `to` since `since`, oldest first; throws when the carrier cannot be asked. */
  findSent(
    query: { channel: ChannelKind; from: string; to: string; since: Date },
    signal: AbortSignal,
  ): Promise<SentMessage[]>;
  /** Fetches inbound media with our credential, from the carrier's own hosts only. */
  fetchMedia(url: string, signal: AbortSignal): Promise<FetchedMedia | null>;
};
