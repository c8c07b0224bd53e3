// The MCP adapter's API: agents asked over HTTP, whatever protocol they speak.
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Chat } from '../adapter/chat.ts';
import { findAgent } from '../adapter/find-agent.ts';
import { countSessions } from '../adapter/sessions.ts';
import type { AgentCounts } from '../adapter/status.ts';
import type { Agent, Deadlines } from '../agents/agent.ts';
import { listAgents } from '../agents/agent-list.ts';
import type { Meet } from '../agents/meet.ts';
import type { About, Meeting } from '../agents/protocols/meeting.ts';
import type { Registry } from '../agents/registry.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { type AccessDeps, prepareAccess } from './authentication.ts';
import { isTooDeep } from './body.ts';
import {
  AdapterAnswer,
  AdapterAsked,
  AdapterCapabilities,
  AdapterHealth,
  AdapterQuestion,
  AdapterStatus,
} from './contract/adapter.ts';
import { apiDocsRoutes } from './docs.ts';
import { ADAPTER, openApiRoutes } from './openapi.ts';
import { route } from './routes.ts';

export type AdapterDeps = {
  readonly access: AccessDeps;
  readonly sql: Sql;
  readonly registry: Registry;
  readonly chat: Chat;
  readonly meet: Meet;
  /** Of meetings. */
  readonly deadlines: Deadlines;
  readonly counts: AgentCounts;
  readonly startedAt: Date;
  readonly isClosing: () => boolean;
};

/** What asking an agent, or meeting it, can fail of. */
const FAILURES = [
  'agent_timeout',
  'agent_refused',
  'agent_broken',
  'agent_busy',
  'agent_away',
  'agent_http',
  'agent_contract',
  'agent_said_error',
  'agent_unauthorized',
  'agent_tls',
  'agent_too_large',
  'agent_cancelled',
  'egress_denied',
] as const;

const MAX_LIMITS_DEPTH = 8;

/** Adds the adapter's routes, and their description. */
export async function adapterRoutes(app: FastifyInstance, deps: AdapterDeps): Promise<void> {
  app.decorateRequest('principal', null);
  prepareAccess(app, deps.access);
  await openApiRoutes(app, ADAPTER);
  apiDocsRoutes(app, ADAPTER.path);
  askingRoutes(app, deps);
  lookingRoutes(app, deps);
}

function askingRoutes(app: FastifyInstance, deps: AdapterDeps): void {
  route(app, {
    method: 'POST',
    path: '/mcp/chat',
    summary: 'Ask an agent',
    description:
      'The agent is chosen, called and, when it fails, replaced as for a text. Nothing of the question or the answer is stored. ' +
      'A question whose client hangs up is cancelled over the agent’s protocol.',
    tag: 'adapter',
    scope: 'chat',
    body: AdapterQuestion,
    answers: { 200: AdapterAnswer },
    isSlow: true,
    errors: ['not_found', 'agent_none', 'agent_deferred', ...FAILURES],
    async handle({ body, principal, reply }) {
      const answer = await deps.chat.ask(
        {
          apiKeyId: principal.id,
          sessionName: body.session_id ?? null,
          agentId: body.agent_id ?? null,
          agentType: body.agent_type,
          message: body.message,
          history: body.conversation_history.map(({ timestamp, ...entry }) => ({
            ...entry,
            timestamp: timestamp === undefined ? null : new Date(timestamp),
          })),
        },
        goneSignal(reply),
      );
      return {
        session_id: answer.session,
        agent_id: answer.agent.id,
        agent_name: answer.agent.name,
        message: answer.text,
        media: [...answer.mediaUrls],
        end_session: answer.endSession,
        timing: { duration_ms: tenths(answer.durationMs), agent_ms: tenths(answer.agentMs), attempts: answer.attempts },
      };
    },
  });
}

function lookingRoutes(app: FastifyInstance, deps: AdapterDeps): void {
  const { sql, registry, counts, deadlines } = deps;

  type Met = { readonly agent: Agent; readonly outcome: Meeting['outcome']; readonly ms: number };

  async function meet(agentId: string, about: About, reply: FastifyReply): Promise<Met> {
    const signal = goneSignal(reply);
    const agent = await findAgent(deps, agentId);
    const startedMs = performance.now();
    const { outcome } = await deps.meet({ agent, deadlines, signal }, about);
    return { agent, outcome, ms: performance.now() - startedMs };
  }

  route(app, {
    method: 'POST',
    path: '/mcp/capabilities',
    summary: 'What an agent can do, in its own words too',
    tag: 'adapter',
    scope: 'read',
    body: AdapterAsked,
    answers: { 200: AdapterCapabilities },
    isSlow: true,
    errors: ['not_found', ...FAILURES],
    async handle({ body: { agent_id }, reply }) {
      const { agent, outcome, ms } = await meet(agent_id, 'capabilities', reply);
      if (outcome.kind === 'failed') throw new DarkspereError(outcome.code, outcome.reason);
      // Whatever serialises works by recursion, and an agent may say anything.
      if (outcome.kind === 'met' && isTooDeep(outcome.limits, MAX_LIMITS_DEPTH))
        throw new DarkspereError(
          'agent_contract',
          `What the agent says of its limits is nested deeper than ${MAX_LIMITS_DEPTH} levels.`,
        );
      const met = outcome.kind === 'met' ? outcome : null;
      return {
        ...named(agent),
        capabilities: [...agent.capabilities],
        offers: met && [...met.offers],
        version: met?.version ?? null,
        limits: { ...met?.limits },
        response_ms: met && tenths(ms),
      };
    },
  });

  route(app, {
    method: 'POST',
    path: '/mcp/health',
    summary: 'Whether an agent is there',
    description: 'By the means of its protocol, without a question. What questions say of it stands beside that.',
    tag: 'adapter',
    scope: 'read',
    body: AdapterAsked,
    answers: { 200: AdapterHealth },
    isSlow: true,
    errors: ['not_found'],
    async handle({ body: { agent_id }, reply }) {
      const { agent, outcome, ms } = await meet(agent_id, 'health', reply);
      return {
        ...named(agent),
        status: ({ met: 'healthy', failed: 'unhealthy', none: 'unknown' } as const)[outcome.kind],
        error: outcome.kind === 'failed' ? { code: outcome.code, message: outcome.reason } : null,
        response_ms: outcome.kind === 'none' ? null : tenths(ms),
        load: outcome.kind === 'met' ? outcome.load : null,
        health_score: agent.healthScore,
        circuit: agent.circuit,
      };
    },
  });

  route(app, {
    method: 'GET',
    path: '/mcp/status',
    summary: 'How the adapter and the agents are',
    tag: 'adapter',
    scope: 'read',
    answers: { 200: AdapterStatus },
    async handle() {
      const [agents, sessions] = await Promise.all([listAgents(deps.access.sql), countSessions(sql)]);
      return {
        state: deps.isClosing() ? ('stopping' as const) : ('ready' as const),
        started_at: deps.startedAt.toISOString(),
        under_way: deps.chat.underWay,
        sessions,
        agents: agents.map((listed) => {
          const agent = registry.find(listed.id);
          const { lastError, ...calls } = counts.of(listed.id);
          return {
            id: listed.id,
            name: listed.name,
            protocol: listed.protocol,
            status: listed.status,
            health_score: listed.health_score,
            circuit: listed.circuit,
            cooling_until: agent?.coolingUntil?.toISOString() ?? null,
            consecutive_failures: listed.consecutive_failures,
            response_ms: listed.response_ms,
            ...calls,
            last_error: lastError,
          };
        }),
      };
    },
  });
}

const tenths = (ms: number) => Math.round(ms * 10) / 10;

const named = ({ id, name, protocol }: Agent) => ({ agent_id: id, agent_name: name, protocol });

/** Aborted when the client has gone; what comes after the last byte of an answer ends nothing. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  // Who left while the key was looked up is not told of any more.
  if (raw.destroyed) gone.abort();
  raw.once('close', () => gone.abort());
  return gone.signal;
}
