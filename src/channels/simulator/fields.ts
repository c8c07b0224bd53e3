// What Twilio puts into the forms it posts. Source: https://www.twilio.com/docs/messaging/guides/webhook-request and
// https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
import type { Message, Status } from './message.ts';
import type { Keyword } from './opt-out.ts';
import type { Fields } from './webhooks.ts';
import { isWhatsApp, plainAddress } from './whatsapp.ts';

const API_VERSION = '2010-04-01';

/** Content types by file ending; a phone's picture is a JPEG unless its address says otherwise. */
const CONTENT_TYPES: ReadonlyMap<string, string> = new Map([
  ['png', 'image/png'],
  ['gif', 'image/gif'],
  ['webp', 'image/webp'],
  ['mp4', 'video/mp4'],
  ['mp3', 'audio/mpeg'],
  ['amr', 'audio/amr'],
  ['pdf', 'application/pdf'],
  ['vcf', 'text/vcard'],
]);

function contentTypeOf(url: string): string {
  const ending = /\.([a-z0-9]+)(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? '';
  return CONTENT_TYPES.get(ending) ?? 'image/jpeg';
}

/** The path under which Twilio serves a medium of an inbound message; the last four digits are its index. */
export function mediaPath(accountSid: string, messageSid: string, index: number): string {
  const mediaSid = `ME${messageSid.slice(2, 30)}${index.toString(16).padStart(4, '0')}`;
  return `/${API_VERSION}/Accounts/${accountSid}/Messages/${messageSid}/Media/${mediaSid}`;
}

/** Whoever has only a user id is named by ExternalUserIdentifier, and has no number in WaId. */
function whatsAppFields(person: string): Fields {
  const named = { ProfileName: 'Somebody', ChannelPrefix: 'whatsapp' };
  if (person.startsWith('+')) return { ...named, WaId: person.slice(1) };
  return { ...named, ExternalUserIdentifier: person };
}

/** The webhook of a person's text. Geography that Twilio does not know is sent as an empty value, and signed as one. */
export function inboundFields(
  message: Message,
  context: { accountSid: string; baseUrl: string; optOutType: Keyword | null },
): Fields {
  const country = (number: string): string => (number.startsWith('+1') ? 'US' : '');
  const fields: Fields = {
    ToCountry: country(message.to),
    ToState: '',
    SmsMessageSid: message.sid,
    NumMedia: String(message.mediaUrls.length),
    ToCity: '',
    FromZip: '',
    SmsSid: message.sid,
    FromState: '',
    SmsStatus: 'received',
    FromCity: '',
    Body: message.body,
    FromCountry: country(message.from),
    To: message.to,
    ToZip: '',
    NumSegments: String(message.segments),
    MessageSid: message.sid,
    AccountSid: context.accountSid,
    From: message.from,
    ApiVersion: API_VERSION,
  };
  for (const [index, url] of message.mediaUrls.entries()) {
    fields[`MediaUrl${index}`] = context.baseUrl + mediaPath(context.accountSid, message.sid, index);
    fields[`MediaContentType${index}`] = contentTypeOf(url);
  }
  if (context.optOutType !== null) fields.OptOutType = context.optOutType;
  return isWhatsApp(message.from) ? { ...fields, ...whatsAppFields(plainAddress(message.from)) } : fields;
}

/** The status callback of one state; `status` is given because the message may have moved on since. */
export function statusFields(message: Message, status: Status, accountSid: string, nowMs: number): Fields {
  const fields: Fields = {
    SmsSid: message.sid,
    SmsStatus: status,
    MessageStatus: status,
    To: message.to,
    MessageSid: message.sid,
    AccountSid: accountSid,
    From: message.from,
    ApiVersion: API_VERSION,
  };
  if (message.messagingServiceSid !== null) fields.MessagingServiceSid = message.messagingServiceSid;
  if (status === 'failed' || status === 'undelivered') fields.ErrorCode = String(message.errorCode ?? 30_008);
  // YYMMDDhhmm, as the carriers' delivery receipts have it.
  if (status === 'delivered' || status === 'undelivered') {
    fields.RawDlrDoneDate = new Date(nowMs).toISOString().replace(/\D/g, '').slice(2, 12);
  }
  return fields;
}
