// The /v1 API of the gateway: what all its routes need, and the routes themselves, a file per resource under api/.
import cookie from '@fastify/cookie';
import type { FastifyInstance } from 'fastify';
import { type AgentControlDeps, agentControlRoutes } from './api/agent-control.ts';
import { type AgentListDeps, agentListRoutes } from './api/agent-list.ts';
import { type AgentReadDeps, agentReadRoutes } from './api/agent-reads.ts';
import { conversationRoutes, type ReaderDeps } from './api/conversations.ts';
import { type EventsDeps, eventRoutes } from './api/events.ts';
import { type InstanceDeps, instanceRoutes } from './api/instance.ts';
import { messageRoutes } from './api/messages.ts';
import { type OverviewDeps, overviewRoutes } from './api/overview.ts';
import { type PostDeps, postRoutes } from './api/posts.ts';
import { type ReplayRoutesDeps, replayRoutes } from './api/replays.ts';
import { type SessionDeps, sessionRoutes } from './api/session.ts';
import { type SimulatorDeps, simulatorRoutes } from './api/simulator.ts';
import { type TakeoverDeps, takeoverRoutes } from './api/takeover.ts';
import { type AccessDeps, prepareAccess } from './authentication.ts';
import { apiDocsRoutes } from './docs.ts';
import { type MediaDeps, mediaRoutes } from './media.ts';
import { GATEWAY, openApiRoutes } from './openapi.ts';

/** What all routes together are given. */
export type ApiDeps = AccessDeps &
  AgentControlDeps &
  AgentListDeps &
  AgentReadDeps &
  EventsDeps &
  InstanceDeps &
  MediaDeps &
  OverviewDeps &
  PostDeps &
  ReaderDeps &
  ReplayRoutesDeps &
  SessionDeps &
  SimulatorDeps &
  TakeoverDeps;

/** Adds the API. */
export async function apiRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  await app.register(cookie);
  app.decorateRequest('principal', null);
  prepareAccess(app, deps);
  // First: it writes down the routes that come after it.
  await openApiRoutes(app, GATEWAY);
  apiDocsRoutes(app, GATEWAY.path);
  sessionRoutes(app, deps);
  instanceRoutes(app, deps);
  eventRoutes(app, deps);
  agentListRoutes(app, deps);
  agentReadRoutes(app, deps);
  agentControlRoutes(app, deps);
  overviewRoutes(app, deps);
  conversationRoutes(app, deps);
  messageRoutes(app, deps);
  postRoutes(app, deps);
  takeoverRoutes(app, deps);
  replayRoutes(app, deps);
  mediaRoutes(app, deps);
  simulatorRoutes(app, deps);
}
