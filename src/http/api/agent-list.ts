// GET /v1/agents: who can answer, and how well each of them does.
import type { FastifyInstance } from 'fastify';
import { type ListedAgent, listAgents } from '../../agents/agent-list.ts';
import type { Sql } from '../../database/pools.ts';
import { type Agent, AgentList } from '../contract/access.ts';
import { route } from '../routes.ts';

export type AgentListDeps = { readonly sql: Sql };

export function agentListRoutes(app: FastifyInstance, { sql }: AgentListDeps): void {
  route(app, {
    method: 'GET',
    path: '/v1/agents',
    summary: 'Agents, and how well each of them does',
    tag: 'agents',
    scope: 'read',
    answers: { 200: AgentList },
    handle: async () => ({ data: (await listAgents(sql)).map(agentOf) }),
  });
}

/** An agent in the shape of the API. */
export function agentOf(agent: ListedAgent): Agent {
  return {
    ...agent,
    last_success_at: agent.last_success_at?.toISOString() ?? null,
    last_failure_at: agent.last_failure_at?.toISOString() ?? null,
  };
}
