// A signature alone proves little: Twilio's canonical form glues names and values together, so whoever has one signed
// webhook can cut it up differently and it still verifies. Everything that decides something is checked for its shape here.
import { DarkspereError } from '../../errors.ts';
import { storable } from '../../text.ts';
import type { Inbound, Media } from '../channel.ts';
import { type Address, isSenderAddress, isTheirAddress, readAddress } from './address.ts';
import { cut } from './cut.ts';
import { type Form, single } from './form.ts';

/** What a webhook must say to be ours. */
export type Ours = {
  readonly accountSid: string;
  readonly messagingServiceSid: string | null;
  /** E.164. */
  readonly numbers: ReadonlySet<string>;
  /** Scheme and host of the carrier's API: media there is the carrier's own. */
  readonly apiOrigin: string;
  /** Whether the carrier answers STOP, START and HELP by itself, as Twilio does unless one has it turned off. */
  readonly carrierAnswersKeywords: boolean;
};

export const MESSAGE_SID = /^(SM|MM)[0-9a-f]{32}$/;
const CONTENT_TYPE = /^[a-z0-9.+-]{1,60}\/[a-z0-9.+-]{1,80}$/i;
/** Twilio carries ten media in a message. */
const MAX_MEDIA = 10;
/** UTF-16 units. A carrier's longest text is 1,600; WhatsApp's is 4,096. */
const MAX_TEXT = 16 * 1024;

/** Reads an authentic inbound webhook. `path` is the raw path with its query. Throws `webhook_malformed` naming the field. */
export function readInbound(form: Form, path: string, ours: Ours): Inbound {
  if (/\?./.test(path)) throw malformed('query', 'The webhook URL has a query string, and ours has none.');
  const providerId = readMessageSid(form);
  requireAccount(form, ours.accountSid);
  const from = addressField(form, 'From');
  const to = addressField(form, 'To');
  if (from.channel !== to.channel) throw malformed('To', 'From and To are on different channels.');
  if (!isTheirAddress(from)) throw malformed('From', 'From is not an address that can text us.');
  if (!isOurs(form, to, ours)) throw malformed('To', 'To is not one of our numbers.');
  const text = readText(form);
  return {
    channel: from.channel,
    providerId,
    from: from.address,
    to: to.address,
    text,
    media: readMedia(form, ours.apiOrigin),
    optOutHandled: readOptOut(form, from.channel, text, ours.carrierAnswersKeywords),
  };
}

/** The carrier's message id; lower-case hex only, because it is the dedupe key. */
export function readMessageSid(form: Form): string {
  const sid = single(form, 'MessageSid');
  if (sid === null || !MESSAGE_SID.test(sid)) {
    throw malformed('MessageSid', 'MessageSid is not SM or MM and 32 lower-case hex digits.');
  }
  return sid;
}

/** Throws unless the webhook is of our account. */
export function requireAccount(form: Form, accountSid: string): void {
  if (single(form, 'AccountSid') !== accountSid) throw malformed('AccountSid', 'AccountSid is not our account.');
}

function addressField(form: Form, name: 'From' | 'To'): Address {
  const wire = single(form, name);
  if (wire === null || wire === '') throw malformed(name, `${name} is missing.`);
  const address = readAddress(wire);
  if (address === null)
    throw malformed(name, `${name} is on a channel that is not supported; SMS, MMS and WhatsApp are.`);
  return address;
}

function isOurs(form: Form, to: Address, ours: Ours): boolean {
  if (ours.numbers.has(to.address)) return true;
  const service = single(form, 'MessagingServiceSid');
  return ours.messagingServiceSid !== null && service === ours.messagingServiceSid && isSenderAddress(to);
}

// A picture-only MMS has no Body; a WhatsApp button or location has its words elsewhere.
function readText(form: Form): string {
  const text = single(form, 'Body') || single(form, 'ButtonText') || readLocation(form);
  return storable(cut(text, MAX_TEXT));
}

function readLocation(form: Form): string {
  const latitude = single(form, 'Latitude');
  const longitude = single(form, 'Longitude');
  if (!latitude || !longitude) return '';
  const place = [single(form, 'Label'), single(form, 'Address')].filter(Boolean).join(', ');
  return `${place} (${latitude}, ${longitude})`.trimStart();
}

function readMedia(form: Form, apiOrigin: string): Media[] {
  const stated = single(form, 'NumMedia') ?? '0';
  if (!/^\d{1,4}$/.test(stated)) throw malformed('NumMedia', 'NumMedia is not a number.');
  const media: Media[] = [];
  for (let n = 0; n < Math.min(Number(stated), MAX_MEDIA); n++) {
    const url = carrierUrl(single(form, `MediaUrl${n}`) ?? '', apiOrigin);
    if (url === null) continue;
    const contentType = single(form, `MediaContentType${n}`) ?? '';
    media.push({ url, contentType: CONTENT_TYPE.test(contentType) ? contentType : 'application/octet-stream' });
  }
  return media;
}

/** Media elsewhere is dropped: agents fetch these links, and a link to anywhere would make us the one who sent them there. */
function carrierUrl(text: string, apiOrigin: string): string | null {
  const url = URL.parse(text);
  return url !== null && isCarrierMedia(url, apiOrigin) ? url.href : null;
}

/** True for an address at Twilio or at the API server we send through. */
export function isCarrierMedia(url: URL, apiOrigin: string): boolean {
  if (url.username !== '' || url.password !== '') return false;
  const atTwilio = url.protocol === 'https:' && url.port === '' && url.hostname.endsWith('.twilio.com');
  return atTwilio || url.origin === apiOrigin;
}

/**
 * The words Twilio's default opt-out handling answers by itself on SMS, when they are all the text (Twilio docs, "Twilio
 * support for opt-out keywords"). It says nothing of it in the webhook; only Advanced Opt-Out sends OptOutType.
 */
const ANSWERED_BY_CARRIER: Readonly<Record<string, NonNullable<Inbound['optOutHandled']>>> = {
  STOP: 'STOP',
  STOPALL: 'STOP',
  UNSUBSCRIBE: 'STOP',
  CANCEL: 'STOP',
  END: 'STOP',
  QUIT: 'STOP',
  REVOKE: 'STOP',
  OPTOUT: 'STOP',
  START: 'START',
  UNSTOP: 'START',
  HELP: 'HELP',
  INFO: 'HELP',
};

function readOptOut(
  form: Form,
  channel: Inbound['channel'],
  text: string,
  carrierAnswers: boolean,
): Inbound['optOutHandled'] {
  const type = single(form, 'OptOutType');
  if (type === 'STOP' || type === 'START' || type === 'HELP') return type;
  if (channel !== 'sms' || !carrierAnswers) return null;
  const word = text.trim().toUpperCase();
  return Object.hasOwn(ANSWERED_BY_CARRIER, word) ? ANSWERED_BY_CARRIER[word]! : null;
}

export function malformed(param: string, message: string): DarkspereError {
  return new DarkspereError('webhook_malformed', message, { param });
}
