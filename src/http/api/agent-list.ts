// GET /v1/agents: who can answer, and how well each of them does.
import type { FastifyInstance } from 'fastify';
import { type AgentInFull, agentStats, findAgents, type ListedAgent, readAgent } from '../../agents/agent-list.ts';
import type { Sql } from '../../database/pools.ts';
import { mayDo } from '../../security/principal.ts';
import { type Agent, AgentDetail, AgentList, AgentStats, AgentsQuery } from '../contract/agents.ts';
import { route } from '../routes.ts';
import { AgentParams, iso } from './agent-changes.ts';

export type AgentListDeps = { readonly sql: Sql };

export function agentListRoutes(app: FastifyInstance, { sql }: AgentListDeps): void {
  route(app, {
    method: 'GET',
    path: '/v1/agents',
    summary: 'Agents, and how well each of them does',
    tag: 'agents',
    scope: 'read',
    accounts: true,
    query: AgentsQuery,
    answers: { 200: AgentList },
    handle: async ({ query, principal: { accountId } }) => {
      const { data, next_cursor } = await findAgents(sql, { ...query, accountId });
      return { data: data.map(agentOf), next_cursor };
    },
  });

  route(app, {
    method: 'GET',
    path: '/v1/agents/stats',
    summary: 'How many agents there are and how they do',
    tag: 'agents',
    scope: 'read',
    accounts: true,
    answers: { 200: AgentStats },
    handle: async ({ principal }) => agentStats(sql, principal),
  });

  route(app, {
    method: 'GET',
    path: '/v1/agents/:id',
    summary: 'One agent: its registration, its standing, what the newest probe found',
    tag: 'agents',
    scope: 'read',
    accounts: true,
    params: AgentParams,
    answers: { 200: AgentDetail },
    handle: async ({ params, principal }) =>
      detailOf(await readAgent(sql, params.id, principal), mayDo(principal, 'write')),
  });
}

/** An address without its query, which may be the key to it (`?code=…`). */
export function withoutQuery(endpointUrl: string): string {
  return endpointUrl.replace(/\?.*$/s, '?…');
}

/** An agent in the shape of the API, as everybody sees it who may read. */
export function agentOf(agent: ListedAgent): Agent {
  const { draining_since, draining_by, drain_reason, disabled_at, disabled_by, disabled_reason, ...rest } = agent;
  return {
    ...rest,
    endpoint_url: withoutQuery(agent.endpoint_url),
    last_success_at: iso(agent.last_success_at),
    last_failure_at: iso(agent.last_failure_at),
    last_heartbeat_at: iso(agent.last_heartbeat_at),
    registered_at: agent.registered_at.toISOString(),
    draining: draining_since && { since: draining_since.toISOString(), by: draining_by ?? '', reason: drain_reason },
    disabled: disabled_at && { at: disabled_at.toISOString(), by: disabled_by ?? '', reason: disabled_reason ?? '' },
  };
}

/** `mayChange`: whoever looks could register it elsewhere, and sees the whole of its address. */
export function detailOf(agent: AgentInFull, mayChange: boolean): AgentDetail {
  return {
    ...agentOf(agent),
    ...(mayChange ? { endpoint_url: agent.endpoint_url } : {}),
    metadata: agent.metadata,
    reported_sessions: agent.reported_sessions,
    cooling_until: iso(agent.cooling_until),
    probe_failures: agent.probe_failures,
    circuit_opened_at: iso(agent.circuit_opened_at),
    trickle: agent.trickle,
    last_check: agent.last_check_at && {
      at: agent.last_check_at.toISOString(),
      outcome: agent.last_check ?? 'unknown',
      error_code: agent.last_check_error,
    },
    old_key_until: iso(agent.old_key_until),
    old_secret_until: iso(agent.old_secret_until),
    updated_at: agent.updated_at.toISOString(),
    deactivated_at: iso(agent.deactivated_at),
    deactivated_by: agent.deactivated_by,
    last_probe: agent.last_probe,
  };
}
