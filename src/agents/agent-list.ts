// Agents as operators see them. Without their secrets, which the part that faces the internet cannot read.
import type { Sql } from '../database/pools.ts';
import type { AgentStatus } from './agent.ts';

export type ListedAgent = {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly protocol: string;
  readonly status: AgentStatus;
  readonly health_score: number;
  readonly response_ms: number;
  readonly active_sessions: number;
  readonly max_concurrent_sessions: number;
  readonly consecutive_failures: number;
  readonly last_success_at: Date | null;
  readonly last_failure_at: Date | null;
};

/** All that were not deactivated, oldest first. */
export async function listAgents(sql: Sql): Promise<ListedAgent[]> {
  return sql<ListedAgent[]>`
    select id, name, type, protocol, status, health_score, response_ms, max_concurrent_sessions, consecutive_failures,
      last_success_at, last_failure_at, coalesce(sessions.count, 0) as active_sessions
    from agent_registry
    left join (
      select agent_id, count(*)::int as count from agent_sessions where is_active group by agent_id
    ) sessions on sessions.agent_id = agent_registry.id
    where status <> 'deactivated'
    order by id`;
}
