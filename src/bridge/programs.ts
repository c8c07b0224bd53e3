// What a program with an API key says over MCP: a text to somebody whom an operator has put on the list, or a reply to somebody
// who has texted. Whom it may reach, how much and when is judged in the same commit that queues the text (programs.sql).
import { createHash } from 'node:crypto';
import { retryRollbacks } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, type ErrorCode } from '../errors.ts';
import { notBefore, type TextPolicy } from './not-before.ts';
import { type PackedReply, packAnswer } from './reply.ts';

export type Program = { readonly id: string; readonly name: string };

export type ProgramText = {
  readonly program: Program;
  readonly to:
    | { readonly kind: 'reply'; readonly conversationId: string }
    /** `from`: one of our numbers; null: the one that the person knows, or the only one there is. */
    | { readonly kind: 'send'; readonly from: string | null; readonly address: string };
  readonly text: string;
  readonly idempotencyKey: string | null;
};

export type Queued = {
  readonly messageId: string;
  readonly conversationId: string;
  readonly segments: number;
  /** False: a repeat, which sent nothing. */
  readonly isNew: boolean;
};

type Refused = Extract<
  ErrorCode,
  | 'not_found'
  | 'recipient_not_allowed'
  | 'session_over'
  | 'conversation_taken'
  | 'opted_out'
  | 'quiet_hours'
  | 'program_budget_spent'
  | 'sender_busy'
  | 'idempotency_key_reused'
>;
type Row = {
  verdict: 'ok' | 'duplicate' | Refused;
  message_id: string;
  conversation_id: string;
  free_at: Date | null;
};

/** The first text to somebody who never heard of us says how to end it. */
const FIRST_TEXT_END = 'Reply STOP to opt out.';

/** Queues it; with the same key it is one text, however often. Throws what `Refused` names, or invalid_request (`text`, `from`). */
export async function textAsProgram(sql: Sql, wanted: ProgramText, policy: TextPolicy): Promise<Queued> {
  const { program, to, idempotencyKey } = wanted;
  const place = to.kind === 'reply' ? await replyPlace(sql, to.conversationId) : await sendPlace(sql, program, to);
  const packed = pack(wanted.text, place, policy);
  const segments = packed.parts.reduce((sum, part) => sum + part.segments, 0);
  // What was asked for, not what became of it: the number that was chosen, and the words behind a first text, may differ.
  const asked = createHash('sha256')
    .update(JSON.stringify([to, wanted.text]))
    .digest();
  const [row] = await retryRollbacks(
    () => sql<Row[]>`
      select * from program_text(${program.id}, ${program.name}, ${to.kind === 'reply' ? to.conversationId : null},
        ${place.ours}, ${to.kind === 'send' ? to.address : null}, ${packed.body}, ${JSON.stringify(packed.parts)}::text::json,
        ${idempotencyKey}, ${asked}, ${policy.optOutScope}, ${policy.pacing})`,
  );
  const { verdict, message_id: messageId, conversation_id: conversationId, free_at: freeAt } = row!;
  if (verdict === 'ok' || verdict === 'duplicate')
    return { messageId, conversationId, segments, isNew: verdict === 'ok' };
  throw refusal(verdict, freeAt);
}

/** The number it leaves from, how much that takes at once, and whether anything was ever said there. */
type Place = { readonly ours: string; readonly maxSegments: number | null; readonly isNew: boolean };

async function replyPlace(sql: Sql, conversationId: string): Promise<Place> {
  const [row] = await sql<{ ours: string; max_segments: number | null }[]>`
    select c.our_address as ours, n.max_segments
    from conversations c left join phone_numbers n on n.address = c.our_address where c.id = ${conversationId}`;
  if (!row) throw new DarkspereError('not_found', 'There is no conversation with this id.');
  return { ours: row.ours, maxSegments: row.max_segments, isNew: false };
}

async function sendPlace(sql: Sql, program: Program, to: Extract<ProgramText['to'], { kind: 'send' }>): Promise<Place> {
  const numbers = await sql<{ ours: string; max_segments: number; newest: string | null; allowed: boolean }[]>`
    select n.address as ours, n.max_segments, last.id as newest, may_text(${program.id}, ${to.address}) as allowed
    from phone_numbers n
    left join conversations c on (c.channel, c.our_address, c.their_address) = ('sms', n.address, ${to.address})
    left join lateral (select m.id from messages m where m.conversation_id = c.id order by m.id desc limit 1) last on true
    where n.is_active and (${to.from}::text is null or n.address = ${to.from})
    order by last.id desc nulls last, n.address limit 2`;
  const [first] = numbers;
  if (!first) {
    throw new DarkspereError('invalid_request', 'from is not one of our numbers. Leave it out, or use one that is.', {
      param: 'from',
    });
  }
  if (first.newest === null && numbers.length > 1) {
    // Whom a program may not text, of them it does not learn whether they ever texted us.
    if (!first.allowed) throw refusal('recipient_not_allowed', null);
    throw new DarkspereError(
      'invalid_request',
      'from is missing: there are several numbers, and the person knows none of them. Say which of ours it leaves from.',
      { param: 'from' },
    );
  }
  return { ours: first.ours, maxSegments: first.max_segments, isNew: first.newest === null };
}

function pack(text: string, place: Place, policy: TextPolicy): PackedReply {
  const maxSegments = place.maxSegments ?? policy.maxSegments;
  const whole = place.isNew && !/\bSTOP\b/.test(text) ? `${text.trimEnd()}\n${FIRST_TEXT_END}` : text;
  const words = packAnswer(text, [], maxSegments);
  const refuse = (why: string) => new DarkspereError('invalid_request', `text: ${why}`, { param: 'text' });
  if (words === null) throw refuse('nothing readable is left of it. Send words.');
  const packed = packAnswer(whole, [], maxSegments) ?? words;
  // Nobody has asked for it, so nobody would text MORE.
  if (packed.more !== null)
    throw refuse(`is longer than the ${maxSegments} segments that the number takes. Shorten it.`);
  return packed;
}

function refusal(verdict: Refused, freeAt: Date | null): DarkspereError {
  if (verdict === 'not_found')
    return new DarkspereError('not_found', 'There is no such conversation or number of ours.');
  // A text that is more than a whole day's budget has no such time.
  const isLater = verdict === 'quiet_hours' || verdict === 'program_budget_spent' || verdict === 'sender_busy';
  if (isLater && freeAt !== null) return notBefore(verdict, freeAt, 'sent');
  return new DarkspereError(verdict);
}
