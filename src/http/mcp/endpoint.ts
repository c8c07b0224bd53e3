// POST /mcp: Darkspere as an MCP server. What is HTTP about it stands here: who asks, from which page, how much, and how a refusal
// is told; the rest is the library's.
import type { IncomingHttpHeaders } from 'node:http';
import type { NodeIncomingMessageLike, NodeMcpRequestHandler } from '@modelcontextprotocol/node';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DarkspereError, errorBody, messageOf } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import { mayDo, type Principal } from '../../security/principal.ts';
import { bearerHolderOf } from '../authentication.ts';
import { isTooDeep } from '../body.ts';
import { refuseKeyInUrl } from '../routes.ts';
import { toDarkspereError } from '../server.ts';
import type { Asker, McpHandler } from './server.ts';
import { TOOL_SCOPES } from './tools.ts';

export type McpEndpoint = {
  /** Makes the handler, with the first request that is let through. */
  readonly open: () => Promise<McpHandler>;
  /** Origins of our own pages. */
  readonly origins: readonly string[];
  readonly logger: Logger;
};

type Opened = { readonly handler: McpHandler; readonly answer: NodeMcpRequestHandler };

const PATH = '/mcp';
const MAX_DEPTH = 32;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
/** JSON-RPC: what was sent is no JSON; the server does not do that. */
const PARSE_ERROR = -32_700;
const REFUSED = -32_000;

/** Adds it in a scope of its own: here errors are JSON-RPC's, with ours inside. */
export async function mcpEndpoint(app: FastifyInstance, { open, origins, logger }: McpEndpoint): Promise<void> {
  let opening: Promise<Opened> | null = null;
  const ready = (): Promise<Opened> => {
    opening ??= Promise.all([open(), import('@modelcontextprotocol/node')]).then(([handler, { toNodeHandler }]) => ({
      handler,
      answer: toNodeHandler(handler, {
        onerror: (error) => logger.error({ service: 'mcp', error: messageOf(error) }, 'a request failed'),
      }),
    }));
    return opening;
  };
  // Streams that a client holds open would hold the stop.
  app.addHook('preClose', async () => (await opening)?.handler.close());

  app.setErrorHandler((thrown: Error, request, reply) => {
    const error = toDarkspereError(thrown);
    if (error.status >= 500)
      logger.error(
        { service: 'mcp', trace: request.id, code: error.code, error: messageOf(thrown) },
        'a request failed',
      );
    sendRefusal(request, reply, error);
  });

  app.route({
    method: ['GET', 'POST', 'DELETE'],
    url: PATH,
    exposeHeadRoute: false,
    // Before the body is read: who may not call gets none of our memory.
    async onRequest(request) {
      refuseKeyInUrl(request);
      refuseForeignOrigin(request.headers, origins);
      request.principal = await bearerHolderOf(request);
    },
    async handler(request, reply) {
      const principal = request.principal!;
      if (isTooDeep(request.body, MAX_DEPTH))
        throw new DarkspereError('malformed_body', `The body is nested deeper than ${MAX_DEPTH} levels.`);
      refuseMissingScope(request.body, principal);
      const { answer } = await ready();
      reply.hijack();
      const asker: Asker = { principal, trace: request.id };
      // The key itself is nobody's business from here on.
      const auth = { token: '', clientId: principal.id, scopes: [...principal.scopes], extra: asker };
      reply.raw.setHeader('cache-control', 'no-store');
      await answer(Object.assign(request.raw, { auth }) as NodeIncomingMessageLike, reply.raw, request.body);
    },
  });
}

/**
 * A page that a browser shows sends the name of its origin along, which it cannot change: one of somebody else's, also one whose
 * name was made to lead here (DNS rebinding), is refused. Programs send none.
 */
function refuseForeignOrigin({ origin, host }: IncomingHttpHeaders, ours: readonly string[]): void {
  if (origin === undefined || ours.includes(origin)) return;
  const isLocal = URL.canParse(origin) && LOOPBACK.has(new URL(origin).hostname);
  if (isLocal && LOOPBACK.has((host ?? '').replace(/:\d+$/, ''))) return;
  throw new DarkspereError(
    'csrf_refused',
    'This request comes from a page of another origin. Programs send no Origin.',
    {
      param: 'Origin',
    },
  );
}

/** The lists show a key only what it may call; one that calls something else all the same is told what it would need. */
function refuseMissingScope(body: unknown, principal: Principal): void {
  if (principal.kind === 'agent') return;
  for (const message of Array.isArray(body) ? body : [body]) {
    if (message?.method !== 'tools/call') continue;
    const scope = TOOL_SCOPES.get(message.params?.name);
    if (scope === undefined || mayDo(principal, scope)) continue;
    throw new DarkspereError(
      'forbidden',
      `The key ${principal.name} has the scope ${principal.scopes.join(', ')}; ${message.params.name} needs ${scope}. Make one with: npx darkspere keys add <name> --scope ${principal.scopes.concat(scope).join(',')}`,
      { facts: { scope } },
    );
  }
}

/** RFC 6750: what a client that has no key, a wrong one or too small a one should know. */
function challengeOf(request: FastifyRequest, error: DarkspereError): string | null {
  const realm = 'Bearer realm="Darkspere"';
  if (error.code === 'forbidden' && typeof error.facts.scope === 'string')
    return `${realm}, error="insufficient_scope", scope="${error.facts.scope}"`;
  if (error.status !== 401) return null;
  return request.headers.authorization === undefined ? realm : `${realm}, error="invalid_token"`;
}

function sendRefusal(request: FastifyRequest, reply: FastifyReply, error: DarkspereError): void {
  const challenge = challengeOf(request, error);
  if (challenge !== null) reply.header('www-authenticate', challenge);
  const { retryAfterSeconds } = error.facts;
  if (typeof retryAfterSeconds === 'number') reply.header('retry-after', retryAfterSeconds);
  const { error: data } = errorBody(error, request.id);
  void reply.code(error.status).send({
    jsonrpc: '2.0',
    id: null,
    error: { code: error.code === 'malformed_body' ? PARSE_ERROR : REFUSED, message: error.message, data },
  });
}
