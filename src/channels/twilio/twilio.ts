import { type Dispatcher, Pool } from 'undici';
import { DarkspereError } from '../../errors.ts';
import type { Channel, RawWebhook } from '../channel.ts';
import type { Timeouts } from './call.ts';
import type { Carrier } from './carrier.ts';
import { findSentMessages } from './find.ts';
import { type Form, parseForm } from './form.ts';
import { type Ours, readInbound } from './inbound.ts';
import { fetchCarrierMedia } from './media.ts';
import { sendPart } from './send.ts';
import { bodyHasDigest, signatureIsValid, signedBodyDigest } from './signature.ts';
import { readStatus } from './status.ts';

const TWILIO_TIMEOUTS: Timeouts = { connectMs: 5_000, headersMs: 15_000, bodyMs: 15_000 };

export type TwilioOptions = {
  readonly accountSid: string;
  /** The first one signs in to the API; all of them may sign webhooks, so that a token can be rotated. */
  readonly authTokens: readonly string[];
  /** What Twilio calls: scheme, host, port and prefix; no trailing slash. */
  readonly publicUrl: string;
  readonly apiUrl: string;
  readonly messagingServiceSid: string | null;
  /** Default true, as at Twilio. */
  readonly carrierAnswersKeywords?: boolean;
  /** Our numbers at this moment, E.164. */
  ourNumbers(): ReadonlySet<string>;
  readonly http: Dispatcher;
  /** Guarded egress, for media that the carrier keeps elsewhere. */
  readonly mediaHttp: Dispatcher;
  readonly timeouts?: Timeouts;
};

/** The channel for SMS, MMS and WhatsApp at Twilio or a server that speaks its API. Holds nothing that has to be closed. */
export function createTwilioChannel(options: TwilioOptions): Channel {
  const carrier = carrierOf(options);
  const formOf = rememberForms();
  const ours = (): Ours => ({
    accountSid: options.accountSid,
    messagingServiceSid: options.messagingServiceSid,
    numbers: options.ourNumbers(),
    apiOrigin: carrier.messagesUrl.origin,
    carrierAnswersKeywords: options.carrierAnswersKeywords ?? true,
  });
  return {
    authenticate: (webhook) => authenticate(webhook, options, formOf),
    parseInbound: (webhook) => readInbound(formOf(webhook), webhook.path, ours()),
    parseStatus: (webhook) => readStatus(formOf(webhook), webhook.path, options.accountSid),
    send: (part, signal, mayLeave) => sendPart(carrier, part, signal, mayLeave),
    findSent: (query, signal) => findSentMessages(carrier, query, signal),
    fetchMedia: (url, signal) => fetchCarrierMedia(carrier, url, signal),
  };
}

/**
 * Connections to the carrier's API, kept open. The pool is as large as Twilio's patience: far more requests at once only
 * earn 20429. Idle connections go after undici's 4 s, well before any load balancer drops them: a request written to a
 * connection that the other side is closing is a text with an unknown end. The caller closes it.
 */
export function createTwilioDispatcher(apiUrl: string, timeouts: Timeouts = TWILIO_TIMEOUTS): Dispatcher {
  return new Pool(new URL(apiUrl).origin, {
    connections: 256,
    pipelining: 1,
    connect: { timeout: timeouts.connectMs },
  });
}

function carrierOf(options: TwilioOptions): Carrier {
  const { accountSid, apiUrl } = options;
  const credential = Buffer.from(`${accountSid}:${options.authTokens[0] ?? ''}`, 'utf8').toString('base64');
  return {
    http: options.http,
    mediaHttp: options.mediaHttp,
    messagesUrl: new URL(`${apiUrl.replace(/\/+$/, '')}/2010-04-01/Accounts/${accountSid}/Messages.json`),
    headers: { authorization: `Basic ${credential}`, accept: 'application/json' },
    publicUrl: options.publicUrl,
    messagingServiceSid: options.messagingServiceSid,
    timeouts: options.timeouts ?? TWILIO_TIMEOUTS,
  };
}

// The signature and the parser need the same form; it is parsed once and goes with its webhook.
function rememberForms(): (webhook: RawWebhook) => Form {
  const forms = new WeakMap<RawWebhook, Form>();
  return (webhook) => {
    const known = forms.get(webhook);
    if (known !== undefined) return known;
    const form = parseForm(webhook.body);
    forms.set(webhook, form);
    return form;
  };
}

const NO_FIELDS: Form = new Map();

function authenticate(webhook: RawWebhook, options: TwilioOptions, formOf: (webhook: RawWebhook) => Form): void {
  const signature = webhook.headers['x-twilio-signature'];
  if (signature === undefined || signature === '') throw new DarkspereError('signature_missing');
  const url = options.publicUrl + webhook.path;
  const digest = signedBodyDigest(webhook.path);
  const params = digest === null ? formOf(webhook) : NO_FIELDS;
  const signed = signatureIsValid({ url, params, signature: String(signature), tokens: options.authTokens });
  if (!signed || (digest !== null && !bodyHasDigest(webhook.body, digest))) throw signatureInvalid(url);
}

/**
 * Names the URL that was checked, because a wrong PUBLIC_URL is the usual cause. Not its password, and not its query: a
 * forged one may hold anything.
 */
function signatureInvalid(url: string): DarkspereError {
  const shown = url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#@]*@/i, '$1').slice(0, 300);
  const query = shown.indexOf('?');
  const named = query === -1 ? shown : `${shown.slice(0, query)}?…`;
  return new DarkspereError('signature_invalid', `The webhook signature does not match. The URL checked was ${named}`, {
    facts: { url: named },
  });
}
