// What a run looked like from outside: what people sent and were told, what agents were asked, what the carrier took. None
// of it comes from the product, so the product cannot be wrong about it.
import type { Message } from '../../src/channels/simulator/message.ts';

/** `text` is for the agent; the others are keywords, `info` one that changes nothing (HELP, RESET). */
export type TextKind = 'text' | 'stop' | 'start' | 'info';

export type SentText = {
  readonly sid: string;
  /** The person's phone. */
  readonly from: string;
  readonly to: string;
  /** A word nobody else uses, for `text`; the keyword itself otherwise. */
  readonly body: string;
  readonly kind: TextKind;
  /** When the webhook was posted for the first time, milliseconds of this process's clock. */
  postedAtMs: number;
  /** When a webhook of it was answered 200; null as long as none was. */
  ackedAtMs: number | null;
  /** Webhooks posted, duplicates included. */
  posts: number;
};

export type AgentCall = {
  readonly agent: string;
  readonly atMs: number;
  /** What the agent knows the turn by. */
  readonly messageId: string;
  /** The texts it was shown, by their words. */
  readonly words: readonly string[];
  end: 'running' | 'answered' | 'cut';
};

/** What an agent posted by itself: the answer to a call that it had answered with 202, or a text of its own. */
export type AgentPost = {
  readonly agent: string;
  readonly atMs: number;
  readonly conversationId: string;
  readonly text: string;
  /** The words of the texts that it answers; none for a text of its own, which nobody else says. */
  readonly answers: readonly string[];
  /** Posted under one key until there is an end to it. `unsure`: refused, but an earlier try got no answer and may still be on its way. */
  end: 'open' | 'taken' | 'refused' | 'unsure';
};

/** A message that the carrier took from us. */
export type Accepted = {
  readonly sid: string;
  readonly to: string;
  readonly body: string;
  /** From the address of its status callback. */
  readonly partId: string | null;
  readonly atMs: number;
};

export type History = {
  /** Of each person in the order in which they were sent: the next one follows the 200 of the one before. */
  readonly texts: readonly SentText[];
  readonly calls: readonly AgentCall[];
  readonly posts: readonly AgentPost[];
  /** In the order in which the carrier took them. */
  readonly accepted: readonly Accepted[];
};

/** What the carrier took from us, out of everything it remembers (newest first). */
export function acceptedFrom(messages: readonly Readonly<Message>[]): Accepted[] {
  return messages
    .filter((message) => message.direction === 'outbound-api')
    .map((message) => ({
      sid: message.sid,
      to: message.to,
      body: message.body,
      partId: message.statusCallback === null ? null : new URL(message.statusCallback).searchParams.get('part'),
      atMs: message.createdAtMs,
    }))
    .toReversed();
}

/** Words look like `17.3`: the third text of person 17. Nothing else that anybody says does. */
const WORD = /\b\d+\.\d+\b/g;

export function wordsIn(text: string): string[] {
  return text.match(WORD) ?? [];
}
