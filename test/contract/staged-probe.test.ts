// The staged probe against real sockets: each stage failing by itself, and what good agents of each protocol are found to be.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, mock, test } from 'node:test';
import type { Agent, Protocol } from '../../src/agents/agent.ts';
import {
  createProbe,
  type ProbeOptions,
  probeFailed,
  REGISTRATION_LIMITS,
} from '../../src/agents/staged-probe/probe.ts';
import type { Probe, Stage, StageResult } from '../../src/agents/staged-probe/stages.ts';
import { verifyWebhook } from '../../src/security/standard-webhooks.ts';
import { startA2aAgent, startOldA2aAgent } from '../support/a2a-servers.ts';
import { startMcpAgent, startOldMcpAgent, startServerEverything } from '../support/mcp-servers.ts';
import { completion, mcpDress } from '../support/protocol-dresses.ts';
import { type Behaviour, json, type Peer, raw, SECRET, type Seen, startPeer } from '../support/protocol-peer.ts';

// The servers' library writes what it refuses to the console.
mock.method(console, 'error', () => undefined);

const LIMITS = { connectMs: 2_000, answerMs: 1_000, totalMs: 6_000 };

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

function probe(agent: Agent, more: Partial<ProbeOptions> = {}): Promise<Probe> {
  const look = createProbe({ http: peer.http, egressAllow: ['127.0.0.1', '198.51.100.7'] });
  return look(agent, { depth: 'full', limits: LIMITS, isKnownThere: true, forgivesSlowness: false, ...more });
}

const outcomes = ({ stages }: Probe) =>
  Object.fromEntries(stages.map(({ stage, outcome }) => [stage, outcome])) as Partial<
    Record<Stage, StageResult['outcome']>
  >;
const detailOf = ({ stages }: Probe, stage: Stage) => stages.find((one) => one.stage === stage)?.detail ?? '';

/** Answers envelopes by their type. */
const envelope =
  (
    answers: Record<string, (seen: { message_id: string; payload: Record<string, unknown> }) => object | number>,
  ): Behaviour =>
  (request, response, seen) => {
    const read = JSON.parse(seen.body);
    const said = answers[read.type]?.(read) ?? 400;
    if (typeof said === 'number') return raw('{}', said)(request, response, seen);
    return json({ message_id: 'theirs', in_reply_to: read.message_id, timestamp: 'now', ...said })(
      request,
      response,
      seen,
    );
  };
const ABILITIES = {
  type: 'capabilities.response',
  payload: { capabilities: ['chat', 'media'], version: '1', limits: {} },
};
const WELL = { type: 'health.status', payload: { status: 'healthy', load: 0 } };
const chatting = ({ payload }: { payload: Record<string, unknown> }) => ({
  type: 'chat.response',
  payload: { session_id: payload.session_id, message: 'pong' },
});

/** A server below HTTP, and its port. */
async function socketServer(handle: (socket: Socket) => void): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    handle(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as { port: number }).port, close };
}

async function closedPort(): Promise<number> {
  const { port, close } = await socketServer(() => undefined);
  close();
  return port;
}

/** Runs a probe that must fail at a stage, and says so in the words that a registration is refused with. */
async function failing(
  stage: Stage,
  agent: Agent,
  more: Partial<ProbeOptions> = {},
): Promise<Probe & { message: string }> {
  const found = await probe(agent, more);
  assert.deepEqual([found.ok, found.failed_stage], [false, stage], JSON.stringify(found));
  assert.equal(outcomes(found)[stage], 'failed');
  const { code, message, param } = probeFailed(found);
  assert.match(message, new RegExp(`at the stage ${stage}: \\S`));
  assert.ok(message.endsWith(found.hint ?? '-'));
  assert.equal(param, 'endpoint_url');
  assert.equal(code, found.code === 'egress_denied' ? 'egress_denied' : 'probe_failed');
  return { ...found, message };
}

describe('each stage, failing', () => {
  const at = (endpointUrl: string, protocol: Protocol = 'envelope') => peer.agent(protocol, { endpointUrl });

  test('dns: a name that nobody has', async () => {
    const found = await failing('dns', at('https://agent.invalid/chat'));
    assert.equal(found.code, 'agent_refused');
    assert.match(found.message, /agent\.invalid does not resolve \((ENOTFOUND|EAI_AGAIN)\)/);
    assert.equal(found.stages.length, 1);
  });

  test('dns: a name that leads inside, also when only one of its addresses does', async () => {
    for (const addresses of [['10.0.0.1'], ['93.184.216.34', '169.254.169.254']]) {
      const look = createProbe({ http: peer.http, egressAllow: [], resolve: async () => addresses });
      const options = { depth: 'full', limits: LIMITS, isKnownThere: true, forgivesSlowness: false } as const;
      const found = await look(at('https://agent.example/'), options);
      assert.deepEqual([found.failed_stage, found.code], ['dns', 'egress_denied']);
      assert.match(found.hint ?? '', /DARKSPERE_EGRESS_ALLOW/);
    }
  });

  test('dns: a resolver that says nothing', async () => {
    const look = createProbe({ http: peer.http, egressAllow: [], resolve: () => new Promise(() => undefined) });
    const limits = { ...LIMITS, connectMs: 50 };
    const found = await look(at('https://agent.example/'), {
      depth: 'full',
      limits,
      isKnownThere: true,
      forgivesSlowness: false,
    });
    assert.match(found.reason ?? '', /does not resolve \(TIMEOUT\)/);
  });

  test('tcp: a closed port', async () => {
    const found = await failing('tcp', at(`http://127.0.0.1:${await closedPort()}/`));
    assert.match(found.message, /takes no connection \(ECONNREFUSED\)\. Start the agent/);
    assert.deepEqual(outcomes(found), { dns: 'passed', tcp: 'failed' });
  });

  test('tls: a server that speaks plain HTTP', async () => {
    const found = await failing('tls', at(`https://127.0.0.1:${peer.port}/`));
    assert.equal(found.code, 'agent_tls');
    assert.match(found.message, /does not speak TLS .* http:\/\//);
  });

  test('tls: a server that says nothing, and one that hangs up', async (t) => {
    const [silent, rude] = [await socketServer(() => undefined), await socketServer((socket) => socket.destroy())];
    t.after(() => [silent, rude].map(({ close }) => close()));
    const limits = { ...LIMITS, connectMs: 100 };
    assert.equal((await failing('tls', at(`https://127.0.0.1:${silent.port}/`), { limits })).code, 'agent_timeout');
    assert.equal((await failing('tls', at(`https://127.0.0.1:${rude.port}/`))).code, 'agent_tls');
  });

  for (const protocol of ['envelope', 'openai', 'mcp', 'a2a', 'webhook'] as const) {
    const metadata = protocol === 'webhook' ? { body: { text: '{{text}}' } } : {};
    const agent = () => peer.agent(protocol, { metadata, endpointUrl: `http://127.0.0.1:${peer.port}/nothing` });

    test(`http: 404, and a redirect, ${protocol}`, async () => {
      peer.behave(raw('not here', 404));
      // That there is no card is the agent's, not the server's.
      const found = await failing(protocol === 'a2a' ? 'handshake' : 'http', agent());
      assert.match(found.message, protocol === 'a2a' ? /no agent card/ : /404/);
      peer.behave((_request, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end());
      assert.match((await failing('http', agent())).message, /redirect/);
    });

    test(`http: a server that takes connections and says nothing, ${protocol}`, async (t) => {
      const { port, close } = await socketServer(() => undefined);
      t.after(close);
      const silent = { ...agent(), endpointUrl: `http://127.0.0.1:${port}/` };
      const found = await failing('http', silent, { limits: { ...LIMITS, answerMs: 150 }, forgivesSlowness: true });
      assert.equal(found.code, 'agent_timeout');
    });

    test(`http: what is no HTTP, ${protocol}`, async (t) => {
      const { port, close } = await socketServer((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'));
      t.after(close);
      assert.equal(
        (await failing('http', { ...agent(), endpointUrl: `http://127.0.0.1:${port}/` })).code,
        'agent_contract',
      );
    });

    test(`handshake or echo: a page instead of an answer, ${protocol}`, async () => {
      peer.behave(raw('<h1>Welcome to nginx!</h1>', 200, { 'content-type': 'text/html' }));
      const found = await failing(protocol === 'webhook' ? 'echo' : 'handshake', agent());
      assert.equal(outcomes(found).http, 'passed');
      assert.ok(!JSON.stringify(found).includes('nginx'));
    });

    test(`handshake or echo: a wrong credential, ${protocol}`, async () => {
      peer.behave(json({ error: 'no' }, 401));
      const shownBy = protocol === 'webhook' || protocol === 'openai' ? 'echo' : 'handshake';
      const found = await failing(shownBy, agent());
      assert.equal(found.code, 'agent_unauthorized');
      assert.match(found.hint ?? '', protocol === 'envelope' ? /signing_secret/ : /metadata\.api_key/);
      const unknown = await probe(agent(), { isKnownThere: false });
      assert.equal(unknown.ok, true, JSON.stringify(unknown));
    });
  }

  test('handshake: another protocol than the one it was registered with', async () => {
    peer.behave(json({ jsonrpc: '2.0', id: null, error: { code: -32600, message: 'no' } }));
    await failing('handshake', peer.agent('a2a'));
    peer.behave(json(ABILITIES));
    await failing('handshake', peer.agent('openai'));
    peer.behave(json({ object: 'list', data: [] }));
    await failing('handshake', peer.agent('envelope'));
  });

  test('handshake: a server with several tools that could be meant names them', async () => {
    const tool = (name: string) => ({
      name,
      inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    });
    peer.dress(mcpDress('2026-07-28', [tool('ask_sales'), tool('ask_support')]));
    const found = await failing('handshake', peer.agent('mcp'));
    peer.dress(null);
    assert.match(found.message, /ask_sales.*ask_support.*metadata\.tool/s);
  });

  test('echo: an answer to another request, of another type, for another session', async () => {
    const wrong: Record<string, Behaviour> = {
      'in_reply_to is not': envelope({
        'capabilities.request': () => ABILITIES,
        'health.check': () => ({ ...WELL, in_reply_to: 'something else' }),
      }),
      'not a health.status': envelope({ 'capabilities.request': () => ABILITIES, 'health.check': () => ABILITIES }),
      'is not the session': envelope({
        'chat.request': () => ({ type: 'chat.response', payload: { session_id: 'another', message: 'pong' } }),
      }),
    };
    for (const [why, behaviour] of Object.entries(wrong)) {
      peer.behave(behaviour);
      assert.match((await failing('echo', peer.agent('envelope'))).message, new RegExp(why));
    }
  });

  test('echo: an endpoint that does not have the model', async () => {
    peer.behave((request, response, seen) =>
      seen.method === 'GET'
        ? raw('', 404)(request, response, seen)
        : json({ error: { message: 'no such model', code: 'model_not_found' } }, 404)(request, response, seen),
    );
    const found = await failing('echo', peer.agent('openai', { metadata: { model: 'gpt-none' } }));
    assert.match(found.message, /model_not_found.*metadata\.model/);
  });

  test('echo: no text where the reply should be', async () => {
    peer.behave(json({ output: { words: 'hi' } }));
    const agent = peer.agent('webhook', { metadata: { body: { text: '{{text}}' }, reply: 'output.text' } });
    assert.match((await failing('echo', agent)).message, /no text at output\.text.*metadata\.reply/);
  });
});

describe('good agents', () => {
  async function passing(agent: Agent, more: Partial<ProbeOptions> = {}): Promise<Probe> {
    const found = await probe(agent, more);
    assert.equal(found.ok, true, JSON.stringify(found, null, 1));
    assert.deepEqual([found.failed_stage, found.code, found.hint], [null, null, null]);
    return found;
  }
  const question = (seen: Seen) => JSON.parse(seen.body);

  test('an envelope that answers for itself is asked nothing', async () => {
    const types: string[] = [];
    const behaviour = envelope({ 'capabilities.request': () => ABILITIES, 'health.check': () => WELL });
    peer.behave((request, response, seen) => {
      types.push(question(seen).type);
      assert.equal(verifyWebhook(SECRET, seen.headers, seen.body, new Date()), 'valid');
      behaviour(request, response, seen);
    });
    const found = await passing(peer.agent('envelope'));
    assert.deepEqual(types, ['capabilities.request', 'health.check']);
    assert.deepEqual(outcomes(found), {
      ...{ dns: 'passed', tcp: 'passed', tls: 'skipped', http: 'passed' },
      ...{ handshake: 'passed', echo: 'passed' },
    });
    assert.match(detailOf(found, 'handshake'), /capabilities \(2\)/);
  });

  test('an envelope that says that it is not well has answered', async () => {
    const sick = { ...WELL, payload: { status: 'draining' } };
    peer.behave(envelope({ 'capabilities.request': () => ABILITIES, 'health.check': () => sick }));
    const found = await passing(peer.agent('envelope'));
    assert.equal(outcomes(found).echo, 'passed');
  });

  test('an envelope that knows only questions is asked one, marked as one that goes to nobody', async () => {
    for (const unknown of [400, 500]) {
      let asked: { payload: Record<string, unknown> } | null = null;
      const behaviour = envelope({
        'capabilities.request': () => unknown,
        'chat.request': (seen) => {
          asked = seen;
          return chatting(seen);
        },
      });
      peer.behave(behaviour);
      const found = await passing(peer.agent('envelope'));
      assert.deepEqual([outcomes(found).handshake, outcomes(found).echo], ['skipped', 'passed']);
      assert.deepEqual([asked!.payload.replay, asked!.payload.message], [true, 'ping']);
    }
    // An answer of the wrong kind is one of somebody who speaks it.
    peer.behave(
      envelope({ 'capabilities.request': () => ({ type: 'error', payload: { code: 'x' } }), 'chat.request': chatting }),
    );
    await passing(peer.agent('envelope'));
  });

  test('one that answers later, is busy, or slower than somebody who registers can wait, is no bad one', async () => {
    for (const behaviour of [
      envelope({ 'chat.request': () => 202 }),
      envelope({ 'chat.request': () => 503 }),
      envelope({ 'capabilities.request': () => 503 }),
      ((request, response, seen) => {
        if (question(seen).type === 'capabilities.request') raw('{}', 400)(request, response, seen);
      }) as Behaviour,
    ]) {
      peer.behave(behaviour);
      const found = await passing(peer.agent('envelope'), { forgivesSlowness: true });
      assert.equal(outcomes(found).echo ?? outcomes(found).handshake, 'unknown');
    }
  });

  test('no further than the handshake, nobody is asked a question', async () => {
    let asked = 0;
    peer.behave((request, response, seen) => {
      if (seen.method === 'POST') asked++;
      json({ object: 'list', data: [{ id: 'default' }] })(request, response, seen);
    });
    const found = await passing(peer.agent('openai'), { depth: 'handshake' });
    assert.deepEqual([asked, outcomes(found).echo, found.depth], [0, undefined, 'handshake']);
    assert.match(detailOf(found, 'handshake'), /listed \(1\), default among them/);
    const hook = await passing(peer.agent('webhook', { metadata: { body: {} } }), { depth: 'handshake' });
    assert.deepEqual([asked, outcomes(hook).http], [0, 'unknown']);
  });

  test('an OpenAI-compatible endpoint, with and without a list of models', async () => {
    // With a list, without one, and with a key that may not see it.
    for (const list of [json({ data: [{ id: 'm' }] }), raw('', 404), json({}, 401), json({}, 403)]) {
      peer.behave((request, response, seen) => {
        assert.equal(seen.headers.authorization, 'Bearer sk-secret');
        (seen.method === 'GET' ? list : json(completion()))(request, response, seen);
      });
      const found = await passing(peer.agent('openai', { metadata: { model: 'm' } }));
      assert.equal(outcomes(found).echo, 'passed');
    }
  });

  test('a webhook', async () => {
    peer.behave((request, response, seen) => json({ output: `Said ${question(seen).text}` })(request, response, seen));
    await passing(peer.agent('webhook', { metadata: { body: { text: '{{text}}' } } }));
  });

  test('servers that are not ours: MCP of both eras, A2A of both versions', async (t) => {
    const chats: string[] = [];
    const say = ({ message }: { message: string }) => {
      chats.push(message);
      return 'pong';
    };
    const mcp = [await startMcpAgent(say), await startOldMcpAgent(say)];
    const a2a = [await startA2aAgent(() => ({ message: 'pong' })), await startOldA2aAgent(() => ({ message: 'pong' }))];
    t.after(() => Promise.all([...mcp, ...a2a].map((server) => server.close())));
    for (const { url } of mcp) {
      const found = await passing(peer.agent('mcp', { endpointUrl: url, credential: null }), {
        limits: REGISTRATION_LIMITS,
      });
      assert.match(detailOf(found, 'handshake'), /texts go to the tool chat/);
    }
    assert.deepEqual(chats, ['ping', 'ping']);
    for (const { url } of a2a) {
      const found = await passing(peer.agent('a2a', { endpointUrl: url, credential: null }), {
        limits: REGISTRATION_LIMITS,
      });
      assert.match(detailOf(found, 'handshake'), /JSONRPC/);
    }
  });

  test('the reference server, of which nobody can say which tool is its chat', async (t) => {
    const server = await startServerEverything();
    t.after(() => server.close());
    const found = await probe(peer.agent('mcp', { endpointUrl: server.url, credential: null }), {
      limits: REGISTRATION_LIMITS,
    });
    if (!found.ok) assert.deepEqual([found.failed_stage, found.code], ['handshake', 'agent_contract']);
    const named = {
      endpointUrl: server.url,
      credential: null,
      metadata: { tool: 'echo', arguments: { message: '{{text}}' } },
    };
    await passing(peer.agent('mcp', named), { limits: REGISTRATION_LIMITS });
  });
});
