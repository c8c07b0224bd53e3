// What an agent was asked and what it said, and the sessions it holds: the way from an agent to the conversations.
import type { Protocol } from '../agents/agent.ts';
import { before, timeOf } from './cursor.ts';
import { type Exchange, type Kept, keptColumns, toExchange } from './path-rows.ts';
import { type Reader, rowsOf } from './reader.ts';

export type AgentExchange = {
  readonly conversation_id: string;
  /** The first text of the turn; null: it was a replay, or the text is kept no longer. */
  readonly message_id: string | null;
  readonly their_address: string;
  readonly is_replay: boolean;
  /** ISO 8601. */
  readonly started_at: string;
  readonly duration_ms: number;
  readonly exchange: Exchange;
};

export type ExchangePage = {
  data: AgentExchange[];
  next_cursor: string | null;
  /** Only so far back was looked; null: to the beginning, or the page was full before. */
  searched_back_to: string | null;
};

export type ExchangeFilter = {
  readonly agentId: string;
  /** `failed` leaves out those that we cut off ourselves: STOP, an interrupt, a person who took over. */
  readonly outcome?: 'failed' | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
};

/** Calls of all agents that one request looks through: an index for each agent would be paid by every text. */
const LOOK_AT = 20_000;
/** How long before its turn a text of it can have come. */
const LOOK_BACK_HOURS = 48;

type Row = Kept & {
  readonly conversation_id: string;
  readonly their_address: string;
  readonly message_id: string | null;
  readonly replay_id: string | null;
};

/** Calls to an agent, newest first. Throws invalid_request for a cursor that is none. */
export async function listAgentExchanges(reader: Reader, filter: ExchangeFilter): Promise<ExchangePage> {
  const { sql } = reader;
  const { agentId, outcome, limit } = filter;
  const from = before(filter.cursor);
  const ids = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select looked.id from (
        select id, agent_id, kind, outcome, error_code from exchanges where id < ${from} order by id desc limit ${LOOK_AT}
      ) looked
      where looked.agent_id = ${agentId} and looked.kind = 'agent'
        ${outcome === undefined ? sql`` : sql`and looked.outcome = 'failed' and looked.error_code is distinct from 'agent_cancelled'`}
      order by looked.id desc limit ${limit + 1}`,
  );
  const shown = ids.slice(0, limit).map(({ id }) => id);
  const data = shown.length === 0 ? [] : await exchangesOf(reader, shown);
  if (ids.length > limit) return { data, next_cursor: shown.at(-1)!, searched_back_to: null };
  const [end] = await rowsOf(
    reader,
    sql<{ id: string }[]>`select id from exchanges where id < ${from} order by id desc offset ${LOOK_AT - 1} limit 1`,
  );
  return { data, next_cursor: end?.id ?? null, searched_back_to: end ? timeOf(end.id) : null };
}

async function exchangesOf(reader: Reader, ids: readonly string[]): Promise<AgentExchange[]> {
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<(Row & { protocol: Protocol })[]>`
      select ${keptColumns(sql)}, e.replay_id, e.conversation_id, c.their_address,
        (select m.id from messages m
          where m.conversation_id = e.conversation_id and m.seq = t.from_seq and e.replay_id is null
            and m.id < e.id and m.id >= id_at(t.started_at - ${LOOK_BACK_HOURS} * interval '1 hour')
          order by m.id desc limit 1) as message_id
      from exchanges e
      join conversations c on c.id = e.conversation_id
      left join turns t on t.id = e.turn_id
      left join agent_registry a on a.id = e.agent_id
      where e.id = any (${ids as string[]}::uuid[])
      order by e.id desc`,
  );
  return rows.map((row) => ({
    conversation_id: row.conversation_id,
    message_id: row.message_id,
    their_address: row.their_address,
    is_replay: row.replay_id !== null,
    started_at: row.started_at.toISOString(),
    duration_ms: row.duration_ms,
    exchange: toExchange(row),
  }));
}

export type AgentSession = {
  readonly id: string;
  readonly conversation_id: string;
  readonly channel: string;
  readonly our_address: string;
  readonly their_address: string;
  readonly started_at: string;
  readonly last_active_at: string;
  /** How often it went from one agent to another. */
  readonly failovers: number;
  /** An error code of the agent before, `unhealthy`, `gone`, or `moved` by hand. */
  readonly last_failover_reason: string | null;
};

/** The open sessions that an agent holds, the newest first. Throws invalid_request for a cursor that is none. */
export async function listAgentSessions(
  reader: Reader,
  {
    agentId,
    cursor,
    limit,
  }: { readonly agentId: string; readonly cursor?: string | undefined; readonly limit: number },
): Promise<{ data: AgentSession[]; next_cursor: string | null }> {
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<(Omit<AgentSession, 'started_at' | 'last_active_at'> & { started_at: Date; last_active_at: Date })[]>`
      select s.id, s.conversation_id, c.channel, c.our_address, c.their_address, s.started_at, s.last_active_at, s.failovers,
        (select f.reason from session_failovers f where f.session_id = s.id order by f.id desc limit 1) as last_failover_reason
      from agent_sessions s join conversations c on c.id = s.conversation_id
      where s.agent_id = ${agentId} and s.is_active and s.id < ${before(cursor)}
      order by s.id desc limit ${limit + 1}`,
  );
  const data = rows.slice(0, limit).map((row) => ({
    ...row,
    started_at: row.started_at.toISOString(),
    last_active_at: row.last_active_at.toISOString(),
  }));
  return { data, next_cursor: rows.length > limit ? data.at(-1)!.id : null };
}
