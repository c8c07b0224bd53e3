// /api/agents/*: how an agent joins.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PROTOCOLS } from '../../agents/agent.ts';
import { settleSettings } from '../../agents/protocols/settings.ts';
import { deactivateAgent, findAgentByKey, type RegisterDeps, registerAgent } from '../../agents/registry.ts';
import type { Sql } from '../../database/pools.ts';
import { DarkspereError } from '../../errors.ts';
import { createGuessLimit } from '../../security/guess-limit.ts';
import { sameSecret } from '../../security/keys.ts';
import { bearerOf } from '../bearer.ts';
import { isStorableText, parseBody, unstorable } from '../body.ts';

const MAX_METADATA_BYTES = 8_192;
const MAX_METADATA_DEPTH = 10;
const MAX_BODY_BYTES = 65_536;

const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((value) => isStorableText(value) && !/\p{Cc}/u.test(value), 'must not contain control characters');

const metadata = z.record(z.string(), z.unknown()).superRefine((value, context) => {
  const why = unstorable(value, MAX_METADATA_DEPTH);
  if (why !== null) context.addIssue(why);
  else if (Buffer.byteLength(JSON.stringify(value)) > MAX_METADATA_BYTES)
    context.addIssue('is larger than 8 KiB as JSON');
});

const registration = z.strictObject({
  registration_secret: z.string(),
  agent_name: text(100),
  agent_type: text(50),
  endpoint_url: z.string().min(1).max(2_000),
  capabilities: z.array(text(64)).max(50),
  // Absent: the one of the preset, else `envelope`.
  protocol: z.enum(PROTOCOLS).optional(),
  max_concurrent_sessions: z.int().min(1).max(100_000).default(100),
  version: text(50).optional(),
  metadata: metadata.default({}),
});

export type AgentRoutesDeps = RegisterDeps & {
  /** Null: nobody can register over HTTP. */
  readonly registrationSecret: string | null;
  /** Wall time in milliseconds, for tests of the limit. */
  readonly nowMs?: () => number;
};

/** Adds the agent registration routes. Errors leave as DarkspereError for the server's handler. */
export function agentRoutes(app: FastifyInstance, deps: AgentRoutesDeps): void {
  const guesses = createGuessLimit(deps.nowMs);

  app.post('/api/agents/register', { bodyLimit: MAX_BODY_BYTES }, async (request, reply) => {
    const waitSeconds = guesses.waitSeconds(request.ip);
    if (waitSeconds > 0) {
      reply.header('retry-after', waitSeconds);
      throw new DarkspereError('rate_limited', `Too many wrong registration secrets. Try again in ${waitSeconds} s.`);
    }
    // Before anything else is looked at: only who knows the secret may make us resolve names.
    if (!knowsSecret(request.body, deps.registrationSecret)) {
      guesses.noteWrong(request.ip);
      throw new DarkspereError('registration_secret_invalid', undefined, { param: 'registration_secret' });
    }
    const body = parseBody(registration, request.body);
    const { api_key: credential = null, ...rest } = body.metadata;
    if (
      credential !== null &&
      (typeof credential !== 'string' || credential === '' || /[^\x21-\x7e]/.test(credential))
    ) {
      throw new DarkspereError(
        'invalid_request',
        'metadata.api_key must be text without spaces, as a header can carry it.',
        {
          param: 'metadata.api_key',
        },
      );
    }
    const settled = settleSettings(body.protocol ?? null, rest);
    const added = await registerAgent(deps, {
      name: body.agent_name,
      type: body.agent_type,
      protocol: settled.protocol,
      endpointUrl: body.endpoint_url,
      capabilities: [...new Set(body.capabilities)],
      maxConcurrentSessions: body.max_concurrent_sessions,
      version: body.version ?? null,
      metadata: settled.metadata,
      credential,
    });
    return reply.code(201).send({
      success: true,
      agent_id: added.agentId,
      api_key: added.apiKey,
      signing_secret: added.signingSecret,
      message: 'Agent registered successfully',
    });
  });
}

/** What an agent may do with its own registration; everybody else's looks like one that is not there. */
export function ownAgentRoutes(app: FastifyInstance, { sql }: { readonly sql: Sql }): void {
  const own = async (request: FastifyRequest<{ Params: { id: string } }>) => {
    const agent = await findAgentByKey(sql, bearerOf(request));
    if (!agent) throw new DarkspereError('agent_key_invalid');
    if (agent.id !== request.params.id) {
      throw new DarkspereError('not_found', 'There is no such agent, or it is not yours.');
    }
    return agent;
  };
  app.get<{ Params: { id: string } }>('/api/agents/:id', async (request) => {
    const { id, name, type } = await own(request);
    return { agent_id: id, agent_name: name, agent_type: type };
  });
  app.post<{ Params: { id: string } }>('/api/agents/:id/deactivate', async (request) => {
    const { id } = await own(request);
    await deactivateAgent(sql, id);
    return { success: true, agent_id: id, message: 'Agent deactivated' };
  });
}

function knowsSecret(body: unknown, expected: string | null): boolean {
  const given =
    typeof body === 'object' && body !== null ? (body as Record<string, unknown>).registration_secret : undefined;
  if (given === undefined) {
    throw new DarkspereError(
      'invalid_request',
      'registration_secret is missing. Send the value of REGISTRATION_SECRET.',
      {
        param: 'registration_secret',
      },
    );
  }
  return typeof given === 'string' && expected !== null && sameSecret(given, expected);
}
