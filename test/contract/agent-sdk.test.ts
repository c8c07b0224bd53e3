// An agent on the SDK, over the wire: whom it answers, whom it refuses, and how the protocols' own clients find it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ClientFactory } from '@a2a-js/sdk/client';
import { type AgentOptions, serveAgent } from '@darkspere/agent';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { A2AClient } from 'a2a-sdk-v03/client';
import { newSigningSecret, signWebhook, verifyWebhook } from '../../src/security/standard-webhooks.ts';
import { agentFolder } from '../support/agent-program.ts';

const TOKEN = 'a-token-of-sixteen-and-more';
const [OLD, NEW] = [newSigningSecret(), newSigningSecret()];

async function serve(t: TestContext, more: Partial<AgentOptions> = {}) {
  const log: string[] = [];
  const agent = await serveAgent({
    name: 'wire',
    chat: ({ message }) => `You said: ${message}`,
    port: 0,
    stateFile: join(await agentFolder(t), 'state.json'),
    handleSignals: false,
    log: (_level, line) => void log.push(line),
    ...more,
  });
  t.after(() => agent.stop());
  return { ...agent, log };
}

const bodyOf = (type = 'chat.request', payload: object = { session_id: 's', message: 'hi' }) =>
  JSON.stringify({ type, message_id: randomUUID(), timestamp: new Date().toISOString(), payload });

async function post(url: string, body: string, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(url, { method: 'POST', body, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: text === '' ? null : JSON.parse(text) };
}

/** A request written by hand: fetch allows no Host of one's own. */
async function postAs(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const { port } = new URL(url);
  const body = bodyOf();
  const socket = connect(Number(port), '127.0.0.1');
  const lines = Object.entries({ 'content-length': String(body.length), connection: 'close', ...headers });
  socket.write(`POST / HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  return answer.split('\r\n')[0] ?? '';
}

describe('an agent with secrets', () => {
  it('answers what one of them signed, and signs its answers with the newest', async (t) => {
    const { url } = await serve(t, { signingSecrets: [NEW, OLD] });
    for (const secret of [NEW, OLD]) {
      const body = bodyOf();
      const answer = await post(url, body, { ...signWebhook(secret, 'm', new Date(), body) });
      assert.deepEqual([answer.status, answer.json.payload.message], [200, 'You said: hi']);
      assert.equal(verifyWebhook(NEW, Object.fromEntries(answer.headers), answer.text, new Date()), 'valid');
    }
  });

  it('refuses everybody else, this machine too, and the same call twice', async (t) => {
    const { url } = await serve(t, { signingSecrets: [NEW] });
    const body = bodyOf();
    const good = { ...signWebhook(NEW, 'm', new Date(), body) };
    const old = { ...signWebhook(NEW, 'm', new Date(Date.now() - 301_000), body) };
    const other = { ...signWebhook(OLD, 'm', new Date(), body) };
    const statuses = [];
    for (const headers of [{}, other, old, good, good]) statuses.push((await post(url, body, headers)).status);
    assert.deepEqual(statuses, [401, 401, 401, 200, 409]);
    // Signed anew it is the same question, and has the same answer.
    const again = { ...signWebhook(NEW, 'm', new Date(Date.now() - 2_000), body) };
    assert.equal((await post(url, body, again)).json.payload.message, 'You said: hi');
  });

  it('answers nonsense with an error that names it', async (t) => {
    const { url } = await serve(t, { signingSecrets: [NEW] });
    const codeOf = async (body: string) =>
      (await post(url, body, { ...signWebhook(NEW, randomUUID(), new Date(), body) })).json.payload;
    for (const body of ['', 'null', '[]', '{', '{"type":1,"message_id":"m"}'])
      assert.equal((await codeOf(body)).code, 'bad_envelope', body);
    assert.equal((await codeOf(bodyOf('dance'))).code, 'unknown_type');
    assert.match((await codeOf(bodyOf('chat.request', { message: 1 }))).message, /payload\.session_id/);
    assert.equal((await post(url, 'x'.repeat(1_048_577))).status, 413);
    for (const path of ['/elsewhere', '//', '/%', '/mcp/x'])
      assert.equal((await post(url + path, '{}')).status, 404, path);
    const deep = bodyOf('chat.request', { session_id: 's', message: 'hi', media: [] }).replace(
      '[]',
      '['.repeat(50_000) + ']'.repeat(50_000),
    );
    assert.equal((await codeOf(deep)).code, 'bad_request');
    assert.equal((await fetch(url, { method: 'PUT', body: '{}' })).status, 405);
  });

  it('says how it is', async (t) => {
    const { url } = await serve(t, { signingSecrets: [NEW], capabilities: ['chat', 'orders'], version: '2.1' });
    const ask = async (type: string) => {
      const body = bodyOf(type);
      return post(url, body, { ...signWebhook(NEW, randomUUID(), new Date(), body) });
    };
    assert.deepEqual((await ask('health.check')).json.payload, { status: 'healthy', load: 0 });
    const limits = { capabilities: ['chat', 'orders'], version: '2.1', limits: {} };
    assert.deepEqual((await ask('capabilities.request')).json.payload, limits);
    assert.equal((await ask('session.end')).status, 204);
    const seen = await Promise.all(['/', '/ready', '/health', '/other'].map((path) => fetch(url + path)));
    assert.deepEqual(
      seen.map(({ status }) => status),
      [200, 200, 200, 404],
    );
  });

  it('opens MCP and A2A to its tokens alone', async (t) => {
    const { url } = await serve(t, { signingSecrets: [NEW], tokens: [TOKEN] });
    for (const path of ['/mcp', '/a2a'])
      for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${TOKEN}` }])
        assert.equal((await post(url + path, '{}', headers)).status, 401, path);
    const known = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    for (const body of ['', 'null', '{', '[]', '{"jsonrpc":"2.0","id":1,"method":"dance"}']) {
      assert.ok((await post(`${url}/a2a`, body, known)).json.error.code < 0, body);
      assert.ok((await post(`${url}/mcp`, body, known)).status < 500, body);
    }
    const card = await (await fetch(`${url}/.well-known/agent-card.json`)).json();
    assert.deepEqual((card as { security: unknown }).security, [{ bearer: [] }]);
    for (const mode of ['auto', 'legacy'] as const) {
      const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
      const requestInit = { headers: { authorization: `Bearer ${TOKEN}` } };
      await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }));
      const { structuredContent } = await client.callTool({ name: 'chat', arguments: { message: 'hi' } });
      assert.equal((structuredContent as { reply: string }).reply, 'You said: hi');
      const wrong = await client.callTool({ name: 'chat', arguments: { text: 'hi' } });
      assert.equal(wrong.isError, true);
      await client.close();
    }
  });
});

describe('an agent that takes nothing new', () => {
  /** One question in the protocol's words. */
  const QUESTIONS = {
    mcp: (id: string, message: string) => ({
      method: 'tools/call',
      params: { name: 'chat', arguments: { message, message_id: id, conversation_id: 'c' } },
    }),
    a2a: (id: string, message: string) => ({
      method: 'message/send',
      params: {
        message: {
          kind: 'message',
          messageId: id,
          contextId: 'c',
          role: 'user',
          parts: [{ kind: 'text', text: message }],
        },
      },
    }),
  };
  const asked = async (url: string, protocol: 'mcp' | 'a2a', body: object) => {
    const response = await fetch(`${url}/${protocol}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };

  for (const protocol of ['mcp', 'a2a'] as const) {
    it(`says so to new questions over ${protocol} by a status, and answers the one that runs, its repeat too`, async (t) => {
      const go = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const { url, stop } = await serve(t, {
        tokens: [TOKEN],
        maxConcurrentSessions: 1,
        async chat({ message }) {
          begun.resolve();
          await go.promise;
          return `You said: ${message}`;
        },
      });
      const question = QUESTIONS[protocol];
      const running = asked(url, protocol, question('one', 'hi'));
      await begun.promise;
      const repeat = asked(url, protocol, question('one', 'hi'));
      const busy = async () => {
        const { status, headers, text } = await asked(url, protocol, question('two', 'and me?'));
        return [status, headers.get('retry-after'), /busy|draining/.exec(text)?.[0]];
      };
      assert.deepEqual(await busy(), [503, '1', 'busy']);
      // What begins no work is answered as ever.
      const harmless = protocol === 'mcp' ? { method: 'tools/list' } : { method: 'tasks/get', params: { id: 'none' } };
      assert.notEqual((await asked(url, protocol, harmless)).status, 503);
      const stopped = stop();
      assert.deepEqual(await busy(), [503, '1', 'draining']);
      go.resolve();
      for (const answer of [await running, await repeat]) assert.match(answer.text, /You said: hi/);
      await stopped;
    });
  }
});

describe('an agent without secrets, in development', () => {
  it('answers this machine unsigned, and says so', async (t) => {
    const { url, log } = await serve(t);
    assert.equal((await post(url, bodyOf())).json.payload.message, 'You said: hi');
    assert.match(log.join('\n'), /UNSIGNED/);
  });

  it('answers no page of a browser, no name that is rebound, no proxy', async (t) => {
    const { url } = await serve(t);
    const { host } = new URL(url);
    assert.match(await postAs(url, { host }), /200/);
    const strangers = [
      { host, origin: 'https://evil.example' },
      { host: 'evil.example' },
      { host, 'x-forwarded-for': '203.0.113.7' },
    ];
    for (const headers of strangers) assert.match(await postAs(url, headers), /401/, JSON.stringify(headers));
  });

  it('is found by the clients of A2A 1.0 and 0.3', async (t) => {
    const { url } = await serve(t);
    const client = await new ClientFactory().createFromUrl(url);
    const part = { content: { $case: 'text' as const, value: 'hi' }, metadata: undefined, filename: '', mediaType: '' };
    const message = { messageId: randomUUID(), contextId: '', taskId: '', role: 1, parts: [part] };
    const whole = { ...message, metadata: undefined, extensions: [], referenceTaskIds: [] };
    const kinds = [];
    const request = { tenant: '', message: whole, configuration: undefined, metadata: undefined };
    for await (const { payload } of client.sendMessageStream(request)) kinds.push(payload?.$case);
    assert.deepEqual(kinds, ['task', 'statusUpdate', 'artifactUpdate', 'statusUpdate']);
    const old = await A2AClient.fromCardUrl(`${url}/.well-known/agent-card.json`);
    const parts = [{ kind: 'text' as const, text: 'hi' }];
    const said = await old.sendMessage({ message: { kind: 'message', messageId: randomUUID(), role: 'user', parts } });
    assert.match(JSON.stringify(said), /"state":"completed".*You said: hi/);
  });
});

describe('an agent in production', () => {
  it('does not start without a secret', async (t) => {
    process.env.NODE_ENV = 'production';
    t.after(() => delete process.env.NODE_ENV);
    await assert.rejects(serve(t), /nobody is answered unchecked/);
  });
});
