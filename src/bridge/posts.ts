// What agents post by themselves: the late reply to a turn they answered with 202, and texts of their own. The recipient is
// always the session's person; an agent never chooses one.
import { setTimeout as sleep } from 'node:timers/promises';
import { retryRollbacks } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, type ErrorCode } from '../errors.ts';
import { notBefore, type TextPolicy } from './not-before.ts';
import { FALLBACK_TEXT, packAnswer, packNotice } from './reply.ts';

export type Post = {
  readonly agentId: string;
  readonly conversationId: string;
  /** The message_id of the chat.request this answers; null for a text of the agent's own. */
  readonly inReplyTo: string | null;
  readonly text: string;
  readonly mediaUrls: readonly string[];
  readonly idempotencyKey: string | null;
};

type Verdict =
  | 'ok'
  | 'duplicate'
  | 'turn_running'
  | Extract<
      ErrorCode,
      | 'not_found'
      | 'turn_closed'
      | 'send_budget_spent'
      | 'sender_busy'
      | 'opted_out'
      | 'quiet_hours'
      | 'conversation_taken'
      | 'idempotency_key_reused'
    >;

/** How long an answer waits for the record of the 202 that it belongs to. */
const TURN_END_MS = 5_000;
const LOOK_AGAIN_MS = 50;

/** Queues a posted text; gives the message's id. Throws what Verdict names. */
export async function postMessage(
  sql: Sql,
  post: Post,
  policy: TextPolicy,
): Promise<{ messageId: string; isNew: boolean }> {
  const packed = packAnswer(post.text, post.mediaUrls, await budgetOf(sql, post.conversationId, policy));
  if (!packed) {
    throw new DarkspereError('invalid_request', 'text: nothing readable is left of it. Send words.', { param: 'text' });
  }
  const store = async () => {
    const [row] = await retryRollbacks(
      () => sql<{ verdict: Verdict; message_id: string | null; free_at: Date | null }[]>`
        select * from post_message(${post.agentId}, ${post.conversationId}, ${post.inReplyTo}, ${post.idempotencyKey},
          ${packed.body}, ${JSON.stringify(packed.parts)}::text::json, ${packed.more}, ${policy.optOutScope}, ${policy.pacing})`,
    );
    return row!;
  };
  const giveUpMs = performance.now() + TURN_END_MS;
  let row = await store();
  while (row.verdict === 'turn_running' && performance.now() < giveUpMs) {
    await sleep(LOOK_AGAIN_MS);
    row = await store();
  }
  const { verdict, message_id: messageId } = row;
  if (verdict === 'ok' || verdict === 'duplicate') return { messageId: messageId ?? '', isNew: verdict === 'ok' };
  if (verdict === 'not_found') {
    throw new DarkspereError('not_found', 'There is no conversation with this id in which your agent has a session.');
  }
  if (verdict === 'turn_running') {
    throw new DarkspereError('conflict', 'The call that this answers is still open. Answer it with 202 first.');
  }
  if (verdict === 'sender_busy' || verdict === 'quiet_hours') throw notBefore(verdict, row.free_at!, 'charged');
  throw new DarkspereError(verdict);
}

/** Segments that a text on this conversation's number may have. */
async function budgetOf(sql: Sql, conversationId: string, policy: TextPolicy): Promise<number> {
  const [number] = await sql<{ max_segments: number }[]>`
    select n.max_segments from conversations c join phone_numbers n on n.address = c.our_address
    where c.id = ${conversationId}`;
  return number?.max_segments ?? policy.maxSegments;
}

/** The `close-deferred` job: an agent that said 202 never came back; its person is told that nobody can answer, once an hour at most. */
export async function closeDeferred(sql: Sql, turnId: string, pacing: boolean): Promise<boolean> {
  const { body, parts } = packNotice(FALLBACK_TEXT);
  const [row] = await sql<{ close_deferred: boolean }[]>`
    select close_deferred(${turnId}, ${body}, ${JSON.stringify(parts)}::text::json, ${pacing})`;
  return row?.close_deferred ?? false;
}

/** A turn that an agent deferred, and how long the agent took to say so; null when there is no such turn any more. */
export type Deferral = { readonly agentId: string; readonly startedAt: Date; readonly ms: number };

/** Whose a deferred turn was, answered by now or not: its health follows from that. */
export async function findDeferral(sql: Sql, turnId: string): Promise<Deferral | null> {
  const [row] = await sql<{ agent_id: string; started_at: Date; ms: number | null }[]>`
    select t.agent_id, t.started_at, (
      select e.duration_ms from exchanges e
      where e.conversation_id = t.conversation_id and e.turn_id = t.id and e.kind = 'agent' and e.agent_id = t.agent_id
      order by e.id desc limit 1) as ms
    from turns t where t.id = ${turnId} and t.agent_id is not null`;
  return row === undefined ? null : { agentId: row.agent_id, startedAt: row.started_at, ms: row.ms ?? 0 };
}
