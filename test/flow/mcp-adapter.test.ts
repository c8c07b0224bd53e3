// The MCP adapter: programs ask agents over HTTP, as the bridge asks them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { disableAgent } from '../../src/agents/standing.ts';
import type { Scope } from '../../src/security/principal.ts';
import { startMcpAgent } from '../support/mcp-servers.ts';
import { type Answer, call, type Json, keyHolder, signIn } from '../support/operator.ts';
import { type Act, HANG } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;

describe('the MCP adapter', { concurrency: 4 }, () => {
  let world: World;
  let url: string;
  before(async () => {
    world = await startWorld({ env: { DARKSPERE_AGENT_FIRST_BYTE_MS: '2000', DARKSPERE_TURN_MS: '4000' } });
    url = world.urls.mcpAdapter!;
  });
  after(() => world.stop());

  async function program(scopes: readonly Scope[] = ['read', 'chat']) {
    const { key } = await keyHolder(world, scopes);
    const authorization = `Bearer ${key}`;
    const post = (path: string, body: Json) => call(url, 'POST', path, body, { authorization });
    return {
      key,
      post,
      get: (path: string) => call(url, 'GET', path, undefined, { authorization }),
      chat: (body: Json) => post('/mcp/chat', body),
    };
  }

  /** What came of the questions to an agent once it has so many: calls, answered, failed, last error. */
  async function statusOf(id: string, calls: number) {
    const { get } = await program(['read']);
    const found = await until(async () => {
      const agent = (await get('/mcp/status')).json.agents.find((each: Json) => each.id === id);
      return agent.calls >= calls && agent;
    });
    return [found.calls, found.answered, found.failed, found.last_error];
  }
  let types = 0;
  const newType = () => `adapter-${++types}`;

  test('an answer comes with who gave it, how long it took and the session it belongs to', async () => {
    const type = newType();
    const agent = await world.agent(() => '**Sunny**, 21 °C.', { type });
    const { chat } = await program();
    const asked = await chat({
      message: 'Weather?',
      agent_type: type,
      conversation_history: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello!', timestamp: '2026-01-01T10:00:00Z' },
      ],
    });
    assert.equal(asked.status, 200, asked.text);
    // As the agent said it: nobody's phone has to show it.
    assert.equal(asked.json.message, '**Sunny**, 21 °C.');
    assert.deepEqual([asked.json.agent_id, asked.json.timing.attempts], [agent.id, 1]);
    assert.ok(asked.json.timing.agent_ms <= asked.json.timing.duration_ms);
    const { payload } = agent.calls[0]!;
    assert.deepEqual([payload.message, payload.channel], ['Weather?', 'api']);
    assert.deepEqual(
      payload.conversation_history.map(({ content }) => content),
      ['Hi', 'Hello!'],
    );
    assert.equal(payload.conversation_history[1]!.timestamp, '2026-01-01T10:00:00.000Z');
    const [row] = await world.sql`select count(*)::int as n from messages`;
    assert.equal(row!.n, 0);
  });

  test('an agent is found by its id in capitals too', async () => {
    const agent = await world.agent(() => 'Here.', { type: newType() });
    const { chat } = await program();
    const asked = await chat({ message: 'Hello?', agent_id: agent.id.toUpperCase() });
    assert.deepEqual([asked.status, asked.json.agent_id], [200, agent.id], asked.text);
  });

  test('a session stays with its agent, and two keys that call one alike have two', async () => {
    const type = newType();
    const agents = [await world.agent(() => 'One.', { type }), await world.agent(() => 'Two.', { type })];
    const [ours, theirs] = [await program(), await program()];
    const ask = (who: typeof ours) => who.chat({ message: 'Hello?', agent_type: type, session_id: 'desk-7' });
    const answers = [await ask(ours), await ask(ours), await ask(ours), await ask(theirs)];
    assert.deepEqual(new Set(answers.slice(0, 3).map(({ json }) => json.agent_id)).size, 1);
    assert.deepEqual(new Set(answers.map(({ json }) => json.session_id)), new Set(['desk-7']));
    const told = agents.flatMap((agent) => agent.calls).map(({ payload }) => payload.session_id);
    assert.equal(new Set(told).size, 2);
    assert.ok(!told.includes('desk-7'));
  });

  test('what an agent calls the session in its own memory comes back to it', async () => {
    const seen: (string | undefined)[] = [];
    const server = await startMcpAgent(({ conversation_id }) => {
      seen.push(conversation_id);
      return { text: 'Noted.', structured: { reply: 'Noted.', conversation_id: 'thread-42' } };
    });
    try {
      const agentId = await world.agentAt(server.url, { protocol: 'mcp', type: newType(), name: 'memory' });
      const { chat } = await program();
      const first = await chat({ message: 'Remember 5.', agent_id: agentId });
      assert.equal(first.status, 200, first.text);
      await chat({ message: 'What was it?', agent_id: agentId, session_id: first.json.session_id });
      assert.equal(seen.length, 2);
      assert.notEqual(seen[0], 'thread-42');
      assert.equal(seen[1], 'thread-42');
    } finally {
      await server.close();
    }
  });

  test('when an agent fails another answers; one that was named answers alone', async () => {
    const type = newType();
    const broken = await world.agent(() => ({ status: 500 }), { type });
    const { chat } = await program();
    assert.equal(codeOf(await chat({ message: 'Hello?', agent_id: broken.id })), '502 agent_http');
    const sound = await world.agent(() => 'Here.', { type });
    const answer = await chat({ message: 'Hello?', agent_type: type });
    assert.deepEqual([answer.json.agent_id, answer.json.message], [sound.id, 'Here.']);
    const [row] = await world.sql`select consecutive_failures from agent_registry where id = ${broken.id}`;
    assert.ok(row!.consecutive_failures >= 1, 'a question counts for health as a text does');
  });

  const FAILURES: readonly [string, Act | Promise<Act>, string][] = [
    ['says nothing', HANG, '504 agent_timeout'],
    ['answers with HTML', { status: 200, body: '<html>' }, '502 agent_contract'],
    ['refuses our signature', { status: 401 }, '502 agent_unauthorized'],
    ['puts the answer off', { status: 202 }, '502 agent_deferred'],
    ['sends too much', { status: 200, body: 'x'.repeat(70_000) }, '502 agent_too_large'],
  ];
  for (const [what, act, code] of FAILURES) {
    test(`an agent that ${what} is told apart by its code`, async () => {
      const agent = await world.agent(() => act, { type: newType() });
      const { chat } = await program();
      const answer = await chat({ message: 'Hello?', agent_id: agent.id });
      assert.equal(codeOf(answer), code, answer.text);
      assert.ok(!answer.text.includes('<html>'));
    });
  }

  test('nobody of the type, and an agent that is not there', async () => {
    const { chat, post } = await program();
    const nobody = await chat({ message: 'Hello?', agent_type: 'nobody' });
    assert.deepEqual([codeOf(nobody), nobody.json.error.param], ['503 agent_none', 'agent_type']);
    for (const path of ['/mcp/chat', '/mcp/capabilities', '/mcp/health']) {
      const body = { agent_id: crypto.randomUUID(), ...(path === '/mcp/chat' ? { message: 'Hello?' } : {}) };
      assert.equal(codeOf(await post(path, body)), '404 not_found', path);
    }
  });

  test('an agent that an operator has disabled is said to be, and is not asked', async () => {
    const agent = await world.agent(() => 'Hello.', { type: newType() });
    await disableAgent(world.sql, agent.id, 'a test', 'It quotes wrong prices');
    const { post } = await program();
    // The adapter hears of it a moment later, and until then it asks.
    await until(async () => (await post('/mcp/capabilities', { agent_id: agent.id })).status === 404);
    const asked = agent.calls.length;
    for (const path of ['/mcp/chat', '/mcp/capabilities', '/mcp/health']) {
      const body = { agent_id: agent.id, ...(path === '/mcp/chat' ? { message: 'Hello?' } : {}) };
      const answer = await post(path, body);
      assert.equal(codeOf(answer), '404 not_found', path);
      assert.match(answer.json.error.message, /^agent_id: this agent is disabled; .*agents enable/);
    }
    assert.equal(agent.calls.length, asked);
  });

  test('a client that hangs up ends the call', async () => {
    const agent = await world.agent(() => HANG, { type: newType() });
    const { key } = await program();
    const hangUp = new AbortController();
    const asked = fetch(`${url}/mcp/chat`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ message: 'Hello?', agent_id: agent.id }),
      signal: hangUp.signal,
    });
    await until(() => agent.calls.length === 1);
    hangUp.abort();
    await assert.rejects(asked);
    await until(() => agent.calls[0]!.aborted);
    assert.deepEqual(await statusOf(agent.id, 1), [1, 0, 0, null]);
  });

  test('an answer that is put off is none to whoever asks here', async () => {
    const agent = await world.agent(() => ({ status: 202 }), { type: newType() });
    const { chat } = await program();
    assert.equal(codeOf(await chat({ message: 'Hello?', agent_id: agent.id })), '502 agent_deferred');
    assert.deepEqual(await statusOf(agent.id, 1), [1, 0, 1, 'agent_deferred']);
  });

  test('capabilities and health come by the handshake of the protocol', async () => {
    let said = 'healthy';
    const agent = await world.agent(() => 'Never asked.', { type: newType(), probe: () => said });
    const server = await startMcpAgent(() => 'Hi.');
    const { post, get } = await program(['read']);
    try {
      const mcpId = await world.agentAt(server.url, { protocol: 'mcp', type: newType(), name: 'tools' });
      const offered = await post('/mcp/capabilities', { agent_id: mcpId });
      assert.equal(offered.status, 200, offered.text);
      assert.deepEqual([offered.json.protocol, offered.json.offers, offered.json.version], ['mcp', ['chat'], '1.0.0']);
      const health = await post('/mcp/health', { agent_id: mcpId });
      assert.deepEqual([health.json.status, health.json.error, health.json.circuit], ['healthy', null, 'closed']);
      // It knows only questions: that it does not name its capabilities is no failure.
      const unasked = await post('/mcp/capabilities', { agent_id: agent.id });
      assert.deepEqual([unasked.status, unasked.json.offers], [200, null]);
      said = 'unhealthy';
      const odd = await post('/mcp/health', { agent_id: agent.id });
      assert.deepEqual([odd.status, odd.json.status, odd.json.error.code], [200, 'unhealthy', 'agent_said_error']);
      await agent.down();
      const gone = await post('/mcp/health', { agent_id: agent.id });
      assert.deepEqual([gone.json.status, gone.json.error.code], ['unhealthy', 'agent_refused']);
      assert.equal(codeOf(await post('/mcp/capabilities', { agent_id: agent.id })), '502 agent_refused');
      const status = await get('/mcp/status');
      const listed = status.json.agents.find(({ id }: { id: string }) => id === agent.id);
      assert.deepEqual([listed.calls, listed.health_score], [0, 100], 'a handshake counts for nobody’s health');
    } finally {
      await server.close();
    }
  });

  test('what an agent says of itself breaks nothing that hands it on', async () => {
    const deep = `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`;
    const said = `{"type":"capabilities.response","payload":{"capabilities":["\\u0000\\ud800"],"limits":{"__proto__":{},"d":${deep}}}}`;
    const server = createServer((_request, response) => void response.end(said));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const id = await world.agentAt(`http://127.0.0.1:${port}/`, { type: newType(), name: 'hostile' });
    const { post } = await program(['read']);
    assert.equal(codeOf(await post('/mcp/capabilities', { agent_id: id })), '502 agent_contract');
    server.close();
  });

  test('status tells who pauses, and what came of the questions', async () => {
    const agent = await world.agent(() => ({ status: 500 }), { type: newType() });
    const { chat, get } = await program();
    // A failure is written beside the answer that tells of it, so a question more may come before that of the fifth.
    const listed = await until(async () => {
      await chat({ message: 'Hello?', agent_id: agent.id });
      const { json, text } = await get('/mcp/status');
      assert.equal(json.state, 'ready', text);
      const found = json.agents.find(({ id }: { id: string }) => id === agent.id);
      return found.circuit === 'open' && found;
    });
    assert.ok(listed.calls >= 1 && listed.failed === listed.calls && listed.answered === 0);
    assert.equal(listed.last_error, 'agent_http');
    assert.ok(Date.parse(listed.cooling_until) > 0);
  });

  test('only a key with the scope opens it: no session, no agent’s key, nothing in the address', async () => {
    const agent = await world.agent(() => 'Hello.', { type: newType() });
    const body = { message: 'Hello?', agent_id: agent.id };
    const { cookie, csrf } = await signIn(world);
    const headers = { cookie, origin: url, 'x-csrf-token': csrf };
    assert.equal(codeOf(await call(url, 'POST', '/mcp/chat', body)), '401 unauthenticated');
    assert.equal(codeOf(await call(url, 'POST', '/mcp/chat', body, headers)), '401 unauthenticated');
    const agentKey = { authorization: 'Bearer dsp_agent_0123456789012345678901234567890123456789012' };
    assert.equal(codeOf(await call(url, 'GET', '/mcp/status', undefined, agentKey)), '401 unauthenticated');
    const [reader, asker] = [await program(['read', 'write']), await program(['chat'])];
    assert.equal(codeOf(await reader.chat(body)), '403 forbidden');
    assert.equal(codeOf(await asker.get('/mcp/status')), '403 forbidden');
    assert.equal(codeOf(await call(url, 'GET', `/mcp/status?api_key=${asker.key}`)), '400 key_in_url');
    assert.equal(agent.calls.length, 0);
  });

  const BAD: readonly [Json, string][] = [
    [{}, 'message'],
    [{ message: '' }, 'message'],
    [{ message: '   ' }, 'message'],
    [{ message: 'a\0b' }, 'message'],
    [{ message: 'x'.repeat(20_001) }, 'message'],
    [{ message: 'Hi', agent_id: 'seven' }, 'agent_id'],
    [{ message: 'Hi', session_id: 'two words' }, 'session_id'],
    [{ message: 'Hi', tenant_id: 1 }, 'tenant_id'],
    [{ message: 'Hi', conversation_history: [{ role: 'system', content: 'x' }] }, 'conversation_history.0.role'],
    [
      { message: 'Hi', conversation_history: [{ role: 'user', content: 'x', timestamp: 'now' }] },
      'conversation_history.0.timestamp',
    ],
  ];
  test('what is wrong with a body is named', async () => {
    const { chat } = await program();
    for (const [body, param] of BAD) {
      const answer = await chat(body);
      assert.deepEqual([codeOf(answer), answer.json.error.param], ['422 invalid_request', param], answer.text);
    }
    assert.equal(codeOf(await chat('{')), '400 malformed_body');
    assert.equal(codeOf(await chat({ message: 'x'.repeat(70_000) })), '413 body_too_large');
  });

  test('the part runs alone, asks the same agents, and says what it serves', async () => {
    const agent = await world.agent(() => 'From afar.', { type: newType() });
    const apart = await world.runtime(['mcp-adapter'], { MCP_ADAPTER_PORT: '0' });
    const other = apart.urls.mcpAdapter!;
    const { key } = await program();
    const headers = { authorization: `Bearer ${key}` };
    const answer = await call(other, 'POST', '/mcp/chat', { message: 'Hello?', agent_id: agent.id }, headers);
    assert.equal(answer.json.message, 'From afar.');
    assert.deepEqual((await call(other, 'GET', '/ready')).json, { ready: true, service: 'mcp-adapter', reasons: [] });
    const { json } = await call(other, 'GET', '/v1/openapi.json');
    assert.deepEqual(
      Object.keys(json.paths).filter((path) => path.startsWith('/mcp/')),
      ['/mcp/chat', '/mcp/capabilities', '/mcp/health', '/mcp/status'],
    );
    await apart.stop();
  });
});
