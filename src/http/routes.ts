// How a route of the API is written: what it takes and gives, as schemas, and who may call it. Checking, serialising, the
// credential and the OpenAPI document all follow from that.
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { CATALOGUE, DarkspereError, type ErrorCode } from '../errors.ts';
import type { Principal, Scope } from '../security/principal.ts';
import { isStorable } from '../text.ts';
import { authenticate } from './authentication.ts';
import { invalid } from './body.ts';
import { ErrorBody } from './contract/events.ts';

/** What is not JSON: its content type, and what it is. */
export type Other = { readonly type: string; readonly description: string };
type Answers = Readonly<Record<number, z.ZodType | Other | null>>;
type Given<A extends Answers> = {
  [Status in keyof A]: A[Status] extends z.ZodType ? z.output<A[Status]> : A[Status] extends null ? undefined : unknown;
}[keyof A];
type Parsed<T extends z.ZodType | undefined> = T extends z.ZodType ? z.output<T> : undefined;

export const TAGS = {
  conversations: 'Conversations, their messages, and the path of each one.',
  operators: 'What an operator does by hand: answer, take over, replay.',
  agents: 'Agents, and what they may call themselves.',
  console: 'Signing in, this installation, and what happens as it happens.',
  adapter: 'Asking agents, and how they are.',
  simulator: 'The simulated carrier: a phone, and what goes wrong on demand.',
} as const;

export type RouteDeclaration<
  S extends Scope | 'anyone',
  P extends z.ZodType | undefined,
  Q extends z.ZodType | undefined,
  B extends z.ZodType | undefined,
  A extends Answers,
> = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With `:name` for parameters. */
  readonly path: `/${string}`;
  /** One line, like a heading. */
  readonly summary: string;
  /** Markdown. */
  readonly description?: string;
  readonly tag: keyof typeof TAGS;
  /** What a caller's credential must allow; `anyone` needs none. */
  readonly scope: S;
  /** Agents may call it with their own keys too; `left`: those that were deactivated as well. */
  readonly agents?: true | 'left';
  /** Keys of an account may call it too: it sees to it that they get and change what is the account's alone. */
  readonly accounts?: true;
  /** Runs when the body is read and before it is checked: for callers whose proof of who they are is in it. */
  readonly before?: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
  /** What does not fit is a 404: there is nothing at such an address. */
  readonly params?: P;
  /** Without it no query is taken. Strict objects, as in bodies. */
  readonly query?: Q;
  readonly body?: B;
  /** By status; null is an empty answer. The lowest is the usual one, another is set with `reply.code`. */
  readonly answers: A;
  /** Its answer may take longer than the ten seconds after which a silent connection is closed. */
  readonly isSlow?: true;
  /** Errors of its own; the usual ones (credential, shape, storage) are known. */
  readonly errors?: readonly ErrorCode[];
  readonly handle: (call: {
    readonly params: Parsed<P>;
    readonly query: Parsed<Q>;
    readonly body: Parsed<B>;
    readonly principal: S extends 'anyone' ? null : Principal;
    readonly request: FastifyRequest;
    readonly reply: FastifyReply;
  }) => Promise<Given<A> | FastifyReply>;
};

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null where anyone may, and before it is known. */
    principal: Principal | null;
  }
}

const NO_QUERY = z.strictObject({});

/** Adds a route to a server on which `prepareAccess` prepared what callers are known by. */
export function route<
  S extends Scope | 'anyone',
  A extends Answers,
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(app: FastifyInstance, declared: RouteDeclaration<S, P, Q, B, A>): void {
  const { method, path, scope, agents = false, accounts = false, before, params, query, body } = declared;
  const usual = Number(Object.keys(declared.answers)[0]);
  app.route({
    method,
    url: path,
    exposeHeadRoute: false,
    schema: {
      summary: declared.summary,
      ...(declared.description === undefined ? {} : { description: declared.description }),
      tags: [declared.tag],
      operationId: operationId(method, path),
      ...(scope === 'anyone'
        ? { security: [] }
        : agents
          ? { security: [{ apiKey: [] }, { session: [] }, { agentKey: [] }] }
          : {}),
      ...(params === undefined ? {} : { params }),
      querystring: query ?? NO_QUERY,
      ...(body === undefined ? {} : { body }),
      response: responses(declared),
    },
    // Before the body is read: who may not call gets none of our memory.
    onRequest: async (request) => {
      refuseKeyInUrl(request);
      if (scope === 'anyone') return;
      request.principal = await authenticate(request, { scope, agents, accounts });
    },
    ...(before === undefined ? {} : { preValidation: before }),
    handler: async (request, reply) => {
      // A request that a test injects has no real socket.
      if (declared.isSlow) request.raw.socket.setTimeout?.(0);
      // What is said to one caller is nobody else's to keep. Pictures have their own.
      reply.code(usual).headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
      const given = await declared.handle({
        params: request.params as Parsed<P>,
        query: request.query as Parsed<Q>,
        body: request.body as Parsed<B>,
        principal: request.principal as S extends 'anyone' ? null : Principal,
        request,
        reply,
      });
      return reply.sent || given === reply ? reply : reply.send(given);
    },
  });
}

/** Zod checks what comes in; what is wrong leaves as an error of ours. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data) => {
    // Fastify says null where there is no body at all.
    const parsed = schema.safeParse(httpPart === 'body' && data === null ? undefined : data);
    // Every parameter may end in a query; bodies say which of their fields are stored.
    const param = parsed.success && httpPart !== 'body' ? unstorableIn(parsed.data) : undefined;
    if (parsed.success && param === undefined) return { value: parsed.data };
    if (httpPart === 'params') return { error: new DarkspereError('not_found', 'There is nothing at this address.') };
    if (!parsed.success) return { error: invalid(parsed.error, httpPart === 'body' ? 'body' : 'query') };
    return {
      error: new DarkspereError('invalid_request', `${param} must not contain NUL or half a surrogate pair.`, {
        param: param!,
      }),
    };
  };

/** The name of the first parameter that PostgreSQL would not take. */
function unstorableIn(parameters: unknown): string | undefined {
  return Object.entries(parameters as object).find(([, value]) => typeof value === 'string' && !isStorable(value))?.[0];
}

const KEYS = /ds(?:k|l|s|p_agent|p_reg)_[\w-]{20}/;

/** Addresses end up in logs. Throws key_in_url. */
export function refuseKeyInUrl({ raw }: FastifyRequest): void {
  const url = raw.url ?? '';
  if (KEYS.test(url) || /[?&](?:api_?key|access_?token|authorization|bearer)=/i.test(url)) {
    throw new DarkspereError('key_in_url');
  }
}

/** `GET /v1/conversations/:id/messages` → `get_conversations_id_messages`. */
function operationId(method: string, path: string): string {
  return `${method.toLowerCase()}_${path.replace(/^\/v1\//, '').replace(/[^A-Za-z0-9]+/g, '_')}`;
}

type Shape = Pick<
  RouteDeclaration<Scope | 'anyone', z.ZodType | undefined, z.ZodType | undefined, z.ZodType | undefined, Answers>,
  'scope' | 'agents' | 'params' | 'body' | 'answers' | 'errors'
>;

function responses(declared: Shape): Record<number, unknown> {
  const given = Object.entries(declared.answers).map(([status, answer]) => [status, responseOf(answer)]);
  const byStatus = Map.groupBy(new Set(errorsOf(declared)), (code) => CATALOGUE[code].status);
  const refused = [...byStatus]
    .sort(([a], [b]) => a - b)
    .map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${CATALOGUE[code].title}`).join('\n\n'),
        content: { 'application/json': { schema: ErrorBody } },
      },
    ]);
  return Object.fromEntries([...refused, ...given]);
}

function responseOf(answer: z.ZodType | Other | null): unknown {
  if (answer === null) return z.null().meta({ description: 'Done; there is nothing to say.' });
  if (answer instanceof z.ZodType) return answer;
  return { description: answer.description, content: { [answer.type]: { schema: z.string() } } };
}

function errorsOf({ scope, agents, params, body, errors = [] }: Shape): ErrorCode[] {
  const isKnown = scope !== 'anyone';
  return [
    ...errors,
    'invalid_request',
    'key_in_url',
    ...(isKnown ? (['unauthenticated', 'rate_limited', 'storage_unavailable'] as const) : []),
    ...(agents ? (['agent_key_invalid'] as const) : []),
    ...(agents === true ? (['agent_deactivated'] as const) : []),
    ...(isKnown ? (['csrf_refused', 'forbidden'] as const) : []),
    ...(params ? (['not_found'] as const) : []),
    ...(body ? (['malformed_body', 'unsupported_media_type', 'body_too_large'] as const) : []),
  ];
}
