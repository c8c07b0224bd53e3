// Checks a request to create a message in Twilio's order: To, From, Body, the rest. Pure but for the questions it asks.
import type { Draft } from './carrier.ts';
import { MAGIC_FROM, MAGIC_TO, type RefusalCode } from './refusals.ts';

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
const MAX_CHARACTERS = 1600;
const MAX_VALIDITY_SECONDS = 36_000;

function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '');
}

function checkTo(to: string | null): RefusalCode | null {
  if (to === null || to === '') return 21604;
  return MAGIC_TO.get(to) ?? (E164.test(to) ? null : 21211);
}

function checkFrom(from: string | null, numbers: readonly string[]): RefusalCode | null {
  if (from === null || from === '') return 21603;
  if (numbers.includes(from)) return null;
  const magic = MAGIC_FROM.get(from);
  if (magic !== undefined) return magic === 'ok' ? null : magic;
  return SENDER.test(from) ? 21606 : 21212;
}

function checkContent(body: string, mediaUrls: readonly string[]): RefusalCode | null {
  if (body === '' && mediaUrls.length === 0) return 21602;
  if (body.length > MAX_CHARACTERS) return 21617;
  if (mediaUrls.length > MAX_MEDIA) return 21623;
  return mediaUrls.every(isHttpUrl) ? null : 21620;
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
  const from = form.get('From') ?? (service === null ? null : questions.numbers[0]!);
  const body = form.get('Body') ?? '';
  const mediaUrls = form.getAll('MediaUrl');
  const statusCallback = form.get('StatusCallback') || null;
  const validityMs = validityOf(form);
  const refused = (code: RefusalCode): Checked => ({ kind: 'refused', code });

  const early = checkTo(to) ?? checkFrom(from, questions.numbers) ?? checkContent(body, mediaUrls);
  if (early !== null) return refused(early);
  if (to === null || from === null) return refused(21604);
  if (to === from) return refused(21266);
  if (service !== null && !SERVICE.test(service)) return refused(21701);
  if (statusCallback !== null && !isHttpUrl(statusCallback)) return refused(21609);
  if (validityMs === null) return refused(21624);
  if (questions.isOptedOut(from, to)) return refused(21610);
  if (questions.isQueueFull(from)) return refused(21611);
  return { kind: 'ok', draft: { from, to, body, mediaUrls, messagingServiceSid: service, statusCallback }, validityMs };
}
