// The same agents, good, broken and hostile, behind every protocol: what a turn sees must not depend on the protocol.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import type { Agent, AgentCall } from '../../src/agents/agent.ts';
import { chat, DRESSES } from '../support/protocol-dresses.ts';
import {
  type Behaviour,
  callTo,
  type Failed,
  failedWith,
  json,
  type Peer,
  raw,
  reasonOf,
  SECRET,
  type Seen,
  startPeer,
} from '../support/protocol-peer.ts';
import { until } from '../support/until.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

const NO_FIRST_BYTE = { connectMs: 2_000, firstByteMs: 150, totalMs: 10_000 };
const NO_END = { connectMs: 5_000, firstByteMs: 5_000, totalMs: 600 };

type Case = { name: string; agent: Behaviour; expected: Partial<Failed>; call?: Partial<AgentCall>; reason?: RegExp };

const FAILURES: Case[] = [
  { name: '401', agent: json({}, 401), expected: { code: 'agent_unauthorized', retry: 'other' } },
  { name: '403', agent: json({}, 403), expected: { code: 'agent_unauthorized', retry: 'other' } },
  {
    name: '429 with Retry-After of a day',
    agent: json({}, 429, { 'retry-after': '99999' }),
    expected: { code: 'agent_busy', retry: 'other', afterMs: 30_000 },
  },
  {
    name: '503 with Retry-After',
    agent: json({}, 503, { 'retry-after': '2' }),
    expected: { code: 'agent_busy', afterMs: 2_000 },
  },
  {
    name: 'Retry-After in the past',
    agent: json({}, 503, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }),
    expected: { code: 'agent_busy', afterMs: 0 },
  },
  {
    name: 'nonsense Retry-After',
    agent: json({}, 429, { 'retry-after': 'soon' }),
    expected: { code: 'agent_busy', afterMs: null },
  },
  { name: '529', agent: json({}, 529), expected: { code: 'agent_busy' } },
  ...[502, 504].map((status) => ({
    name: `${status} of a proxy`,
    agent: raw('<html>Bad gateway</html>', status, { 'retry-after': '2' }),
    expected: { code: 'agent_away', retry: 'other', afterMs: 2_000 } as const,
  })),
  { name: '404', agent: json({}, 404), expected: { code: 'agent_http', retry: 'other' } },
  {
    name: 'redirect to metadata',
    agent: raw('', 302, { location: 'http://169.254.169.254/latest/' }),
    expected: { code: 'agent_http', retry: 'other' },
    reason: /redirect/,
  },
  { name: '204', agent: raw('', 204), expected: { code: 'agent_contract', retry: 'other' } },
  { name: 'HTML', agent: raw('<html>Hello</html>'), expected: { code: 'agent_contract', retry: 'other' } },
  { name: 'null', agent: raw('null'), expected: { code: 'agent_contract' } },
  { name: 'half of a JSON', agent: raw('{"type":'), expected: { code: 'agent_contract' } },
  { name: 'not UTF-8', agent: raw(Buffer.from([0x22, 0xff, 0x22])), expected: { code: 'agent_contract' } },
  { name: 'wrong types', agent: json({ type: 1, choices: {}, payload: [] }), expected: { code: 'agent_contract' } },
  { name: 'array', agent: json([]), expected: { code: 'agent_contract' } },
  {
    name: 'JSON 30,000 deep',
    agent: raw('['.repeat(30_000) + ']'.repeat(30_000)),
    expected: { code: 'agent_contract' },
  },
  {
    name: 'a field of the answer 10,000 deep',
    agent: raw(`{"type":"chat.response","payload":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`),
    expected: { code: 'agent_contract' },
  },
  {
    name: 'oversize, announced',
    agent: raw('x'.repeat(65_537)),
    expected: { code: 'agent_too_large', retry: 'other' },
  },
  {
    name: 'endless body',
    agent: (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(8_192)));
      };
      response.on('drain', more);
      more();
    },
    expected: { code: 'agent_too_large' },
  },
  {
    name: 'twenty thousand pieces of a byte each',
    agent: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      response.socket?.write('1\r\nx\r\n'.repeat(20_000));
    },
    expected: { code: 'agent_too_large', retry: 'other' },
    reason: /pieces/,
  },
  {
    name: 'compressed although we asked for identity',
    agent: raw(gzipSync(Buffer.alloc(1_000_000)), 200, { 'content-encoding': 'gzip' }),
    expected: { code: 'agent_contract' },
    reason: /compressed/,
  },
  {
    name: 'headers that never come',
    agent: () => undefined,
    call: { deadlines: NO_FIRST_BYTE },
    expected: { code: 'agent_timeout', retry: 'other' },
    reason: /first byte.*150 ms/,
  },
  {
    name: 'a body that never ends',
    agent: (_request, response) => void response.write('{'),
    call: { deadlines: NO_END },
    expected: { code: 'agent_timeout', retry: 'other' },
    reason: /complete answer.*600 ms/,
  },
  {
    name: 'one byte at a time',
    agent: (_request, response) => {
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    },
    call: { deadlines: NO_END },
    expected: { code: 'agent_timeout' },
    reason: /complete answer/,
  },
  {
    name: 'reset before the answer',
    agent: (request) => void request.socket.resetAndDestroy(),
    expected: { code: 'agent_broken', retry: 'same' },
  },
  {
    name: 'reset in the middle of the answer',
    agent: (request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"type":', () => request.socket.resetAndDestroy());
    },
    expected: { code: 'agent_broken', retry: 'other' },
  },
  {
    name: 'closed in the middle of the answer',
    agent: (request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"type":', () => request.socket.end());
    },
    expected: { code: 'agent_broken', retry: 'other' },
  },
  {
    name: 'no HTTP at all',
    agent: (request) => void request.socket.write('SSH-2.0-OpenSSH_9.6\r\n'),
    expected: { code: 'agent_contract' },
    reason: /not an HTTP answer/,
  },
];

for (const dress of DRESSES) {
  const { name: protocol } = dress;
  const say = dress.say ?? ((text: string) => json((seen: Seen) => dress.saying(text, seen)));
  const call = (more: Partial<AgentCall> = {}) =>
    callTo(peer.agent(dress.protocol, { metadata: dress.metadata ?? {} }), more);
  const invoke = (one: AgentCall, behaviour: Behaviour) => {
    peer.dress(dress);
    return peer.invoke(one, behaviour);
  };

  test(`${protocol}: a good answer is a reply, and the exchange shows it without secrets`, async () => {
    const result = await invoke(call(), say('  Sunny & dry.\u0000 '));
    const kept = dress.handle === undefined ? {} : { handle: dress.handle };
    assert.deepEqual(result.outcome, {
      kind: 'reply',
      text: 'Sunny & dry.',
      mediaUrls: [],
      endSession: false,
      ...kept,
    });
    const { exchange } = result;
    assert.equal(exchange.status, 200);
    assert.match(exchange.response, /Sunny & dry/);
    assert.match(exchange.request, /What is the weather/);
    assert.ok(exchange.durationMs > 0 && exchange.startedAt instanceof Date);
    const everything = JSON.stringify(exchange);
    for (const secret of ['sk-secret', SECRET, String(peer.questions[0]!.headers['webhook-signature'])]) {
      assert.equal(everything.includes(secret), false);
    }
  });

  for (const { name, agent, expected, call: more, reason } of FAILURES) {
    test(`${protocol}: ${name}`, async () => {
      const result = await invoke(call(more), agent);
      failedWith(
        result,
        /^reset before/.test(name) && dress.afterReset ? { ...expected, retry: dress.afterReset } : expected,
      );
      if (reason !== undefined) assert.match(reasonOf(result), reason);
      assert.ok(result.exchange.response.length <= 2_048);
      // One attempt, whatever happened: retries belong to the turn.
      assert.equal(peer.questions.length, 1);
    });
  }

  test(`${protocol}: 500 is the agent’s own failure, and a model provider’s passes`, async () => {
    const code = dress.protocol === 'openai' ? 'agent_away' : 'agent_http';
    failedWith(await invoke(call(), raw('oops', 500)), { code, retry: 'other' });
  });

  test(`${protocol}: a long text is refused, not cut`, async () => {
    failedWith(await invoke(call(), say('x'.repeat(20_001))), { code: 'agent_contract' });
    const longest = await invoke(call(), say('x'.repeat(20_000)));
    assert.equal(longest.outcome.kind, 'reply');
  });

  test(`${protocol}: an empty text is refused`, async () => {
    for (const text of ['', ' \n\t ', '\0']) {
      failedWith(await invoke(call(), say(text)), { code: 'agent_contract' });
    }
  });

  test(`${protocol}: what came before a failure is kept`, async () => {
    const { exchange } = await invoke(call({ deadlines: NO_END }), (_request, response) => {
      response.write('{"half":');
    });
    assert.deepEqual([exchange.status, exchange.response], [200, '{"half":']);
  });

  test(`${protocol}: what is kept shows where a byte was that no database takes`, async () => {
    const { exchange } = await invoke(call(), raw('broken\0here'));
    assert.equal(exchange.response, 'broken\uFFFDhere');
  });

  test(`${protocol}: a cancelled call ends at once, at the agent too`, async () => {
    const controller = new AbortController();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const result = await invoke(call({ signal: controller.signal }), (_request, response) => {
      response.on('close', resolve);
      controller.abort();
    });
    failedWith(result, { code: 'agent_cancelled', retry: 'never' });
    await closed;
    const late = await invoke(call({ signal: controller.signal }), say('x'));
    failedWith(late, { code: 'agent_cancelled' });
    assert.equal(peer.questions.length, 0);
  });

  test(`${protocol}: of a call that is over nothing is kept until the process ends`, async () => {
    const shutdown = new AbortController();
    const once = async () => {
      // What a turn gives to its calls: it ends with a STOP, or with the process.
      const signal = AbortSignal.any([new AbortController().signal, shutdown.signal]);
      assert.equal((await invoke(call({ signal }), say('Sunny.'))).outcome.kind, 'reply');
      return new WeakRef(signal);
    };
    const signal = await once();
    const isGone = () => {
      collectGarbage();
      return signal.deref() === undefined;
    };
    await until(isGone, { what: 'the end of all that the call held' });
    assert.equal(shutdown.signal.aborted, false);
  });

  test(`${protocol}: a peer that accepts no connection in time, or none at all`, async (t) => {
    const agentAt = (more: Partial<Agent>) => peer.agent(dress.protocol, { metadata: dress.metadata ?? {}, ...more });
    const sockets: Socket[] = [];
    const silent = createSocketServer((socket) => sockets.push(socket.on('error', () => undefined))).listen(
      0,
      '127.0.0.1',
    );
    t.after(() => silent.close());
    await once(silent, 'listening');
    const silentPort = (silent.address() as AddressInfo).port;
    const deadlines = { connectMs: 100, firstByteMs: 5_000, totalMs: 5_000 };
    const tls = agentAt({ endpointUrl: `https://127.0.0.1:${silentPort}/` });
    const hung = await peer.invokeAgent(call({ agent: tls, deadlines }));
    failedWith(hung, { code: 'agent_timeout', retry: 'other' });
    assert.match(reasonOf(hung), /no connection within 100 ms/);
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
    const gone = agentAt({ endpointUrl: `http://127.0.0.1:${silentPort}/` });
    failedWith(await peer.invokeAgent(call({ agent: gone })), { code: 'agent_refused', retry: 'other' });
    const hidden = agentAt({ endpointUrl: 'http://169.254.169.254/' });
    failedWith(await peer.invokeAgent(call({ agent: hidden })), { code: 'egress_denied', retry: 'other' });
  });
}

test('many calls are held at once, each on its own connection', async () => {
  const waiting: ServerResponse[] = [];
  peer.dress(null);
  const results = Array.from({ length: 300 }, () => peer.invokeAgent(callTo(peer.agent('envelope'))));
  peer.behave((_request, response) => {
    waiting.push(response);
    // Answered only when all of them have arrived: a limit on connections would never get here.
    if (waiting.length === results.length) for (const one of waiting) one.end(JSON.stringify(chat()));
  });
  for (const { outcome } of await Promise.all(results)) assert.equal(outcome.kind, 'reply');
});
