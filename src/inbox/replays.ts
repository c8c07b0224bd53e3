// Replays as operators see them: asked for, listed, and sent to the person on purpose.
import { DEFAULT_MAX_SEGMENTS, packText } from '../bridge/reply.ts';
import { retryRollbacks } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { timeOf } from './cursor.ts';
import type { AgentRef } from './message.ts';
import { type Exchange, type Kept, keptColumns, toExchange } from './path-rows.ts';
import { type Reader, rowsOf } from './reader.ts';
import { type OperatorPolicy, type Refusal, refusal } from './takeover.ts';

export type Replay = {
  id: string;
  turn_id: string;
  conversation_id: string;
  created_at: string;
  /** What is asked. */
  text: string;
  is_edited: boolean;
  agent: AgentRef;
  state: 'queued' | 'running' | 'answered' | 'failed';
  reply: { text: string; segments: number; media_urls: string[] } | null;
  error_code: string | null;
  duration_ms: number | null;
  exchange: Exchange | null;
  sent_message_id: string | null;
};

export type ReplayRequest = {
  readonly turnId: string;
  readonly by: string;
  /** Instead of what the person wrote. */
  readonly text?: string | undefined;
  /** Instead of the agent that was asked. */
  readonly agentId?: string | undefined;
};

/**
 * Asks for a replay, which a worker makes; gives its id. Throws not_found (no such turn, or its texts are kept no longer),
 * invalid_request (`agent_id`: no such agent) or agent_none.
 */
export async function requestReplay(sql: Sql, { turnId, by, text, agentId }: ReplayRequest): Promise<string> {
  const [row] = await retryRollbacks(
    () => sql<{ verdict: 'ok' | 'not_found' | 'agent_none'; replay_id: string }[]>`
      select * from request_replay(${turnId}, ${by}, ${text ?? null}, ${agentId ?? null})`,
  );
  const { verdict, replay_id } = row!;
  if (verdict === 'ok') return replay_id;
  if (verdict === 'not_found')
    throw new DarkspereError('not_found', 'There is no turn with this id, or its texts are kept no longer.');
  if (agentId === undefined) throw new DarkspereError('agent_none');
  throw new DarkspereError('invalid_request', 'agent_id: there is no agent with this id, or it has left.', {
    param: 'agent_id',
  });
}

type Row = Omit<Replay, 'created_at' | 'agent' | 'reply' | 'exchange'> & {
  readonly agent_id: string;
  readonly agent_name: string;
  readonly reply: string | null;
  readonly segments: number | null;
  readonly media_urls: string[];
  readonly started_at: Date | null;
};

/** Of a turn, newest first; fifty at most. */
export function listReplays(reader: Reader, turnId: string): Promise<Replay[]> {
  const { sql } = reader;
  return replaysWhere(reader, sql`r.turn_id = ${turnId}`);
}

/** Null when there is none with this id. */
export async function findReplay(reader: Reader, id: string): Promise<Replay | null> {
  const { sql } = reader;
  const [found] = await replaysWhere(reader, sql`r.id = ${id}`);
  return found ?? null;
}

async function replaysWhere(reader: Reader, condition: ReturnType<Sql>): Promise<Replay[]> {
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<Row[]>`
      select r.id, r.turn_id, r.conversation_id, r.text, r.is_edited, r.agent_id, a.name as agent_name, r.state, r.reply, r.segments,
        r.media_urls, r.error_code, r.duration_ms, r.sent_message_id, r.started_at
      from replays r join agent_registry a on a.id = r.agent_id
      where ${condition} order by r.id desc limit 50`,
  );
  const calls = await callsOf(reader, rows);
  return rows.map(({ agent_id, agent_name, reply, segments, media_urls, started_at: _startedAt, ...row }) => {
    const call = calls.get(row.id);
    return {
      ...row,
      created_at: timeOf(row.id),
      agent: { id: agent_id, name: agent_name },
      reply: reply === null ? null : { text: reply, segments: segments ?? 0, media_urls },
      exchange: call ? toExchange(call) : null,
    };
  });
}

async function callsOf(reader: Reader, replays: readonly Row[]): Promise<Map<string, Kept>> {
  const begun = replays.filter(({ started_at }) => started_at !== null);
  if (begun.length === 0) return new Map();
  const from = new Date(Math.min(...begun.map(({ started_at }) => started_at!.getTime())));
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<(Kept & { replay_id: string })[]>`
      select ${keptColumns(sql)}, e.replay_id
      from exchanges e left join agent_registry a on a.id = e.agent_id
      where e.conversation_id = any (${[...new Set(begun.map((each) => each.conversation_id))]}::uuid[])
        and e.id >= id_at(${from}::timestamptz - interval '1 minute') and e.replay_id = any (${begun.map(({ id }) => id)}::uuid[])
      order by e.id`,
  );
  return new Map(rows.map((row) => [row.replay_id, row]));
}

export type SendReplay = {
  readonly replayId: string;
  readonly by: string;
  /** The person's number, typed by somebody who means it. */
  readonly confirm?: string | undefined;
};

/**
 * Sends what a replay answered to the person, once; gives the message's id. It needs no takeover: what waits is still the
 * agent's to answer, or the operator's who has it. Throws not_found, conflict (not answered, or sent before), conversation_taken,
 * opted_out, or with a real carrier invalid_request (`confirm`) unless it is the person's number.
 */
export async function sendReplay(
  sql: Sql,
  { replayId, by, confirm }: SendReplay,
  policy: OperatorPolicy & { readonly carrierIsReal: boolean },
): Promise<string> {
  const [replay] = await sql<Sendable[]>`
    select r.reply, r.media_urls, c.their_address, n.max_segments
    from replays r join conversations c on c.id = r.conversation_id left join phone_numbers n on n.address = c.our_address
    where r.id = ${replayId}`;
  if (!replay) throw new DarkspereError('not_found', 'There is no replay with this id.');
  if (policy.carrierIsReal && confirm?.trim() !== replay.their_address) {
    throw new DarkspereError(
      'invalid_request',
      'confirm: a real person gets this text. Type their number, exactly as the conversation shows it.',
      { param: 'confirm' },
    );
  }
  // As the agent's answer would have been: within the number's budget, the rest for MORE.
  const budget = replay.max_segments ?? DEFAULT_MAX_SEGMENTS;
  const { body, parts, more } = packText(replay.reply ?? '', budget, replay.media_urls);
  const [row] = await retryRollbacks(
    () => sql<
      { verdict: 'ok' | 'unanswered' | 'sent_before' | Refusal; message_id: string; taken_by: string | null }[]
    >`
      select * from send_replay(${replayId}, ${by}, ${body}, ${JSON.stringify(parts)}::text::json, ${more},
        ${policy.optOutScope}, ${policy.pacing}, ${policy.takeoverMinutes})`,
  );
  const { verdict, message_id, taken_by } = row!;
  if (verdict === 'ok') return message_id;
  if (verdict === 'unanswered') throw new DarkspereError('conflict', 'The replay has no answer that could be sent.');
  if (verdict === 'sent_before') throw new DarkspereError('conflict', 'This answer was sent before.');
  throw refusal(verdict, taken_by);
}

type Sendable = {
  readonly reply: string | null;
  readonly media_urls: readonly string[];
  readonly their_address: string;
  readonly max_segments: number | null;
};
