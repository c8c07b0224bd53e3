// Checks a request to create a message in Twilio's order: To, From, Body, the rest. Pure but for the questions it asks.
import type { Draft } from './carrier.ts';
import { MAGIC_FROM, MAGIC_TO, type RefusalCode } from './refusals.ts';
import { isWhatsApp, onChannelOf, plainAddress, USER_ID } from './whatsapp.ts';

export type Checked =
  | { readonly kind: 'ok'; readonly draft: Draft; readonly validityMs: number }
  | { readonly kind: 'refused'; readonly code: RefusalCode };

export type Questions = {
  readonly numbers: readonly string[];
  isOptedOut(ours: string, theirs: string): boolean;
  isQueueFull(sender: string): boolean;
};

const E164 = /^\+[1-9]\d{6,14}$/;
const SENDER = /^(?:\+[1-9]\d{6,14}|\d{5,6})$/;
const SERVICE = /^MG[0-9a-f]{32}$/;
const MAX_MEDIA = 10;
/** Of one message, in UTF-16 units. */
export const MAX_CHARACTERS = 1600;
const MAX_VALIDITY_SECONDS = 36_000;
const TEMPLATE = /^HX[0-9a-f]{32}$/;
/** How far ahead a message can be scheduled. */
const SCHEDULE_MS = { least: 300_000, most: 35 * 86_400_000 };

function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '');
}

function checkTo(to: string | null): RefusalCode | null {
  if (to === null || to === '') return 21604;
  const plain = plainAddress(to);
  if (isWhatsApp(to) && USER_ID.test(plain)) return null;
  return MAGIC_TO.get(to) ?? (E164.test(plain) ? null : 21211);
}

function checkFrom(from: string | null, numbers: readonly string[]): RefusalCode | null {
  if (from === null || from === '') return 21603;
  if (numbers.includes(plainAddress(from))) return null;
  if (isWhatsApp(from)) return 63007;
  const magic = MAGIC_FROM.get(from);
  if (magic !== undefined) return magic === 'ok' ? null : magic;
  return SENDER.test(from) ? 21606 : 21212;
}

function checkContent(body: string, mediaUrls: readonly string[], contentSid: string | null): RefusalCode | null {
  if (contentSid !== null) return TEMPLATE.test(contentSid) ? null : 21655;
  if (body === '' && mediaUrls.length === 0) return 21602;
  if (body.length > MAX_CHARACTERS) return 21617;
  if (mediaUrls.length > MAX_MEDIA) return 21623;
  return mediaUrls.every(isHttpUrl) ? null : 21620;
}

/** When the message is to leave, null for at once; or why it cannot be scheduled so. */
function scheduleOf(form: URLSearchParams, nowMs: number): { sendAtMs: number | null } | RefusalCode {
  if (form.get('ScheduleType') !== 'fixed') return { sendAtMs: null };
  const sendAt = form.get('SendAt');
  if (sendAt === null || sendAt === '') return 35111;
  if (form.get('MessagingServiceSid') === null) return 35118;
  const sendAtMs = Date.parse(sendAt);
  const aheadMs = sendAtMs - nowMs;
  // Whole seconds travel, so a time that was 300 s ahead when it was written may be a moment less now.
  return aheadMs >= SCHEDULE_MS.least - 1_000 && aheadMs <= SCHEDULE_MS.most ? { sendAtMs } : 35114;
}

/** Seconds from the form, in ms; null when it is not a whole number from 1 to 36,000. */
function validityOf(form: URLSearchParams): number | null {
  const text = form.get('ValidityPeriod') ?? String(MAX_VALIDITY_SECONDS);
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return seconds >= 1 && seconds <= MAX_VALIDITY_SECONDS ? seconds * 1000 : null;
}

/** A message to accept, or Twilio's reason why not. A Messaging Service here sends from the account's first number. */
export function checkCreate(form: URLSearchParams, questions: Questions): Checked {
  const service = form.get('MessagingServiceSid');
  const to = form.get('To');
  const from = form.get('From') ?? (service === null ? null : onChannelOf(to ?? '', questions.numbers[0]!));
  const body = form.get('Body') ?? '';
  const mediaUrls = form.getAll('MediaUrl');
  const statusCallback = form.get('StatusCallback') || null;
  const contentSid = form.get('ContentSid') || null;
  const validityMs = validityOf(form);
  const refused = (code: RefusalCode): Checked => ({ kind: 'refused', code });

  const early = checkTo(to) ?? checkFrom(from, questions.numbers) ?? checkContent(body, mediaUrls, contentSid);
  if (early !== null) return refused(early);
  if (to === null || from === null) return refused(21604);
  if (to === from) return refused(21266);
  if (isWhatsApp(to) !== isWhatsApp(from)) return refused(21910);
  if (service !== null && !SERVICE.test(service)) return refused(21701);
  if (statusCallback !== null && !isHttpUrl(statusCallback)) return refused(21609);
  if (validityMs === null) return refused(21624);
  if (questions.isOptedOut(from, to)) return refused(21610);
  // A messaging service takes it all the same, and fails it with 30001.
  if (service === null && questions.isQueueFull(from)) return refused(21611);
  const schedule = scheduleOf(form, Date.now());
  if (typeof schedule === 'number') return refused(schedule);
  const { sendAtMs } = schedule;
  const draft = { from, to, body, mediaUrls, messagingServiceSid: service, statusCallback, contentSid, sendAtMs };
  return { kind: 'ok', draft, validityMs };
}
