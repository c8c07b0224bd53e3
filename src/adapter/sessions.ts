// What is kept of an adapter session between two questions.
import type { Handle, Thread } from '../agents/agent.ts';
import type { Sql } from '../database/pools.ts';

export type AdapterSession = {
  /** What agents know it by. */
  readonly id: string;
  /** What its owner calls it. */
  readonly name: string;
  /** Who answered last. */
  readonly agentId: string | null;
  readonly thread: Thread | null;
};

/** A session that nobody has asked in for so long is forgotten. */
const KEPT = '7 days';

type Row = {
  id: string;
  name: string;
  agent_id: string | null;
  thread: { agent: string; handle: Handle; at: string; missed?: Thread['missed'] } | null;
};

/** The session that a key calls so, or a new one; without a name it is called by its id. Old ones are forgotten on the way. */
export async function openSession(sql: Sql, apiKeyId: string, name: string | null): Promise<AdapterSession> {
  const [row] = await sql<Row[]>`
    with fresh as (select new_id() as id), gone as (
      delete from adapter_sessions where id in (
        select id from adapter_sessions where last_active_at < now() - ${KEPT}::interval
          and (api_key_id, name) is distinct from (${apiKeyId}::uuid, ${name}::text)
        order by last_active_at limit 100 for update skip locked)
    )
    insert into adapter_sessions (id, api_key_id, name)
    select id, ${apiKeyId}, coalesce(${name}::text, id::text) from fresh
    on conflict (api_key_id, name) do update set last_active_at = now()
    returning id, name, agent_id, thread`;
  const { id, name: called, agent_id: agentId, thread } = row!;
  return {
    id,
    name: called,
    agentId,
    thread: thread && {
      agentId: thread.agent,
      handle: thread.handle,
      at: new Date(thread.at),
      missed: thread.missed ?? null,
    },
  };
}

/** Keeps who answered, and where that agent's memory of the session is. An answer without a handle leaves the old one of its agent. */
export async function noteAnswer(sql: Sql, sessionId: string, agentId: string, handle: Handle | null): Promise<void> {
  const thread = handle === null ? null : JSON.stringify({ agent: agentId, handle });
  await sql`
    update adapter_sessions set agent_id = ${agentId}, last_active_at = now(),
      thread = case
        when ${thread}::text is not null then ${thread}::text::jsonb || jsonb_build_object('at', now())
        when thread ->> 'agent' = ${agentId}::text then thread || jsonb_build_object('at', now())
        when thread is not null then thread || '{"missed":"answered elsewhere"}'
      end
    where id = ${sessionId}`;
}

/** The question stayed without an answer: it is in no agent's memory, or only half. */
export async function noteSilence(sql: Sql, sessionId: string): Promise<void> {
  await sql`
    update adapter_sessions set last_active_at = now(), thread = thread || '{"missed":"unanswered"}' where id = ${sessionId}`;
}

/** The agent says that the session is over: the next question begins anew. */
export async function endSession(sql: Sql, sessionId: string): Promise<void> {
  await sql`update adapter_sessions set agent_id = null, thread = null where id = ${sessionId}`;
}

/** Sessions in which somebody asked within the last day. */
export async function countSessions(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from adapter_sessions where last_active_at > now() - interval '1 day'`;
  return row?.count ?? 0;
}
