// What operators do with agents: register, probe, drain, disable, enable.
import type { FastifyInstance } from 'fastify';
import { readAgent } from '../../agents/agent-list.ts';
import { requestProbe } from '../../agents/staged-probe/request.ts';
import { disableAgent, drainAgent, enableAgent } from '../../agents/standing.ts';
import {
  AgentDetail,
  AgentProbe,
  DisableBody,
  DrainBody,
  NewAgentBody,
  ProbeBody,
  Registered,
  RegistrationQuery,
} from '../contract/agents.ts';
import { route } from '../routes.ts';
import { type AgentDeps, registerFrom } from './agent-bodies.ts';
import { AgentParams, agentChangeRoutes, assertOwn, done } from './agent-changes.ts';
import { detailOf } from './agent-list.ts';

export type AgentControlDeps = { readonly agents: AgentDeps };

export function agentControlRoutes(app: FastifyInstance, { agents }: AgentControlDeps): void {
  const { sql } = agents;
  const common = { tag: 'agents', scope: 'write', params: AgentParams } as const;
  const read = async (agentId: string) => detailOf(await readAgent(sql, agentId), true);

  route(app, {
    method: 'POST',
    path: '/v1/agents',
    summary: 'Register an agent',
    description: 'As `POST /api/agents/register` of the registration service, without its secret.',
    tag: 'agents',
    scope: 'write',
    accounts: true,
    query: RegistrationQuery,
    body: NewAgentBody,
    answers: { 201: Registered },
    isSlow: true,
    errors: ['probe_failed', 'egress_denied'],
    handle: async ({ body, query, principal }) => {
      const added = await registerFrom(agents, body, query.probe, principal);
      return {
        ...done(
          added.agentId,
          added.isNew ? 'Agent registered successfully' : 'Agent registered again: it keeps its id',
        ),
        api_key: added.apiKey,
        signing_secret: added.signingSecret,
        probe: added.probe,
      };
    },
  });

  route(app, {
    ...common,
    accounts: true,
    method: 'POST',
    path: '/v1/agents/:id/probe',
    summary: 'Probe an agent now, stage by stage',
    description:
      'By a worker, from where texts are asked. Waits up to 35 seconds. `full` ends with a question where the protocol has nothing smaller; `handshake` asks for nothing that costs or acts. It does not count for the agent’s health.',
    body: ProbeBody,
    answers: { 200: AgentProbe },
    isSlow: true,
    errors: ['probe_unanswered'],
    handle: async ({ params, body, principal }) => {
      await assertOwn(sql, principal, params.id);
      return requestProbe(sql, params.id, body.depth);
    },
  });

  route(app, {
    ...common,
    method: 'POST',
    path: '/v1/agents/:id/drain',
    summary: 'Give an agent no new sessions',
    description:
      'Those that it has go on. While nobody else is there to ask it is asked all the same: a person waits. `enable` ends it.',
    body: DrainBody,
    answers: { 200: AgentDetail },
    handle: async ({ params, body, principal }) => {
      await drainAgent(sql, params.id, principal.name, body.reason ?? null);
      return read(params.id);
    },
  });

  route(app, {
    ...common,
    method: 'POST',
    path: '/v1/agents/:id/disable',
    summary: 'Ask an agent nothing any more',
    description: 'From now on and until `enable`, whatever its health. Its sessions go on with others.',
    body: DisableBody,
    answers: { 200: AgentDetail },
    handle: async ({ params, body, principal }) => {
      await disableAgent(sql, params.id, principal.name, body.reason);
      return read(params.id);
    },
  });

  route(app, {
    ...common,
    method: 'POST',
    path: '/v1/agents/:id/enable',
    summary: 'End a drain, and whatever disabled an agent',
    description: 'Failures in a row are forgotten: the next texts show how it is.',
    answers: { 200: AgentDetail },
    handle: async ({ params }) => {
      await enableAgent(sql, params.id);
      return read(params.id);
    },
  });

  agentChangeRoutes(app, agents, '/v1/agents');
}
