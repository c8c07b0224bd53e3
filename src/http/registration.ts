// /api/agents/*, the registration service: how an agent joins, and stays known.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { agentStats, readAgent } from '../agents/agent-list.ts';
import { findAgentByKey, noteCopy } from '../agents/credentials.ts';
import { noteHeartbeat } from '../agents/standing.ts';
import { DarkspereError } from '../errors.ts';
import { API_KEY_PREFIX } from '../security/api-keys.ts';
import { createGuessLimit } from '../security/guess-limit.ts';
import { sameSecret } from '../security/keys.ts';
import { mayDo } from '../security/principal.ts';
import { type AgentDeps, registerFrom } from './api/agent-bodies.ts';
import { AgentParams, agentChangeRoutes, assertOwn, done, iso } from './api/agent-changes.ts';
import { withoutQuery } from './api/agent-list.ts';
import { authenticate, prepareAccess } from './authentication.ts';
import { bearerOf } from './bearer.ts';
import {
  AgentStats,
  HeartbeatAnswer,
  HeartbeatBody,
  Registered,
  RegisteredAgent,
  RegistrationBody,
  RegistrationQuery,
} from './contract/agents.ts';
import { apiDocsRoutes } from './docs.ts';
import { openApiRoutes, REGISTRATION } from './openapi.ts';
import { route } from './routes.ts';

export type RegistrationDeps = AgentDeps & {
  /** Null: nobody can register with one, only operators with their keys. */
  readonly registrationSecret: string | null;
  /** Wall time in milliseconds, for tests of the limit. */
  readonly nowMs?: () => number;
};

/** Adds the API of the registration service. Errors leave as DarkspereError for the server's handler. */
export async function registrationRoutes(app: FastifyInstance, deps: RegistrationDeps): Promise<void> {
  const { sql } = deps;
  // Of its own: agents whose keys hold no more must not keep themselves from registering again.
  const secrets = createGuessLimit(deps.nowMs);
  app.decorateRequest('principal', null);
  prepareAccess(app, { sql, consoleUrl: null, guesses: createGuessLimit(deps.nowMs) });
  await openApiRoutes(app, REGISTRATION);
  apiDocsRoutes(app, REGISTRATION.path);

  /** An operator's key, or the secret, before anything else is looked at: only whoever has one may make us resolve names. */
  const admit = async (request: FastifyRequest): Promise<void> => {
    if (request.headers.authorization?.slice('Bearer '.length).startsWith(API_KEY_PREFIX)) {
      request.principal = await authenticate(request, { scope: 'write', agents: false, accounts: true });
      return;
    }
    const secret = secretIn(request.body);
    const waitSeconds = secrets.waitSeconds(request.ip, secret);
    if (waitSeconds > 0) {
      throw new DarkspereError('rate_limited', `Too many wrong registration secrets. Try again in ${waitSeconds} s.`, {
        facts: { retryAfterSeconds: waitSeconds },
      });
    }
    if (deps.registrationSecret !== null && sameSecret(secret, deps.registrationSecret))
      return secrets.noteRight(secret);
    secrets.noteWrong(request.ip);
    throw new DarkspereError('registration_secret_invalid', undefined, { param: 'registration_secret' });
  };

  route(app, {
    method: 'POST',
    path: '/api/agents/register',
    summary: 'Join',
    description:
      'With the registration secret in the body, or an operator’s key with the scope write. The agent is probed first, stage by stage; when one fails it is not registered, and the error names the stage and what to correct. The same name and type at the same address is the agent of before: it keeps its id, and its key and signing secret of before are those of another copy: they hold while heartbeats come with that key, and a day more. With a key of an account the agent is that account’s alone; no text reaches it before numbers belong to accounts.',
    tag: 'agents',
    scope: 'anyone',
    before: admit,
    query: RegistrationQuery,
    body: RegistrationBody,
    answers: { 201: Registered },
    isSlow: true,
    errors: [
      'registration_secret_invalid',
      'unauthenticated',
      'forbidden',
      'rate_limited',
      'probe_failed',
      'egress_denied',
      'storage_unavailable',
    ],
    handle: async ({ body, query, request }) => {
      const { registration_secret: _, ...wanted } = body;
      const added = await registerFrom(deps, wanted, query.probe, request.principal);
      const message = added.isNew
        ? 'Agent registered successfully'
        : 'Agent registered again: it keeps its id, and its key and signing secret of before hold for 24 hours after the last heartbeat with them';
      return {
        ...done(added.agentId, message),
        api_key: added.apiKey,
        signing_secret: added.signingSecret,
        probe: added.probe,
      };
    },
  });

  route(app, {
    method: 'GET',
    path: '/api/agents/stats',
    summary: 'How many agents there are and how they do',
    tag: 'agents',
    scope: 'read',
    agents: true,
    accounts: true,
    answers: { 200: AgentStats },
    handle: async ({ principal }) =>
      // An agent of everybody's hears nothing of those of accounts.
      agentStats(sql, principal.kind === 'agent' ? { accountId: principal.accountId ?? null } : principal),
  });

  route(app, {
    method: 'GET',
    path: '/api/agents/:id',
    summary: 'An agent as it is registered',
    tag: 'agents',
    scope: 'read',
    agents: true,
    accounts: true,
    params: AgentParams,
    answers: { 200: RegisteredAgent },
    handle: async ({ params, principal }) => {
      await assertOwn(sql, principal, params.id);
      const agent = await readAgent(sql, params.id);
      const { id, name, type, draining_since, last_heartbeat_at, registered_at, updated_at, ...rest } = agent;
      const seesAll = principal.kind === 'agent' || mayDo(principal, 'write');
      return {
        ...rest,
        endpoint_url: seesAll ? rest.endpoint_url : withoutQuery(rest.endpoint_url),
        agent_id: id,
        agent_name: name,
        agent_type: type,
        draining: draining_since !== null,
        last_heartbeat_at: iso(last_heartbeat_at),
        registered_at: registered_at.toISOString(),
        updated_at: updated_at.toISOString(),
        last_probe: agent.last_probe,
      };
    },
  });

  route(app, {
    method: 'POST',
    path: '/api/agents/:id/heartbeat',
    summary: 'Say that an agent is alive, and hear what it should know',
    description:
      'Every 15 seconds or so. The answer says whether the agent is to get new sessions, whether an operator has disabled it and why, and how long a key or secret that was replaced holds.',
    tag: 'agents',
    scope: 'write',
    agents: true,
    accounts: true,
    params: AgentParams,
    body: HeartbeatBody,
    answers: { 200: HeartbeatAnswer },
    handle: async ({ params, body, principal, request }) => {
      await assertOwn(sql, principal, params.id);
      const { load, active_sessions = null, draining = null } = body;
      const standing = await noteHeartbeat(sql, params.id, { load, sessions: active_sessions, draining });
      const holder = principal.kind === 'agent' ? await findAgentByKey(sql, bearerOf(request)) : null;
      if (holder?.isCopy) await noteCopy(sql, bearerOf(request));
      return {
        success: true as const,
        agent_id: params.id,
        status: standing.status,
        health_score: standing.health_score,
        draining: standing.draining_since !== null,
        drain_reason: standing.drain_reason,
        disabled_reason: standing.disabled_reason,
        key_valid_until: iso(holder?.keyUntil ?? null),
        old_secret_valid_until: iso(holder === null ? standing.old_secret_until : holder.secretUntil),
      };
    },
  });

  agentChangeRoutes(app, deps, '/api/agents');
}

/** What the body says is the registration secret; what is no text is a wrong one. */
function secretIn(body: unknown): string {
  const given =
    typeof body === 'object' && body !== null ? (body as Record<string, unknown>).registration_secret : undefined;
  if (given !== undefined) return typeof given === 'string' ? given : '';
  throw new DarkspereError(
    'invalid_request',
    'registration_secret is missing. Send the value of REGISTRATION_SECRET, or an operator’s key as Authorization: Bearer.',
    { param: 'registration_secret' },
  );
}
