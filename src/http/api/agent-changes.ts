// What an agent may do with its own registration, and an operator with anybody's: the same routes under two addresses.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { readAgent } from '../../agents/agent-list.ts';
import { type Rotation, retireOld, rotateAgentKey, rotateAgentSecret } from '../../agents/credentials.ts';
import { noSuchAgent } from '../../agents/registration.ts';
import { activateAgent, deactivateAgent } from '../../agents/standing.ts';
import type { Sql } from '../../database/pools.ts';
import type { Principal } from '../../security/principal.ts';
import { bearerOf } from '../bearer.ts';
import {
  AgentChangeBody,
  Changed,
  ChangedAgent,
  RegistrationQuery,
  RetireBody,
  RotateBody,
  RotatedKey,
  RotatedSecret,
} from '../contract/agents.ts';
import { givenId } from '../contract/basics.ts';
import { route } from '../routes.ts';
import { type AgentDeps, changeFrom } from './agent-bodies.ts';

export const AgentParams = z.strictObject({ id: givenId });

/** Throws `not_found` for an agent that is not the caller's: somebody else's looks like one that is not there. */
export async function assertOwn(sql: Sql, principal: Principal, agentId: string): Promise<void> {
  if (principal.kind !== 'agent') return void (await readAgent(sql, agentId, principal));
  if (principal.id !== agentId) throw noSuchAgent();
}

/** Adds them. Under /api/agents agents may call them with their own keys. */
export function agentChangeRoutes(app: FastifyInstance, deps: AgentDeps, base: '/api/agents' | '/v1/agents'): void {
  const { sql } = deps;
  const isOwn = base === '/api/agents';
  const common = { tag: 'agents', scope: 'write', accounts: true, params: AgentParams } as const;
  const mine = isOwn ? ({ ...common, agents: true } as const) : common;

  route(app, {
    ...mine,
    method: 'PUT',
    path: `${base}/:id`,
    summary: 'Change a registration',
    description:
      'What is named changes, everything else stays; an agent that an operator has registered keeps the name, the type and the capabilities that it was given, unless an operator changes them; `metadata` is replaced as a whole, but for `api_key`, which stays until another one is named, or null, or until the agent moves to another host. Another address or protocol is probed first.',
    query: RegistrationQuery,
    body: AgentChangeBody,
    answers: { 200: ChangedAgent },
    isSlow: true,
    errors: ['probe_failed', 'egress_denied', 'conflict'],
    handle: async ({ params, query, body, principal }) => {
      await assertOwn(sql, principal, params.id);
      const by = principal.kind === 'agent' ? 'itself' : 'operator';
      const { probe } = await changeFrom(deps, params.id, body, { probe: query.probe, by });
      return { ...done(params.id, 'Agent changed'), probe };
    },
  });

  route(app, {
    ...mine,
    method: 'POST',
    path: `${base}/:id/deactivate`,
    summary: 'Take an agent out, until it is activated again',
    description: 'It is asked nothing, and its key opens nothing but `activate`. Texts go to others.',
    answers: { 200: Changed },
    handle: async ({ params, principal }) => {
      await assertOwn(sql, principal, params.id);
      await deactivateAgent(sql, params.id, principal.kind === 'agent' ? null : principal.name);
      return done(params.id, 'Agent deactivated');
    },
  });

  route(app, {
    ...common,
    ...(isOwn ? ({ agents: 'left' } as const) : {}),
    method: 'POST',
    path: `${base}/:id/activate`,
    summary: 'Bring a deactivated agent back',
    description:
      'With its id, key and secret of before. What an operator has disabled stays so, and what an operator has deactivated only an operator brings back.',
    answers: { 200: Changed },
    handle: async ({ params, principal }) => {
      await assertOwn(sql, principal, params.id);
      await activateAgent(sql, params.id, principal.kind === 'agent' ? 'itself' : 'operator');
      return done(params.id, 'Agent activated');
    },
  });

  route(app, {
    ...mine,
    method: 'POST',
    path: `${base}/:id/rotate-key`,
    summary: 'Give an agent a new API key',
    description:
      'Shown only once. The key before it holds for a day more, or for `keep_old_for_seconds`. An agent keeps the key that it asks with, so one that never got the answer can ask again. Of several copies behind one address the one that asks changes its own key; an operator changes it for all.',
    body: RotateBody,
    answers: { 200: RotatedKey },
    handle: async ({ params, body, principal, request }) => {
      await assertOwn(sql, principal, params.id);
      const rotated = await rotateAgentKey(sql, params.id, rotationOf(body, principal, request));
      return { agent_id: params.id, api_key: rotated.apiKey, old_valid_until: iso(rotated.oldUntil) };
    },
  });

  route(app, {
    ...mine,
    method: 'POST',
    path: `${base}/:id/rotate-secret`,
    summary: 'Give an agent a new signing secret',
    description:
      'Shown only once. For a day, or for `keep_old_for_seconds`, calls carry two signatures, one with each secret, as Standard Webhooks has it.',
    body: RotateBody,
    answers: { 200: RotatedSecret },
    handle: async ({ params, body, principal, request }) => {
      await assertOwn(sql, principal, params.id);
      const rotated = await rotateAgentSecret(deps, params.id, rotationOf(body, principal, request));
      return { agent_id: params.id, signing_secret: rotated.signingSecret, old_valid_until: iso(rotated.oldUntil) };
    },
  });

  route(app, {
    ...mine,
    method: 'POST',
    path: `${base}/:id/retire-old`,
    summary: 'End the time of a key or secret that was replaced',
    body: RetireBody,
    answers: { 200: Changed },
    handle: async ({ params, body, principal }) => {
      await assertOwn(sql, principal, params.id);
      await retireOld(sql, params.id, body.what, principal.kind === 'agent' ? 'agent' : 'operator');
      return done(params.id, 'Only the newest holds now');
    },
  });
}

function rotationOf(
  { keep_old_for_seconds: keepSeconds }: z.infer<typeof RotateBody>,
  principal: Principal,
  request: FastifyRequest,
): Rotation {
  return { keepSeconds, presented: principal.kind === 'agent' ? bearerOf(request) : null };
}

export function done(agentId: string, message: string) {
  return { success: true as const, agent_id: agentId, message };
}

export function iso(at: Date | null): string | null {
  return at?.toISOString() ?? null;
}
