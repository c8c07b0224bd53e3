// The /v1 API of the gateway: what all its routes need, and the routes themselves, a file per resource under api/.
import cookie from '@fastify/cookie';
import type { FastifyInstance } from 'fastify';
import { type AgentListDeps, agentListRoutes } from './api/agent-list.ts';
import { sessionRoutes } from './api/session.ts';
import { type AccessDeps, prepareAccess } from './authentication.ts';

export type ApiDeps = AccessDeps & AgentListDeps;

/** Adds the API. */
export async function apiRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  await prepareApi(app, deps);
  sessionRoutes(app, deps);
  agentListRoutes(app, deps);
}

/** What routes of src/http/routes.ts stand on. */
export async function prepareApi(app: FastifyInstance, deps: AccessDeps): Promise<void> {
  await app.register(cookie);
  app.decorateRequest('principal', null);
  prepareAccess(app, deps);
}
