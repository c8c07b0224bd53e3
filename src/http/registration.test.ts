import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { createProbe } from '../agents/staged-probe/probe.ts';
import type { Sql } from '../database/pools.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import { createSecretBox } from '../security/secrets.ts';
import { registrationRoutes } from './registration.ts';
import { createServer } from './server.ts';

// What is refused must be refused before the database is asked: this one is never called.
const noDatabase = (() => {
  throw new Error('the database was asked');
}) as unknown as Sql;

const resolve = async () => ['93.184.216.34'];

async function app(more: { nowMs?: () => number; registrationSecret?: string | null } = {}) {
  const server = createServer({ name: 'test', logger: pino({ level: 'silent' }), isClosing: () => false });
  await registrationRoutes(server, {
    sql: noDatabase,
    secretBox: createSecretBox(Buffer.alloc(32, 1)),
    egressAllow: [],
    registrationSecret: 'the-registration-secret',
    resolve,
    // Each of these ends before a connection is opened.
    probe: createProbe({ http: createEgress({ allow: [], connectMs: 1 }), egressAllow: [], resolve }),
    ...more,
  });
  return server;
}

const good = {
  registration_secret: 'the-registration-secret',
  agent_name: 'Ada',
  agent_type: 'chat',
  endpoint_url: 'https://agent.example/chat',
  capabilities: ['chat'],
};

async function post(server: Awaited<ReturnType<typeof app>>, body: unknown) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await server.inject({
    method: 'POST',
    url: '/api/agents/register',
    headers: { 'content-type': 'application/json' },
    payload,
  });
  return { status: response.statusCode, headers: response.headers, error: response.json().error ?? {} };
}

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

const REFUSED: [string, unknown, string][] = [
  ['unknown field', { ...good, role: 'admin' }, 'role'],
  ['missing name', { ...good, agent_name: undefined }, 'agent_name'],
  ['empty name', { ...good, agent_name: '' }, 'agent_name'],
  ['NUL in a name', { ...good, agent_name: 'a\0b' }, 'agent_name'],
  ['half a surrogate', { ...good, agent_type: '\ud800' }, 'agent_type'],
  ['number as name', { ...good, agent_name: 1 }, 'agent_name'],
  ['unknown protocol', { ...good, protocol: 'soap' }, 'protocol'],
  ['capabilities as text', { ...good, capabilities: 'chat' }, 'capabilities'],
  ['51 capabilities', { ...good, capabilities: Array(51).fill('x') }, 'capabilities'],
  ['a capability of 65', { ...good, capabilities: ['x'.repeat(65)] }, 'capabilities.0'],
  ['no room at all', { ...good, max_concurrent_sessions: 0 }, 'max_concurrent_sessions'],
  ['half a session', { ...good, max_concurrent_sessions: 1.5 }, 'max_concurrent_sessions'],
  ['metadata of 8 KiB', { ...good, metadata: { a: 'x'.repeat(8_192) } }, 'metadata'],
  ['NUL in metadata', { ...good, metadata: { a: ['\0'] } }, 'metadata'],
  ['key no header can carry', { ...good, metadata: { api_key: 'a\r\nb' } }, 'metadata.api_key'],
  ['a tool that is no text', { ...good, protocol: 'mcp', metadata: { tool: 7 } }, 'metadata.tool'],
  ['an era that never was', { ...good, protocol: 'mcp', metadata: { era: '2027' } }, 'metadata.era'],
  [
    'a name that is not known',
    { ...good, protocol: 'mcp', metadata: { arguments: { q: '{{txt}}' } } },
    'metadata.arguments',
  ],
  ['a history of another kind', { ...good, protocol: 'a2a', metadata: { history: 'all' } }, 'metadata.history'],
  ['an API that is none', { ...good, protocol: 'openai', metadata: { api: 'assistants' } }, 'metadata.api'],
  ['tokens below one', { ...good, protocol: 'openai', metadata: { max_tokens: 0 } }, 'metadata.max_tokens'],
  ['a webhook without a body', { ...good, protocol: 'webhook' }, 'metadata.body'],
  [
    'a header of our own',
    { ...good, protocol: 'webhook', metadata: { body: {}, api_key_header: 'host' } },
    'metadata.api_key_header',
  ],
  [
    'a path elsewhere',
    { ...good, protocol: 'webhook', metadata: { body: {}, path: '//evil.example/' } },
    'metadata.path',
  ],
  ['an unknown preset', { ...good, metadata: { preset: 'zapier' } }, 'metadata.preset'],
  ['a preset of another protocol', { ...good, protocol: 'mcp', metadata: { preset: 'n8n-chat' } }, 'protocol'],
  ['a preset that lacks something', { ...good, metadata: { preset: 'langgraph' } }, 'metadata.assistant_id'],
  ['key that is no text', { ...good, metadata: { api_key: 1 } }, 'metadata.api_key'],
  ['private address', { ...good, endpoint_url: 'https://10.0.0.1/' }, 'endpoint_url'],
  ['other scheme', { ...good, endpoint_url: 'file:///etc/passwd' }, 'endpoint_url'],
  ['http to the internet', { ...good, endpoint_url: 'http://agent.example/' }, 'endpoint_url'],
  [
    'deep metadata',
    JSON.stringify({ ...good, metadata: 0 }).replace('"metadata":0', `"metadata":{"a":${nested(30_000)}}`),
    'metadata',
  ],
  ['no object', [1], 'registration_secret'],
  ['null', 'null', 'registration_secret'],
];

for (const [name, body, param] of REFUSED) {
  test(`refused with 422 naming the field: ${name}`, async () => {
    const { status, error } = await post(await app(), body);
    assert.equal(status, 422, JSON.stringify(error));
    assert.equal(error.param, param);
    assert.ok(['invalid_request', 'egress_denied'].includes(error.code));
  });
}

test('a wrong secret is 401 whatever else the body says, and after ten a minute has to pass', async () => {
  let clock = 0;
  const server = await app({ nowMs: () => clock });
  for (let i = 0; i < 10; i++) {
    const wrong = await post(server, { registration_secret: i % 2 ? 'the-registration-secreT' : 7, junk: true });
    assert.deepEqual([wrong.status, wrong.error.code], [401, 'registration_secret_invalid']);
  }
  clock = 20_500;
  const locked = await post(server, good);
  assert.deepEqual([locked.status, locked.error.code, locked.headers['retry-after']], [429, 'rate_limited', '40']);
  clock = 60_000;
  assert.equal((await post(server, { ...good, junk: 1 })).status, 422);
});

test('without a configured secret nobody registers', async () => {
  const { status, error } = await post(await app({ registrationSecret: null }), good);
  assert.deepEqual([status, error.code], [401, 'registration_secret_invalid']);
});
