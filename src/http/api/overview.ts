// GET /v1/overview: is it well?
import type { FastifyInstance } from 'fastify';
import { listAgents } from '../../agents/agent-list.ts';
import type { Sql } from '../../database/pools.ts';
import type { Figures, Window } from '../../inbox/overview.ts';
import { Overview, OverviewQuery } from '../contract/overview.ts';
import { route } from '../routes.ts';
import { agentOf } from './agent-list.ts';

export type OverviewDeps = { readonly sql: Sql; readonly overview: (window: Window) => Promise<Figures> };

export function overviewRoutes(app: FastifyInstance, deps: OverviewDeps): void {
  route(app, {
    method: 'GET',
    path: '/v1/overview',
    summary: 'Is it well: texts, answers, times, what waits, and the agents',
    description: 'Computed every two seconds at most, however many ask.',
    tag: 'console',
    scope: 'read',
    query: OverviewQuery,
    answers: { 200: Overview },
    errors: ['query_too_slow'],
    handle: async ({ query: { window } }) => {
      const [figures, agents] = await Promise.all([deps.overview(window), listAgents(deps.sql)]);
      return { ...figures, agents: agents.map(agentOf) };
    },
  });
}
