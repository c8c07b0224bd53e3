// A conversation as operators see it: who, in what state, and what was said last.
import type { ChannelKind } from '../channels/channel.ts';
import type { AgentRef, Message } from './message.ts';
import { readMessages } from './message-rows.ts';
import { type Reader, rowsOf } from './reader.ts';
import type { Takeover } from './takeover.ts';

export type ConversationState = 'answering' | 'waiting' | 'held' | 'deferred' | 'taken_over' | 'opted_out' | 'idle';

export type Conversation = {
  id: string;
  channel: ChannelKind;
  our_address: string;
  their_address: string;
  state: ConversationState;
  waiting: number;
  agent: AgentRef | null;
  takeover: Takeover | null;
  last_message: {
    id: string;
    at: string;
    direction: Message['direction'];
    kind: Message['kind'];
    preview: string;
    media: number;
    state: Message['state'];
  } | null;
};

export type ConversationDetail = Conversation & {
  created_at: string;
  session: {
    id: string;
    started_at: string;
    last_active_at: string;
    is_active: boolean;
    failovers: number;
    /** An error code of the agent before, `unhealthy`, `gone`, or `moved` by hand. */
    last_failover_reason: string | null;
  } | null;
};

export type ConversationRow = {
  readonly id: string;
  readonly channel: ChannelKind;
  readonly our_address: string;
  readonly their_address: string;
  readonly created_at: Date;
  readonly waiting: number;
  readonly is_running: boolean;
  readonly is_held: boolean;
  readonly is_deferred: boolean;
  readonly is_out: boolean;
  readonly takeover_by: string | null;
  readonly takeover_since: Date | null;
  readonly takeover_until: Date | null;
  readonly agent_id: string | null;
  readonly agent_name: string | null;
  readonly session_id: string | null;
  readonly session_started_at: Date | null;
  readonly session_active_at: Date | null;
  readonly session_is_active: boolean | null;
  readonly failovers: number | null;
  readonly last_failover_reason: string | null;
  readonly last_message_id: string | null;
};

const PREVIEW = 160;

/** These conversations with their newest messages, in this order. One that is none is left out. */
export async function readConversations(reader: Reader, ids: readonly string[]): Promise<ConversationDetail[]> {
  if (ids.length === 0) return [];
  const rows = await conversationRows(reader, ids);
  const messages = await readMessages(
    reader,
    rows.flatMap((row) => row.last_message_id ?? []),
  );
  const byId = new Map(messages.map((message) => [message.id, message]));
  return rows.map((row) => toConversation(row, byId.get(row.last_message_id ?? '') ?? null));
}

/** One conversation; null when there is none. */
export async function findConversation(reader: Reader, id: string): Promise<ConversationDetail | null> {
  return (await readConversations(reader, [id]))[0] ?? null;
}

/** The part of it that stands in lists. */
export function listed({ created_at: _created, session: _session, ...conversation }: ConversationDetail): Conversation {
  return conversation;
}

function conversationRows(reader: Reader, ids: readonly string[]): Promise<ConversationRow[]> {
  const { sql, optOutScope } = reader;
  return rowsOf(
    reader,
    sql<ConversationRow[]>`
      select c.id, c.channel, c.our_address, c.their_address, c.created_at, (c.last_seq - c.done_seq)::int as waiting,
        c.running_turn is not null as is_running, is_held(c.held_until) as is_held,
        ${isDeferred(reader)} as is_deferred,
        exists (
          select from consents o where (o.channel, o.scope, o.their_address, o.state)
            = (c.channel, coalesce(${optOutScope}, c.our_address), c.their_address, 'out')) as is_out,
        c.takeover_by, c.takeover_since, c.takeover_until,
        s.id as session_id, s.started_at as session_started_at, s.last_active_at as session_active_at,
        s.is_active as session_is_active, s.failovers, s.agent_id, a.name as agent_name,
        (select f.reason from session_failovers f where f.session_id = s.id order by f.id desc limit 1) as last_failover_reason,
        (select m.id from messages m where m.conversation_id = c.id order by m.id desc limit 1) as last_message_id
      from unnest(${ids as string[]}::uuid[]) with ordinality wanted (id, n)
      join conversations c on c.id = wanted.id
      left join lateral (
        -- The session that goes on, or the last one there was.
        select s.* from agent_sessions s where s.conversation_id = c.id order by s.id desc limit 1
      ) s on true
      left join agent_registry a on a.id = s.agent_id
      order by wanted.n`,
  );
}

function toConversation(row: ConversationRow, last: Message | null): ConversationDetail {
  return {
    id: row.id,
    channel: row.channel,
    our_address: row.our_address,
    their_address: row.their_address,
    state: conversationState(row),
    waiting: row.waiting,
    agent: row.agent_id === null ? null : { id: row.agent_id, name: row.agent_name ?? row.agent_id },
    takeover:
      row.takeover_by === null
        ? null
        : {
            by: row.takeover_by,
            since: row.takeover_since!.toISOString(),
            until: row.takeover_until!.toISOString(),
          },
    last_message: last && {
      id: last.id,
      at: last.at,
      direction: last.direction,
      kind: last.kind,
      preview: [...last.body].slice(0, PREVIEW).join(''),
      media: last.media.length + last.parts.reduce((sum, part) => sum + part.media_urls.length, 0),
      state: last.state,
    },
    created_at: row.created_at.toISOString(),
    session:
      row.session_id === null
        ? null
        : {
            id: row.session_id,
            started_at: row.session_started_at!.toISOString(),
            last_active_at: row.session_active_at!.toISOString(),
            is_active: row.session_is_active!,
            failovers: row.failovers!,
            last_failover_reason: row.last_failover_reason,
          },
  };
}

/** Of `conversations c`: whether an agent said 202 and its answer is still to come. It is closed within a quarter of an hour. */
export const isDeferred = ({ sql }: Reader) => sql`exists (
  select from turns d where d.conversation_id = c.id and d.id >= id_at(now() - interval '1 day') and d.state = 'deferred')`;

/** What matters most of what is true: nothing can be sent; a person has it; an answer is being made; texts wait; one comes later. */
function conversationState(
  row: Pick<ConversationRow, 'is_out' | 'takeover_by' | 'is_running' | 'is_held' | 'is_deferred' | 'waiting'>,
): ConversationState {
  if (row.is_out) return 'opted_out';
  if (row.takeover_by !== null) return 'taken_over';
  if (row.is_running) return 'answering';
  if (row.waiting === 0) return row.is_deferred ? 'deferred' : 'idle';
  return row.is_held ? 'held' : 'waiting';
}
