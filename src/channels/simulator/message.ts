// A message as the carrier keeps it, the bounded store of them, and Twilio's JSON for one.

export type Status =
  | 'received'
  | 'scheduled'
  | 'queued'
  | 'sent'
  | 'delivered'
  | 'read'
  | 'undelivered'
  | 'failed'
  | 'canceled';

/** How the customer's webhook took a text of a person; `code` is the debugger's for the last delivery, null when it went well. */
export type WebhookState = { taken: number; httpStatus: number | null; code: number | null };

export type Message = {
  readonly sid: string;
  readonly from: string;
  readonly to: string;
  readonly body: string;
  /** `inbound` is person → us; `outbound-reply` is what the carrier itself answers, or our TwiML. */
  readonly direction: 'inbound' | 'outbound-api' | 'outbound-reply';
  readonly mediaUrls: readonly string[];
  readonly segments: number;
  readonly messagingServiceSid: string | null;
  readonly statusCallback: string | null;
  /** The template it was made from. */
  readonly contentSid: string | null;
  /** When it is to leave, for a scheduled one. */
  readonly sendAtMs: number | null;
  readonly createdAtMs: number;
  /** From when on lists and fetches show it; later than its creation only on demand. */
  readonly listedAtMs: number;
  sentAtMs: number | null;
  updatedAtMs: number;
  status: Status;
  errorCode: number | null;
  /** Null for all but texts of people. */
  readonly webhook: WebhookState | null;
};

export type MessageStore = {
  add(message: Message): void;
  get(sid: string): Message | undefined;
  /** Newest first. */
  all(): Generator<Message>;
  readonly size: number;
};

/** Keeps the newest `limit` messages; a ring, so that adding costs the same however many were evicted before. */
export function createMessageStore(limit: number): MessageStore {
  const ring: Message[] = [];
  const bySid = new Map<string, Message>();
  let next = 0;
  return {
    add(message) {
      const evicted = ring[next];
      if (evicted !== undefined) bySid.delete(evicted.sid);
      ring[next] = message;
      bySid.set(message.sid, message);
      next = (next + 1) % limit;
    },
    get: (sid) => bySid.get(sid),
    *all() {
      for (let age = 1; age <= ring.length; age++) yield ring[(next - age + limit) % limit]!;
    },
    get size() {
      return bySid.size;
    },
  };
}

/** RFC 2822 with a numeric zone, as Twilio writes dates. */
export function rfc2822(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000');
}

/** Twilio's wire form of a message. */
export function toWire(message: Message, accountSid: string): Record<string, unknown> {
  const uri = `/2010-04-01/Accounts/${accountSid}/Messages/${message.sid}`;
  return {
    account_sid: accountSid,
    api_version: '2010-04-01',
    body: message.body,
    date_created: rfc2822(message.createdAtMs),
    date_sent: message.sentAtMs === null ? null : rfc2822(message.sentAtMs),
    date_updated: rfc2822(message.updatedAtMs),
    direction: message.direction,
    error_code: message.errorCode,
    error_message: null,
    from: message.from,
    messaging_service_sid: message.messagingServiceSid,
    num_media: String(message.mediaUrls.length),
    num_segments: String(message.segments),
    price: null,
    price_unit: 'USD',
    sid: message.sid,
    status: message.status,
    subresource_uris: { media: `${uri}/Media.json` },
    to: message.to,
    uri: `${uri}.json`,
  };
}
