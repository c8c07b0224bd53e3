// From what an agent said to what a phone shows.
import { toTextMessage } from '../channels/plain-text.ts';
import { packReply, splitParts } from '../channels/segments.ts';
import type { ReplyPart } from './store.ts';

/** The carrier's limit of one message body, characters. */
export const MAX_CHARACTERS = 1600;
/** How long a reply may be where no number's own setting applies, segments; a new number has the same (phone_numbers.max_segments). */
export const DEFAULT_MAX_SEGMENTS = 10;
const LONGEST_NOTICE_SEGMENTS = 4;

/** Told when nobody can answer; honest, short, no vendor's name. */
export const FALLBACK_TEXT =
  'Sorry, I cannot answer right now. Your message was received; please try again in a little while.';

export const NOTICES = {
  stop: 'You have been unsubscribed and will get no more messages from this number. Reply START to come back.',
  start: 'Welcome back. You will get answers from this number again. Reply STOP to end, HELP for help.',
  help: 'An automated assistant answers this number. Reply STOP to end, START to come back, RESET to begin a new conversation. Message and data rates may apply.',
  reset: 'OK, we start over: what was said before is forgotten.',
} as const;

/** Told to somebody who has chosen who answers them. */
export const chosenText = (name: string): string => `You are texting ${name} from now on.`;

/** Names in a list, and what else a person has to know about it. */
export function listText(names: readonly string[], mine: string | null): string {
  const now = mine === null ? '' : ` ${mine} answers you now.`;
  return `You can text ${names.join(', ')}.${now} Reply USE and a name to choose.`;
}

export type PackedReply = { readonly body: string; readonly parts: readonly ReplyPart[]; readonly more: string | null };

/**
 * Packs an answer into SMS parts within the number's budget; null when nothing readable is left of it. What does not fit
 * is kept for MORE.
 */
export function packAnswer(text: string, mediaUrls: readonly string[], maxSegments: number): PackedReply | null {
  const body = toTextMessage(text);
  if (body === '' && mediaUrls.length === 0) return null;
  return packText(body, maxSegments, mediaUrls);
}

/** Packs what is a text message already: the rest that waits for MORE. */
export function packText(body: string, maxSegments: number, mediaUrls: readonly string[] = []): PackedReply {
  const { parts, rest } = packReply(body, { maxCharacters: MAX_CHARACTERS, maxSegments });
  const packed = { body, parts, more: rest === '' ? null : rest };
  if (mediaUrls.length === 0) return packed;
  const [first = { text: '', segments: 1 }, ...others] = parts;
  return { ...packed, parts: [{ ...first, media_urls: mediaUrls }, ...others] };
}

/** A text of our own, always one part. */
export function packNotice(text: string): { body: string; parts: readonly ReplyPart[] } {
  const limits = { maxCharacters: MAX_CHARACTERS, maxSegments: LONGEST_NOTICE_SEGMENTS };
  // A good place to cut may leave a segment over, and a second part of a notice could overtake the first.
  return { body: text, parts: splitParts(text, limits).parts.slice(0, 1) };
}

/** What an agent is told it may use: characters for the common case of GSM-7 text. */
export function replyBudget(maxSegments: number): { maxCharacters: number; maxSegments: number } {
  return { maxCharacters: maxSegments === 1 ? 160 : maxSegments * 153, maxSegments };
}
