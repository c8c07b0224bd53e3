// The OpenAPI document, made from the routes as they are declared: GET /v1/openapi.json, and docs/reference/openapi.json.
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import packageJson from '../../package.json' with { type: 'json' };
import * as contract from './contract.ts';
import { route, TAGS } from './routes.ts';

const OTHER_CREDENTIALS = {
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'darkspere-8000',
    description:
      'The session of the console; what changes something needs `x-csrf-token` too. The name ends with the port of the console; over https it is `__Host-darkspere`.',
  },
  agentKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'The api_key that an agent got at its registration.',
  },
} as const;

type Json = Record<string, unknown>;
type Document = Json & {
  components: Json & { schemas: Record<string, unknown> };
  paths: Json;
  tags: readonly { readonly name: string }[];
};
type Tagged = Readonly<Record<string, { readonly tags: readonly string[] }>>;

// Shapes of the contract go under their names. Queries stay where they are: there each field is a parameter.
for (const [name, schema] of Object.entries(contract)) {
  if (schema instanceof z.ZodType && /^[A-Z]/.test(name) && !name.endsWith('Query')) {
    z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), id: name });
  }
}

const COMMON = [
  '**Errors** are `{ "error": { "type", "code", "message", "param"?, "doc_url", "trace_id" } }`. A program looks at `code`, which never changes its meaning; `message` is for people. All codes: [/docs/errors](/docs/errors). Unknown fields and parameters are refused, so that a typing mistake is never ignored.',
  '**Lists** come in pages: give `next_cursor` of one as `cursor` for the next; it is null on the last.',
  '**Times** are ISO 8601 in UTC, ids are UUIDs, durations milliseconds, money millionths of a dollar. Fields are only ever added.',
];

export type Described = {
  readonly title: string;
  /** Markdown. */
  readonly introduction: string;
  /** Where the document is served, and among which of its operations. */
  readonly path: `/${string}`;
  readonly tag: keyof typeof TAGS;
  /** What opens something besides API keys. */
  readonly credentials: readonly (keyof typeof OTHER_CREDENTIALS)[];
};

/** The API of the gateway. */
export const GATEWAY: Described = {
  title: 'Darkspere',
  path: '/v1/openapi.json',
  tag: 'console',
  credentials: ['session', 'agentKey'],
  introduction: [
    'Texts, conversations and agents of one Darkspere.',
    '**Credentials.** Programs send `Authorization: Bearer <api key>`; `npx darkspere keys add <name> --scope read,write` makes one, shown once. A key in an address is refused, because addresses end up in logs. The console has a session cookie.',
    ...COMMON,
  ].join('\n\n'),
};

/** The API of the registration service. */
export const REGISTRATION: Described = {
  title: 'Darkspere: agent registration',
  path: '/api/agents/openapi.json',
  tag: 'agents',
  credentials: ['agentKey'],
  introduction: [
    'How agents join, stay known and leave.',
    '**Credentials.** An agent registers with the registration secret in the body, and sends the `api_key` that it is given as `Authorization: Bearer <api_key>` from then on. Operators’ keys (`npx darkspere keys add <name> --scope read,write`) do instead of both.',
    ...COMMON,
  ].join('\n\n'),
};

/** The API of the MCP adapter. */
export const ADAPTER: Described = {
  title: 'Darkspere: MCP adapter',
  path: '/v1/openapi.json',
  tag: 'adapter',
  credentials: [],
  introduction: [
    'Agents of this Darkspere, asked over HTTP by programs: whatever protocol an agent speaks, it is asked and answers in one way here.',
    '**Credentials.** `Authorization: Bearer <api key>`; `npx darkspere keys add <name> --scope read,chat` makes one. `chat` asks agents, `read` looks at them. Why an agent did not answer is a code of its own.',
    ...COMMON,
  ].join('\n\n'),
};

/** Writes down every route that is added from now on, and serves the document. */
export async function openApiRoutes(app: FastifyInstance, described: Described): Promise<void> {
  const { credentials } = described;
  // A route says what may open it anywhere; where a service knows no sessions, none does.
  const opens = (requirement: object) =>
    Object.keys(requirement).every(
      (name) => name === 'apiKey' || credentials.includes(name as keyof typeof OTHER_CREDENTIALS),
    );
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: described.title, version: packageJson.version, description: described.introduction },
      servers: [{ url: '/' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          apiKey: {
            type: 'http',
            scheme: 'bearer',
            description: 'A key of `npx darkspere keys add`, with the scope that the operation needs.',
          },
          ...Object.fromEntries(credentials.map((name) => [name, OTHER_CREDENTIALS[name]])),
        },
      },
      security: [{ apiKey: [] }, { session: [] }].filter(opens),
    },
    hideUntagged: true,
    transform: (described) => {
      const { schema, url } = jsonSchemaTransform(described);
      return { schema: schema?.security ? { ...schema, security: schema.security.filter(opens) } : schema, url };
    },
    transformObject: (document) => tidied(jsonSchemaTransformObject(document) as unknown as Document) as never,
  });

  route(app, {
    method: 'GET',
    path: described.path,
    summary: 'This document',
    tag: described.tag,
    scope: 'anyone',
    answers: { 200: { type: 'application/json', description: 'OpenAPI 3.1.' } },
    handle: async ({ reply }) => reply.type('application/json; charset=utf-8').send(JSON.stringify(app.swagger())),
  });
}

/** Leaves out shapes that no route names; one that is only sent, or only given, needs no second name. */
function tidied(document: Document): Document {
  const all = document.components.schemas;
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods as Tagged));
  const tags = document.tags.filter(({ name }) => operations.some((operation) => operation.tags.includes(name)));
  const used = new Set<string>();
  const visit = (part: unknown): void => {
    for (const [, name] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name!)) continue;
      used.add(name!);
      visit(all[name!]);
    }
  };
  visit(document.paths);
  // What the stream carries is in no answer.
  const events = ['ChangeEvent', 'AgentEvent', 'PhoneEvent', 'BeatEvent'];
  if ('/v1/events' in document.paths) visit(events.map((name) => ({ $ref: `#/components/schemas/${name}` })));
  const nameOf = (name: string): string => {
    const short = name.replace(/Input$/, '');
    return name.endsWith('Input') && !used.has(short) ? short : name;
  };
  const schemas = Object.fromEntries(
    [...used].sort().map((name) => [nameOf(name), name.endsWith('Input') ? all[name] : open(all[name])]),
  );
  const text = JSON.stringify({ ...document, tags, components: { ...document.components, schemas } });
  const renamed = text.replace(
    /"#\/components\/schemas\/([^"]+)"/g,
    (_, name) => `"#/components/schemas/${nameOf(name)}"`,
  );
  return JSON.parse(renamed, plain) as Document;
}

/** What we give may have more fields one day; only what we are given must not. */
function open(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema), (name, value) =>
    name === 'additionalProperties' && value === false ? undefined : value,
  );
}

/** Without what zod says of every whole number (a double holds no larger one) and of every id (its format says it). */
function plain(name: string, value: unknown): unknown {
  if (value === 'Default Response') return 'The answer.';
  if ((name === 'minimum' || name === 'maximum') && Math.abs(value as number) === Number.MAX_SAFE_INTEGER)
    return undefined;
  if (typeof value !== 'object' || value === null || !('format' in value) || !('pattern' in value)) return value;
  const { pattern: _pattern, ...rest } = value;
  return rest;
}
