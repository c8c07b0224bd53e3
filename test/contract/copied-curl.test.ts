// "Copy as curl" of a call to each kind of agent: the command is run by a real shell and answered by the agent itself, which gets
// what it got from us.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LLMock } from '@copilotkit/aimock';
import { Webhook } from 'standardwebhooks';
import type { Agent } from '../../src/agents/agent.ts';
import { settleSettings } from '../../src/agents/protocols/settings.ts';
import { curlOf } from '../../src/inbox/curl.ts';
import { startA2aAgent, startOldA2aAgent } from '../support/a2a-servers.ts';
import { startMcpAgent, startOldMcpAgent, startServerEverything } from '../support/mcp-servers.ts';
import { chat } from '../support/protocol-dresses.ts';
import { type Behaviour, callTo, json, type Peer, SECRET, startPeer } from '../support/protocol-peer.ts';

const CURL = fileURLToPath(new URL('../support/curl.ts', import.meta.url));
const KEY = 'sk-secret';
/** What an agent may tell a call by, besides its body. */
const TELLING = [
  'authorization',
  'x-api-key',
  'content-type',
  'content-length',
  'webhook-id',
  'a2a-version',
  'mcp-name',
];

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

/** Posts to any server of this process, since the test began. */
const posts: { path: string; headers: Record<string, unknown> }[] = [];
const onRequest = (message: unknown) => {
  const { method, url = '', headers } = (message as { request: IncomingMessage }).request;
  if (method !== 'POST') return;
  posts.push({ path: url, headers: Object.fromEntries(TELLING.map((name) => [name, headers[name]])) });
};
beforeEach(() => {
  posts.length = 0;
  subscribe('http.server.request.start', onRequest);
});
afterEach(() => {
  unsubscribe('http.server.request.start', onRequest);
});

/** What the command prints. */
async function run(command: string, env: Record<string, string>): Promise<string> {
  const child = spawn('bash', ['--norc', '-c', `curl() { "$NODE" "$CURL" "$@"; }\n${command}`], {
    env: { PATH: process.env.PATH, NODE: process.execPath, CURL, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [printed, complaints] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.equal(complaints, '');
  return printed;
}

/** Calls the agent, then runs what would be copied from the record of the call. */
async function callAndCopy(agent: Agent): Promise<{ command: string; printed: string }> {
  const { outcome, exchange } = await peer.invokeAgent(callTo(agent, { text: `it's "é" 😀`, media: [] }));
  assert.equal(outcome.kind, 'reply', JSON.stringify(outcome));
  const { target, request } = exchange;
  const { protocol, endpointUrl, metadata } = agent;
  const command = curlOf({
    kind: 'agent',
    target,
    request,
    protocol,
    endpoint_url: endpointUrl,
    key_header: String(metadata.api_key_header ?? ''),
  });
  assert.ok(!command.includes(KEY) && !command.includes(SECRET), 'a secret is in the command');
  const printed = await run(command, {
    AGENT_SIGNING_SECRET: SECRET,
    AGENT_QUERY: 'token=abc',
    ...(agent.credential === null ? {} : { AGENT_CREDENTIAL: agent.credential }),
  });
  return { command, printed };
}

/** The newest post is the command's: it is what one of ours was. */
function isRepeated(): void {
  const command = posts.pop();
  assert.ok(command !== undefined);
  assert.ok(posts.length > 0);
  const ours = posts.findLast(
    ({ path, headers }) => path === command.path && headers['content-length'] === command.headers['content-length'],
  );
  assert.deepEqual(command, ours);
}

test('an envelope, signed: the reference library takes it', async () => {
  const behaviour: Behaviour = (request, response, seen) => {
    new Webhook(SECRET).verify(seen.body, seen.headers as Record<string, string>);
    json(chat())(request, response, seen);
  };
  peer.behave(behaviour);
  const { printed } = await callAndCopy(peer.agent('envelope'));
  assert.equal(JSON.parse(printed).payload.message, 'Sunny.');
  isRepeated();
});

describe('an OpenAI-compatible endpoint', () => {
  for (const api of ['chat', 'responses']) {
    test(api, async (t) => {
      const server = new LLMock({ port: 0, host: '127.0.0.1', logLevel: 'silent', auth: { apiKeys: [KEY] } });
      await server.start();
      t.after(() => server.stop());
      server.onTurn(1, 'it', { content: 'Sunny.' });
      const { printed } = await callAndCopy(
        peer.agent('openai', { endpointUrl: `${server.url}/v1`, metadata: { api } }),
      );
      assert.match(printed, /"Sunny\."/);
      isRepeated();
    });
  }
});

describe('a webhook', () => {
  const AGENTS: readonly [string, object, string][] = [
    ['n8n-chat', { preset: 'n8n-chat' }, 'Bearer'],
    ['n8n-webhook', { preset: 'n8n-webhook' }, 'Bearer'],
    ['langgraph', { preset: 'langgraph', assistant_id: 'a' }, 'x-api-key'],
    ['of its own', { body: { text: '{{text}}' }, api_key_header: 'X-API-Key' }, 'x-api-key'],
  ];
  for (const [name, settings, header] of AGENTS) {
    test(name, async () => {
      const { metadata } = settleSettings('webhook', settings as Record<string, unknown>);
      const answer = { output: 'Sunny.', messages: [{ role: 'assistant', content: 'Sunny.' }] };
      peer.behave((request, response, seen) => {
        const given = seen.headers['x-api-key'] === KEY ? 'x-api-key' : seen.headers.authorization?.split(' ')[0];
        json(answer, given === header ? 200 : 401)(request, response, seen);
      });
      const { printed } = await callAndCopy(peer.agent('webhook', { metadata }));
      assert.deepEqual(JSON.parse(printed), answer);
      isRepeated();
    });
  }

  test('whose address has a query: it is a variable, as it may hold a key', async () => {
    peer.behave(json({ reply: 'Sunny.' }));
    const endpointUrl = `http://127.0.0.1:${peer.port}/hook?token=abc`;
    const agent = peer.agent('webhook', { endpointUrl, metadata: { body: { text: '{{text}}' } }, credential: null });
    const { command, printed } = await callAndCopy(agent);
    assert.ok(!command.includes('token=abc'));
    assert.equal(JSON.parse(printed).reply, 'Sunny.');
    assert.equal(posts.at(-1)!.path, '/hook?token=abc');
    assert.equal(posts.at(-1)!.headers.authorization, undefined);
    isRepeated();
  });
});

describe('an MCP server', () => {
  for (const era of ['2026-07-28', 'legacy']) {
    test(`of the current SDK, ${era}`, async (t) => {
      const server = await startMcpAgent(({ message }) => `Echo ${message}`);
      t.after(() => server.close());
      const { printed } = await callAndCopy(peer.agent('mcp', { endpointUrl: server.url, metadata: { era } }));
      assert.match(printed, /Echo it's \\"é\\" 😀/);
      isRepeated();
    });
  }

  test('of the older SDK, which keeps sessions', async (t) => {
    const server = await startOldMcpAgent(async ({ message }) => `Echo ${message}`);
    t.after(() => server.close());
    const { printed } = await callAndCopy(peer.agent('mcp', { endpointUrl: server.url }));
    assert.match(printed, /Echo it's \\"é\\" 😀/);
    isRepeated();
  });

  test('of the reference', async (t) => {
    const server = await startServerEverything();
    t.after(() => server.close());
    const agent = peer.agent('mcp', { endpointUrl: server.url, metadata: { tool: 'echo' }, credential: null });
    assert.match((await callAndCopy(agent)).printed, /Echo: it's \\"é\\" 😀/);
  });
});

describe('an A2A agent', () => {
  for (const version of ['1.0', '0.3'] as const) {
    for (const binding of ['JSONRPC', 'HTTP+JSON'] as const) {
      for (const streams of [true, false]) {
        test(`${version} over ${binding}, ${streams ? 'streamed' : 'at once'}`, async (t) => {
          const server = await startA2aAgent(({ text }) => ({ message: `Echo ${text}` }), {
            version,
            binding,
            streams,
          });
          t.after(() => server.close());
          const { printed } = await callAndCopy(peer.agent('a2a', { endpointUrl: server.url }));
          assert.match(printed, /Echo it's \\"é\\" 😀/);
          isRepeated();
        });
      }
    }
  }

  test('of the SDK before', async (t) => {
    const server = await startOldA2aAgent(({ text }) => ({ done: `Echo ${text}` }));
    t.after(() => server.close());
    const { printed } = await callAndCopy(peer.agent('a2a', { endpointUrl: server.url }));
    assert.match(printed, /Echo it's \\"é\\" 😀/);
    isRepeated();
  });
});
