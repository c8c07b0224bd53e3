// An operator answers a conversation by hand; its agent stays silent until it is handed back, or until the operator has done
// nothing for some time.
import { MAX_CHARACTERS, type PackedReply } from '../bridge/reply.ts';
import { toGsm7Friendly } from '../channels/plain-text.ts';
import { splitParts } from '../channels/segments.ts';
import { retryRollbacks } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, type ErrorCode } from '../errors.ts';

export type OperatorPolicy = {
  readonly optOutScope: string | null;
  readonly pacing: boolean;
  /** After this long without an act of the operator the agent answers again. */
  readonly takeoverMinutes: number;
};

/** Who does it, and where. */
export type Act = { readonly conversationId: string; readonly by: string };

/** As clients see it: times in ISO 8601. */
export type Takeover = { readonly by: string; readonly since: string; readonly until: string };

export type Refusal = Extract<
  ErrorCode,
  'not_found' | 'conversation_taken' | 'not_taken_over' | 'opted_out' | 'idempotency_key_reused'
>;

/**
 * From now on the agent is silent; a call that is under way is cancelled. Whoever has it already keeps it for longer.
 * Throws not_found, or conversation_taken when somebody else has it.
 */
export async function takeOver(sql: Sql, { conversationId, by }: Act, policy: OperatorPolicy): Promise<Takeover> {
  const [row] = await retryRollbacks(
    () => sql<{ verdict: 'ok' | Refusal; taken_by: string; since: Date; until: Date }[]>`
      select * from take_over(${conversationId}, ${by}, ${policy.takeoverMinutes})`,
  );
  const { verdict, taken_by, since, until } = row!;
  if (verdict !== 'ok') throw refusal(verdict, taken_by, until);
  return { by: taken_by, since: since.toISOString(), until: until.toISOString() };
}

/**
 * The agent answers again, at once what waits. Throws not_found, not_taken_over, or conversation_taken when somebody else has it.
 */
export async function handBack(sql: Sql, { conversationId, by }: Act): Promise<void> {
  const [row] = await retryRollbacks(
    () => sql<{ verdict: 'ok' | Refusal; taken_by: string | null }[]>`
      select * from hand_back(${conversationId}, ${by})`,
  );
  const { verdict, taken_by } = row!;
  if (verdict !== 'ok') throw refusal(verdict, taken_by);
}

export type OperatorMessage = Act & { readonly text: string; readonly idempotencyKey: string | null };

/**
 * Queues what an operator wrote, as the answer to all that waits. With the same key it is one message, however often.
 * Throws not_found, not_taken_over, conversation_taken, opted_out, or invalid_request (`text`) when nothing readable is left.
 */
export async function sendAsOperator(
  sql: Sql,
  { conversationId, by, text, idempotencyKey }: OperatorMessage,
  policy: OperatorPolicy,
): Promise<{ messageId: string; isNew: boolean }> {
  const { body, parts, more } = packWords(text);
  if (body === '') {
    throw new DarkspereError('invalid_request', 'text: nothing readable is left of it. Send words.', { param: 'text' });
  }
  const [row] = await retryRollbacks(
    () => sql<{ verdict: 'ok' | 'duplicate' | Refusal; message_id: string; taken_by: string | null }[]>`
      select * from operator_message(${conversationId}, ${by}, ${body}, ${JSON.stringify(parts)}::text::json, ${more},
        ${idempotencyKey}, ${policy.optOutScope}, ${policy.pacing}, ${policy.takeoverMinutes})`,
  );
  const { verdict, message_id: messageId, taken_by } = row!;
  if (verdict === 'ok' || verdict === 'duplicate') return { messageId, isNew: verdict === 'ok' };
  throw refusal(verdict, taken_by);
}

/** The `end-takeover` job; true when the operator's time was over. */
export async function endTakeover(sql: Sql, conversationId: string): Promise<boolean> {
  const [row] = await sql<{ ended: boolean }[]>`select end_takeover(${conversationId}) as ended`;
  return row?.ended ?? false;
}

/** More than a text of twice MAX_CHARACTERS has. */
const MAX_SEGMENTS = 100;

/**
 * An operator's words as they are sent: characters are mapped as in any text, but a star is a star and no Markdown, and nothing is
 * kept back for MORE, because the number's budget is for agents. Empty when nothing readable is left.
 */
export function packWords(text: string): PackedReply {
  const body = toGsm7Friendly(text).trim();
  const { parts } = splitParts(body, { maxCharacters: MAX_CHARACTERS, maxSegments: MAX_SEGMENTS });
  return { body, parts, more: null };
}

/** A verdict as an error; `by`: who has the conversation. */
export function refusal(verdict: Refusal, by: string | null, until?: Date): DarkspereError {
  if (verdict === 'not_found') return new DarkspereError('not_found', 'There is no conversation with this id.');
  if (verdict !== 'conversation_taken') return new DarkspereError(verdict);
  const time = until ? ` until ${until.toISOString()}, or later if they go on` : '';
  return new DarkspereError('conversation_taken', `${by} answers this conversation by hand${time}.`, { facts: { by } });
}
