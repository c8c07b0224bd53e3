// MCP on the wire: what is asked how often, servers that are odd or change, and streams that break.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AgentCall, AgentResult } from '../../src/agents/agent.ts';
import { CHAT_TOOL, errorOf, mcpDress, resultOf, rpcOf, toolResult } from '../support/protocol-dresses.ts';
import {
  type Behaviour,
  callTo,
  type Dress,
  failedWith,
  json,
  type Peer,
  raw,
  reasonOf,
  type Seen,
  startPeer,
} from '../support/protocol-peer.ts';
import { until } from '../support/until.ts';

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

const MODERN = '2026-07-28';
const LEGACY = '2025-11-25';
const say = (text: string): Behaviour => json((seen: Seen) => toolResult(seen, { content: [{ type: 'text', text }] }));
const ask = (behaviour: Behaviour, metadata: object = {}, more: Partial<AgentCall> = {}) =>
  peer.invoke(callTo(peer.agent('mcp', { metadata: metadata as Record<string, unknown> }), more), behaviour);
const methods = () => peer.others.map((seen) => rpcOf(seen).method ?? seen.method);
const textOf = ({ outcome }: AgentResult) => (outcome.kind === 'reply' ? outcome.text : JSON.stringify(outcome));

/** The dress of an era, with some methods answered otherwise. */
const dressed = (era: typeof MODERN | typeof LEGACY, over: Record<string, Behaviour>, tools?: object[]): Dress => {
  const plain = mcpDress(era, tools);
  return {
    ...plain,
    beside: (request, response, seen) =>
      (over[rpcOf(seen).method ?? seen.method] ?? plain.beside!)(request, response, seen),
  };
};

test('what a server speaks and which tool is its chat is asked once, not with every call', async () => {
  for (const [era, first, later] of [
    [MODERN, ['server/discover', 'tools/list'], []],
    [
      LEGACY,
      ['server/discover', 'initialize', 'notifications/initialized', 'tools/list'],
      ['initialize', 'notifications/initialized'],
    ],
  ] as const) {
    peer.dress(mcpDress(era));
    assert.equal(textOf(await ask(say('one'))), 'one');
    assert.deepEqual(methods(), first);
    assert.equal(textOf(await ask(say('two'))), 'two');
    assert.deepEqual(methods(), later);
    const { headers } = peer.questions[0]!;
    assert.deepEqual(
      [headers['mcp-protocol-version'], headers.authorization, headers['accept-encoding']],
      [era, 'Bearer sk-secret', 'identity'],
    );
  }
});

test('an era that is set is not asked for, and one that is not spoken is a failure', async () => {
  peer.dress(mcpDress(LEGACY));
  assert.equal(textOf(await ask(say('hi'), { era: 'legacy' })), 'hi');
  assert.equal(methods()[0], 'initialize');
  peer.dress(mcpDress(LEGACY));
  failedWith(await ask(say('hi'), { era: MODERN }), { kind: 'failed', retry: 'other' });
  assert.deepEqual(methods(), ['server/discover']);
});

const ODD_PROBES: [string, Behaviour][] = [
  ['400', raw('', 400)],
  ['404', raw('', 404)],
  ['405', raw('', 405)],
  ['500', raw('oops', 500)],
  ['200 and nothing', raw('', 200, { 'content-type': 'application/json' })],
  ['204', raw('', 204)],
  ['200 and a page', raw('<html>')],
  ['-32000', json((seen: Seen) => errorOf(seen, -32000))],
  ['-32601', json((seen: Seen) => errorOf(seen, -32601))],
];
for (const [name, answer] of ODD_PROBES) {
  test(`a server of the older era that answers the question for its era with ${name} is asked in the old way`, async () => {
    peer.dress(dressed(LEGACY, { 'server/discover': answer }));
    assert.equal(textOf(await ask(say('hello'))), 'hello');
  });
}

test('refusals before the call keep their meaning', async () => {
  for (const [status, code] of [
    [401, 'agent_unauthorized'],
    [403, 'agent_unauthorized'],
    [429, 'agent_busy'],
    [503, 'agent_busy'],
    [302, 'agent_http'],
  ] as const) {
    peer.dress(
      dressed(LEGACY, { 'server/discover': raw('', status, { location: '/x' }), initialize: raw('', status) }),
    );
    failedWith(await ask(say('never')), { code });
    assert.equal(peer.questions.length, 0);
  }
});

test('a handshake that is silent, endless or cut off ends at the deadlines of the call', async () => {
  const silent: Behaviour = () => undefined;
  for (const method of ['server/discover', 'initialize', 'tools/list']) {
    peer.dress(dressed(LEGACY, { [method]: silent }));
    const deadlines = { connectMs: 2_000, firstByteMs: 150, totalMs: 5_000 };
    failedWith(await ask(say('never'), {}, { deadlines }), { code: 'agent_timeout', retry: 'other' });
    peer.dress(dressed(LEGACY, { [method]: raw('x'.repeat(5_000_000)) }));
    failedWith(await ask(say('never')), { code: 'agent_too_large' });
    peer.dress(dressed(LEGACY, { [method]: raw('', 200, { 'content-type': 'text/event-stream' }) }));
    failedWith(await ask(say('never')), { code: 'agent_broken', retry: 'other' });
    const controller = new AbortController();
    peer.dress(dressed(LEGACY, { [method]: () => controller.abort() }));
    failedWith(await ask(say('never'), {}, { signal: controller.signal }), { code: 'agent_cancelled' });
  }
});

test('a server that was another one since is met anew, once', async () => {
  // Its tool has another name now.
  let tools: object[] = [CHAT_TOOL];
  const list: Behaviour = json((seen: Seen) => toolResult(seen, { tools, ttlMs: 0, cacheScope: 'private' }));
  const onlyListed: Behaviour = json((seen: Seen) => {
    const { name } = rpcOf(seen).params as { name: string };
    const isListed = tools.some((tool) => (tool as typeof CHAT_TOOL).name === name);
    return isListed ? toolResult(seen, { content: [{ type: 'text', text: name }] }) : errorOf(seen, -32602);
  });
  peer.dress(dressed(MODERN, { 'tools/list': list }));
  assert.equal(textOf(await ask(onlyListed)), 'chat');
  tools = [{ ...CHAT_TOOL, name: 'converse' }];
  assert.equal(textOf(await ask(onlyListed)), 'converse');
  assert.equal(peer.questions.length, 2);

  // It speaks the older era only now.
  peer.dress(mcpDress(MODERN));
  await ask(say('x'));
  const old = mcpDress(LEGACY);
  let era = 'new';
  peer.dress(
    dressed(MODERN, {
      'server/discover': (...args) => (era === 'new' ? mcpDress(MODERN) : old).beside!(...args),
      initialize: old.beside!,
    }),
  );
  await ask(say('x'));
  era = 'old';
  const refusesNew: Behaviour = (request, response, seen) =>
    'mcp-method' in seen.headers ? raw('', 400)(request, response, seen) : say('old way')(request, response, seen);
  assert.equal(textOf(await ask(refusesNew)), 'old way');

  // The same refusal again is the answer: nothing is asked twice.
  peer.dress(mcpDress(MODERN));
  await ask(say('x'));
  failedWith(await ask(json((seen: Seen) => errorOf(seen, -32602))), { code: 'agent_said_error', retry: 'other' });
  assert.equal(peer.questions.length, 1);
});

const event = (body: object) => `event: message\ndata: ${JSON.stringify(body)}\n\n`;
const stream =
  (...parts: ((seen: Seen) => string)[]): Behaviour =>
  (_request, response, seen) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(parts.map((part) => part(seen)).join(''));
  };
const answered = (text: string) => (seen: Seen) => event(toolResult(seen, { content: [{ type: 'text', text }] }));

for (const era of [MODERN, LEGACY] as const) {
  test(`${era}: an answer in a stream; what comes after it, and what answers nobody, changes nothing`, async () => {
    peer.dress(mcpDress(era));
    const stray = () => event({ jsonrpc: '2.0', id: 4711, result: { content: [] } });
    const noise = () => 'data: {"half\n\n: a comment\n\n';
    assert.equal(textOf(await ask(stream(noise, stray, answered('first'), answered('second')))), 'first');
  });

  test(`${era}: a stream that ends without an answer is noticed at once`, async () => {
    peer.dress(mcpDress(era));
    for (const last of [': nothing\n\n', event({ jsonrpc: '2.0', id: 'ping-1', method: 'ping' })])
      failedWith(await ask(stream(() => last)), { code: 'agent_broken', retry: 'other' });
  });

  test(`${era}: an answer after the deadline is nobody's`, async () => {
    peer.dress(mcpDress(era));
    const late: Behaviour = (request, response, seen) =>
      void setTimeout(() => say('too late')(request, response, seen), 400);
    const deadlines = { connectMs: 2_000, firstByteMs: 5_000, totalMs: 200 };
    failedWith(await ask(late, {}, { deadlines }), { code: 'agent_timeout' });
    assert.equal(textOf(await ask(say('in time'))), 'in time');
  });
}

test('a server that asks without end in the middle of a call is not answered without end', async () => {
  peer.dress(mcpDress(LEGACY));
  const asks = (count: number) => () =>
    Array.from({ length: count }, (_, id) => event({ jsonrpc: '2.0', id, method: 'ping' })).join('');
  const answers = () => peer.others.filter((seen) => seen.method === 'POST' && rpcOf(seen).method === undefined).length;
  assert.equal(textOf(await ask(stream(asks(100), answered('patient')))), 'patient');
  await until(() => answers() === 100, { what: 'the answers to what it asked' });
  failedWith(await ask(stream(asks(1_000), answered('x'))), { code: 'agent_contract', retry: 'other' });
  await until(() => methods().includes('notifications/cancelled'), { what: 'the end of the call at the server' });
  assert.ok(answers() <= 100);
});

test('a server of the older era hears of a cancellation by the protocol’s own notification', async () => {
  peer.dress(mcpDress(LEGACY));
  const controller = new AbortController();
  failedWith(await ask(() => controller.abort(), {}, { signal: controller.signal }), { code: 'agent_cancelled' });
  await until(() => methods().includes('notifications/cancelled'), { what: 'the notification' });
  const { id } = rpcOf(peer.questions[0]!);
  const said = peer.others.find((seen) => rpcOf(seen).method === 'notifications/cancelled')!;
  assert.equal((rpcOf(said).params as { requestId: unknown }).requestId, id);
});

test('nobody listens for what a server wants of its own, and its session ends with the call', async () => {
  const withSession: Behaviour = json(
    (seen: Seen) =>
      resultOf(seen, { protocolVersion: LEGACY, capabilities: { tools: {} }, serverInfo: { name: 'p', version: '1' } }),
    200,
    { 'mcp-session-id': 'session-of-one-call' },
  );
  peer.dress(dressed(LEGACY, { initialize: withSession }));
  await ask(say('hi'));
  assert.equal(peer.questions[0]!.headers['mcp-session-id'], 'session-of-one-call');
  await until(() => methods().includes('DELETE'), { what: 'the end of the session' });
  assert.equal(methods().includes('GET'), false);
});

test('ten thousand tools: a named one is found among them, a guess is not made; lists that never end do', async () => {
  const many = Array.from({ length: 10_000 }, (_, n) => ({
    ...CHAT_TOOL,
    name: `tool-${n}`,
    description: 'x'.repeat(200),
  }));
  peer.dress(mcpDress(MODERN, many));
  const refused = await ask(say('never'));
  failedWith(refused, { code: 'agent_contract' });
  assert.match(reasonOf(refused), /10000 tools.*metadata\.tool/);
  assert.equal(textOf(await ask(say('found'), { tool: 'tool-9999' })), 'found');
  let page = 0;
  const endless: Behaviour = json((seen: Seen) =>
    toolResult(seen, { tools: [], nextCursor: `page-${page++}`, ttlMs: 0, cacheScope: 'private' }),
  );
  peer.dress(dressed(MODERN, { 'tools/list': endless }));
  failedWith(await ask(say('never')), { code: 'agent_contract', retry: 'other' });
  assert.ok(page <= 10);
});

const RESULTS: [string, object, object, string | null][] = [
  [
    'texts in parts',
    {
      content: [
        { type: 'text', text: 'one' },
        { type: 'text', text: 'two' },
      ],
    },
    {},
    'one\ntwo',
  ],
  [
    'a field that says reply',
    { content: [{ type: 'text', text: 'raw' }], structuredContent: { answer: 'A', message: 'M' } },
    {},
    'A',
  ],
  ['JSON in a text (VoltAgent)', { content: [{ type: 'text', text: '{"text":"inside"}' }] }, {}, 'inside'],
  [
    'a path of the agent’s own',
    { content: [{ type: 'text', text: '{"a":[{"b":"deep"}]}' }] },
    { reply: 'a.-1.b' },
    'deep',
  ],
  ['a path that leads nowhere', { content: [{ type: 'text', text: 'x' }] }, { reply: 'a.b' }, null],
  [
    'a link',
    { content: [{ type: 'resource_link', uri: 'https://x.example/doc', name: 'doc' }] },
    {},
    'https://x.example/doc',
  ],
  [
    'a file that no text can carry',
    { content: [{ type: 'audio', data: 'AAAA', mimeType: 'audio/wav' }] },
    {},
    '[attachment]',
  ],
  ['an embedded text', { content: [{ type: 'resource', resource: { uri: 'file:///a', text: 'inner' } }] }, {}, 'inner'],
  ['nothing', { content: [] }, {}, null],
  ['an error', { content: [{ type: 'text', text: 'boom' }], isError: true }, {}, null],
];
for (const [name, result, metadata, text] of RESULTS) {
  test(`the result of a tool: ${name}`, async () => {
    peer.dress(mcpDress(MODERN));
    const answer = await ask(
      json((seen: Seen) => toolResult(seen, result)),
      metadata,
    );
    if (text === null) failedWith(answer, { kind: 'failed', retry: 'other' });
    else assert.equal(textOf(answer), text);
  });
}

test('pictures by link become media, a handle by path is kept, and nothing but a short text is a handle', async () => {
  peer.dress(mcpDress(MODERN));
  const content = [
    { type: 'text', text: 'Look' },
    { type: 'resource_link', uri: 'https://x.example/cat.png', name: 'cat', mimeType: 'image/png' },
  ];
  const withHandle = (handle: unknown) =>
    json((seen: Seen) => toolResult(seen, { content, structuredContent: { memory: { id: handle } } }));
  const { outcome } = await ask(withHandle(42), { conversation: 'memory.id' });
  assert.deepEqual(outcome, {
    kind: 'reply',
    text: 'Look',
    mediaUrls: ['https://x.example/cat.png'],
    endSession: false,
    handle: { conversation: '42' },
  });
  for (const handle of ['', 'x'.repeat(501), { a: 1 }, null]) {
    const { outcome: plain } = await ask(withHandle(handle), { conversation: 'memory.id' });
    assert.equal(plain.kind === 'reply' && plain.handle, undefined);
  }
});

test('a server may ask to be called again with its own state; a question for a person is refused', async () => {
  peer.dress(mcpDress(MODERN));
  const wantsState: Behaviour = json((seen: Seen) =>
    rpcOf(seen).params?.requestState === 'token'
      ? toolResult(seen, { content: [{ type: 'text', text: 'resumed' }] })
      : resultOf(seen, { resultType: 'input_required', requestState: 'token' }),
  );
  assert.equal(textOf(await ask(wantsState)), 'resumed');
  const question = {
    method: 'elicitation/create',
    params: { message: 'Sure?', requestedSchema: { type: 'object', properties: {} } },
  };
  const wantsPerson = json((seen: Seen) =>
    resultOf(seen, { resultType: 'input_required', inputRequests: { q: question } }),
  );
  failedWith(await ask(wantsPerson), { kind: 'failed', retry: 'other' });
});

test('misshapen settings of an agent that was registered otherwise are a failure that names them', async () => {
  peer.dress(mcpDress(MODERN));
  const result = await ask(say('never'), { tool: 7 });
  failedWith(result, { code: 'agent_contract', retry: 'other' });
  assert.match(reasonOf(result), /metadata\.tool/);
});
