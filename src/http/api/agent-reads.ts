// /v1/agents/:id/…: how an agent did, what it was asked, whom it answers, and a conversation with it.
import type { FastifyInstance } from 'fastify';
import { readAgent } from '../../agents/agent-list.ts';
import { HISTORY_STEP_MS, healthHistory } from '../../agents/health-history.ts';
import type { Config } from '../../config.ts';
import type { Sql } from '../../database/pools.ts';
import { listAgentExchanges, listAgentSessions } from '../../inbox/agent-calls.ts';
import { askAgent } from '../../inbox/agent-chat.ts';
import {
  AgentChat,
  AgentExchangePage,
  AgentHealth,
  AgentSessionPage,
  ChatBody,
  ExchangesQuery,
  HealthQuery,
} from '../contract/agent-reads.ts';
import { PageQuery } from '../contract/basics.ts';
import { route } from '../routes.ts';
import { AgentParams } from './agent-changes.ts';
import { type ReaderDeps, readerOf } from './conversations.ts';

export type AgentReadDeps = ReaderDeps & {
  readonly sql: Sql;
  readonly config: Pick<Config, 'agentDeadlines'>;
};

export function agentReadRoutes(app: FastifyInstance, deps: AgentReadDeps): void {
  const { sql, config } = deps;
  const common = { tag: 'agents', params: AgentParams } as const;
  const read = { ...common, method: 'GET', scope: 'read' } as const;

  route(app, {
    ...read,
    path: '/v1/agents/:id/health',
    summary: 'How an agent did over time',
    description: 'Calls, failures, time to answer and score, every five minutes.',
    query: HealthQuery,
    answers: { 200: AgentHealth },
    handle: async ({ params: { id }, query: { window } }) => {
      await readAgent(sql, id);
      const points = await healthHistory(deps.reader.sql, id, window);
      return {
        window,
        step_ms: HISTORY_STEP_MS,
        points: points.map((point) => ({ ...point, at: point.at.toISOString() })),
      };
    },
  });

  route(app, {
    ...read,
    path: '/v1/agents/:id/exchanges',
    summary: 'What an agent was asked and what it said',
    description:
      'Newest first, as it went over the wire and without secrets; `outcome=failed`: those that failed, without those that Darkspere cut off itself (`agent_cancelled`). One request looks through 20,000 calls of all agents: `searched_back_to` says how far that was, and `next_cursor` goes on there.',
    query: ExchangesQuery,
    answers: { 200: AgentExchangePage },
    errors: ['query_too_slow'],
    handle: async ({ params: { id }, query, reply }) => {
      await readAgent(sql, id);
      return listAgentExchanges(readerOf(deps, reply), { agentId: id, ...query });
    },
  });

  route(app, {
    ...read,
    path: '/v1/agents/:id/sessions',
    summary: 'The open sessions of an agent',
    description: 'Those that began last come first.',
    query: PageQuery,
    answers: { 200: AgentSessionPage },
    errors: ['query_too_slow'],
    handle: async ({ params: { id }, query, reply }) => {
      await readAgent(sql, id);
      return listAgentSessions(readerOf(deps, reply), { agentId: id, ...query });
    },
  });

  route(app, {
    ...common,
    method: 'POST',
    path: '/v1/agents/:id/chat',
    summary: 'Talk to an agent directly',
    description:
      'The call that a text would make, by a worker, marked as a replay. It is no text: nothing is sent or billed, no session begins, and it does not count for the agent’s health. An agent that fails is an answer too: `error` says how. Thirty questions a minute; an agent that an operator has disabled can be asked.',
    scope: 'write',
    body: ChatBody,
    answers: { 200: AgentChat },
    isSlow: true,
    errors: ['chat_unanswered'],
    handle: async ({ params: { id }, body, principal }) =>
      askAgent(
        sql,
        { agentId: id, sessionId: body.session_id, by: principal.name, message: body.message, history: body.history },
        config.agentDeadlines,
      ),
  });
}
