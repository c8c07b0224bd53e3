// The same agents, good, broken and hostile, behind every protocol: what a turn sees must not depend on the protocol.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Dispatcher } from 'undici';
import type { Agent, AgentCall, AgentOutcome, AgentResult, Protocol } from '../../src/agents/agent.ts';
import { invokeAgent } from '../../src/agents/invoke.ts';
import { createEgress } from '../../src/security/guarded-fetch.ts';
import { newSigningSecret, signWebhook, verifyWebhook } from '../../src/security/standard-webhooks.ts';

type Seen = { headers: IncomingHttpHeaders; body: string; url: string };
type Behaviour = (request: IncomingMessage, response: ServerResponse, seen: Seen) => void;

let behave: Behaviour = (_request, response) => response.end();
let requests: Seen[] = [];
let port = 0;
let http: Dispatcher;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('error', () => undefined);
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const seen = { headers: request.headers, body: Buffer.concat(chunks).toString(), url: request.url ?? '' };
    requests.push(seen);
    behave(request, response, seen);
  });
});

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  http = createEgress({ allow: ['127.0.0.1'], connectMs: 2_000 });
});

after(async () => {
  await http.destroy();
  server.closeAllConnections();
  server.close();
});

const agentOf = (protocol: Protocol, more: Partial<Agent> = {}): Agent => ({
  id: '018f0000-0000-7000-8000-000000000001',
  name: 'Ada',
  type: 'chat',
  protocol,
  endpointUrl: `http://127.0.0.1:${port}/v1`,
  capabilities: [],
  status: 'active',
  healthScore: 100,
  maxConcurrentSessions: 10,
  activeSessions: 0,
  responseMs: 0,
  consecutiveFailures: 0,
  coolingUntil: null,
  signingSecret: SECRET,
  credential: 'sk-secret',
  metadata: {},
  ...more,
});

const SECRET = newSigningSecret();
const at = new Date('2026-01-01T10:00:00Z');

const callOf = (protocol: Protocol, more: Partial<AgentCall> = {}): AgentCall => ({
  agent: agentOf(protocol),
  messageId: 'turn-1',
  conversationId: 'conversation-1',
  sessionId: 'session-1',
  channel: 'sms',
  text: 'What is the weather?',
  media: [{ url: 'https://media.example/1.jpg', contentType: 'image/jpeg' }],
  history: [
    { role: 'user', content: 'Hi', timestamp: at },
    { role: 'assistant', content: 'Hello!', timestamp: at },
  ],
  replyBudget: { maxCharacters: 480, maxSegments: 3 },
  deadlines: { connectMs: 2_000, firstByteMs: 5_000, totalMs: 10_000 },
  signal: new AbortController().signal,
  ...more,
});

async function invoke(call: AgentCall, behaviour: Behaviour): Promise<AgentResult> {
  behave = behaviour;
  requests = [];
  return invokeAgent(call, http);
}

const json =
  (value: unknown, status = 200, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };

const raw =
  (text: string | Buffer, status = 200, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'text/html', ...headers }).end(text);
  };

const chat = (payload: object = {}, more: object = {}) => ({
  type: 'chat.response',
  message_id: 'm',
  in_reply_to: 'turn-1',
  timestamp: at.toISOString(),
  payload: { session_id: 'session-1', message: 'Sunny.', ...payload },
  ...more,
});

const completion = (message: object = {}, choice: object = {}) => ({
  id: 'c',
  choices: [
    { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Sunny.', ...message }, ...choice },
  ],
  usage: { total_tokens: 3 },
});

const PROTOCOLS: Record<Protocol, { saying(text: string): unknown }> = {
  envelope: { saying: (text) => chat({ message: text }) },
  openai: { saying: (text) => completion({ content: text }) },
};

type Failed = Extract<AgentOutcome, { kind: 'failed' }>;

function failedWith({ outcome }: AgentResult, expected: Partial<Failed>): void {
  assert.equal(outcome.kind, 'failed');
  for (const [key, value] of Object.entries(expected)) {
    assert.deepEqual(outcome[key as keyof AgentOutcome], value, `${key} of ${JSON.stringify(outcome)}`);
  }
}

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
  { name: '500', agent: raw('oops', 500), expected: { code: 'agent_http', retry: 'other' } },
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

for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
  const { saying } = PROTOCOLS[protocol];

  test(`${protocol}: a good answer is a reply, and the exchange shows it without secrets`, async () => {
    const result = await invoke(callOf(protocol), json(saying('  Sunny & dry.\u0000 ')));
    assert.deepEqual(result.outcome, { kind: 'reply', text: 'Sunny & dry.', mediaUrls: [], endSession: false });
    const { exchange } = result;
    assert.equal(exchange.status, 200);
    assert.match(exchange.response, /Sunny & dry/);
    assert.match(exchange.request, /What is the weather/);
    assert.ok(exchange.durationMs > 0 && exchange.startedAt instanceof Date);
    const everything = JSON.stringify(exchange);
    for (const secret of ['sk-secret', SECRET, String(requests[0]!.headers['webhook-signature'])]) {
      assert.equal(everything.includes(secret), false);
    }
  });

  for (const { name, agent, expected, call, reason } of FAILURES) {
    test(`${protocol}: ${name}`, async () => {
      const result = await invoke(callOf(protocol, call), agent);
      failedWith(result, expected);
      if (reason !== undefined) assert.match((result.outcome as Failed).reason, reason);
      assert.ok(result.exchange.response.length <= 2_048);
      // One attempt, whatever happened: retries belong to the turn.
      assert.equal(requests.length, 1);
    });
  }

  test(`${protocol}: a long text is refused, not cut`, async () => {
    failedWith(await invoke(callOf(protocol), json(saying('x'.repeat(20_001)))), { code: 'agent_contract' });
    const longest = await invoke(callOf(protocol), json(saying('x'.repeat(20_000))));
    assert.equal(longest.outcome.kind, 'reply');
  });

  test(`${protocol}: an empty text is refused`, async () => {
    for (const text of ['', ' \n\t ', '\0']) {
      failedWith(await invoke(callOf(protocol), json(saying(text))), { code: 'agent_contract' });
    }
  });

  test(`${protocol}: what came before a failure is kept`, async () => {
    const { exchange } = await invoke(callOf(protocol, { deadlines: NO_END }), (_request, response) => {
      response.write('{"half":');
    });
    assert.deepEqual([exchange.status, exchange.response], [200, '{"half":']);
  });

  test(`${protocol}: a cancelled call ends at once, at the agent too`, async () => {
    const controller = new AbortController();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const result = await invoke(callOf(protocol, { signal: controller.signal }), (_request, response) => {
      response.on('close', resolve);
      controller.abort();
    });
    failedWith(result, { code: 'agent_cancelled', retry: 'never' });
    await closed;
    const late = await invoke(callOf(protocol, { signal: controller.signal }), json(saying('x')));
    failedWith(late, { code: 'agent_cancelled' });
    assert.equal(requests.length, 0);
  });

  test(`${protocol}: a peer that accepts no connection in time, or none at all`, async () => {
    const sockets: Socket[] = [];
    const silent = createSocketServer((socket) => sockets.push(socket.on('error', () => undefined))).listen(
      0,
      '127.0.0.1',
    );
    await once(silent, 'listening');
    const silentPort = (silent.address() as AddressInfo).port;
    const deadlines = { connectMs: 100, firstByteMs: 5_000, totalMs: 5_000 };
    const tls = agentOf(protocol, { endpointUrl: `https://127.0.0.1:${silentPort}/` });
    const hung = await invokeAgent(callOf(protocol, { agent: tls, deadlines }), http);
    failedWith(hung, { code: 'agent_timeout', retry: 'other' });
    assert.match((hung.outcome as Failed).reason, /no connection within 100 ms/);
    for (const socket of sockets) socket.destroy();
    silent.close();
    await once(silent, 'close');
    const gone = agentOf(protocol, { endpointUrl: `http://127.0.0.1:${silentPort}/` });
    failedWith(await invokeAgent(callOf(protocol, { agent: gone }), http), { code: 'agent_refused', retry: 'other' });
    const hidden = agentOf(protocol, { endpointUrl: 'http://169.254.169.254/' });
    failedWith(await invokeAgent(callOf(protocol, { agent: hidden }), http), { code: 'egress_denied', retry: 'other' });
  });
}

test('envelope: the request is the documented one, signed', async () => {
  await invoke(callOf('envelope'), json(chat()));
  const { headers, body, url } = requests[0]!;
  assert.equal(url, '/v1');
  assert.equal(verifyWebhook(SECRET, headers, body, new Date()), 'valid');
  assert.equal(headers['webhook-id'], 'turn-1');
  assert.equal(headers['accept-encoding'], 'identity');
  const { timestamp, payload, ...rest } = JSON.parse(body);
  assert.deepEqual(rest, { type: 'chat.request', message_id: 'turn-1' });
  const { deadline, ...fields } = payload;
  assert.equal(Date.parse(deadline) - Date.parse(timestamp), 10_000);
  assert.deepEqual(fields, {
    session_id: 'session-1',
    conversation_id: 'conversation-1',
    message: 'What is the weather?',
    conversation_history: [
      { role: 'user', content: 'Hi', timestamp: at.toISOString() },
      { role: 'assistant', content: 'Hello!', timestamp: at.toISOString() },
    ],
    media: [{ url: 'https://media.example/1.jpg', content_type: 'image/jpeg' }],
    channel: 'sms',
    reply_budget: { max_characters: 480, max_segments: 3 },
  });
});

test('envelope: media, the end of a session and fields we do not know', async () => {
  const media = [
    'https://cdn.example/a.png',
    { url: 'https://cdn.example/b.png', content_type: 'image/png' },
    'https://cdn.example/\u0000c.png',
  ];
  const result = await invoke(
    callOf('envelope'),
    json(chat({ media, end_session: true, mood: 'good' }, { to: '+1900' })),
  );
  assert.deepEqual(result.outcome, {
    kind: 'reply',
    text: 'Sunny.',
    mediaUrls: ['https://cdn.example/a.png', 'https://cdn.example/b.png', 'https://cdn.example/%00c.png'],
    endSession: true,
  });
});

test('envelope: 202 defers', async () => {
  for (const body of ['', 'accepted', '{}']) {
    assert.deepEqual((await invoke(callOf('envelope'), raw(body, 202))).outcome, { kind: 'deferred' });
  }
});

const BAD_ENVELOPES: [string, unknown, RegExp][] = [
  ['answer to another message', chat({}, { in_reply_to: 'turn-2' }), /in_reply_to/],
  ['no in_reply_to', chat({}, { in_reply_to: undefined }), /in_reply_to/],
  ['another session', chat({ session_id: 'session-2' }), /session_id/],
  ['another type', chat({}, { type: 'chat.request' }), /type/],
  ['message as object', chat({ message: { text: 'x' } }), /payload\.message/],
  ['media over http', chat({ media: ['http://cdn.example/a.png'] }), /payload\.media/],
  ['media as script', chat({ media: ['javascript:alert(1)'] }), /payload\.media/],
  ['eleven media', chat({ media: Array(11).fill('https://cdn.example/a.png') }), /payload\.media/],
  ['end_session as text', chat({ end_session: 'yes' }), /end_session/],
];

for (const [name, body, reason] of BAD_ENVELOPES) {
  test(`envelope: contract broken: ${name}`, async () => {
    const result = await invoke(callOf('envelope'), json(body));
    failedWith(result, { code: 'agent_contract', retry: 'other' });
    assert.match((result.outcome as Failed).reason, reason);
    assert.match(result.exchange.response, /session_id/);
  });
}

test('envelope: the agent’s own error says whether to try again, and its words stay in the exchange', async () => {
  const error = (retryable?: boolean) => ({
    type: 'error',
    payload: { code: 'model_down', message: 'Ann said hi', retryable },
  });
  for (const status of [200, 400, 500]) {
    const again = await invoke(callOf('envelope'), json(error(true), status));
    failedWith(again, { code: 'agent_said_error', retry: 'same' });
    assert.match((again.outcome as Failed).reason, /model_down/);
    assert.doesNotMatch((again.outcome as Failed).reason, /Ann/);
    assert.match(again.exchange.response, /Ann said hi/);
    failedWith(await invoke(callOf('envelope'), json(error(), status)), { code: 'agent_said_error', retry: 'other' });
  }
});

test('envelope: a signed answer must be signed right; an unsigned one passes unless signatures are required', async () => {
  const signedBy =
    (secret: string, when: Date, change = ''): Behaviour =>
    (_request, response) => {
      const body = JSON.stringify(chat());
      response.writeHead(200, { ...signWebhook(secret, 'reply-1', when, body) }).end(body + change);
    };
  assert.equal((await invoke(callOf('envelope'), signedBy(SECRET, new Date()))).outcome.kind, 'reply');
  for (const [agent, reason] of [
    [signedBy(newSigningSecret(), new Date()), /does not match/],
    [signedBy(SECRET, new Date(), ' '), /does not match/],
    [signedBy(SECRET, new Date(Date.now() - 600_000)), /5 minutes/],
    [json(chat(), 200, { 'webhook-id': 'x' }), /come together/],
  ] as const) {
    const result = await invoke(callOf('envelope'), agent);
    failedWith(result, { code: 'agent_contract' });
    assert.match((result.outcome as Failed).reason, reason);
  }
  const strict = callOf('envelope', { agent: agentOf('envelope', { metadata: { require_signed_replies: true } }) });
  failedWith(await invoke(strict, json(chat())), { code: 'agent_contract' });
  assert.equal((await invoke(strict, signedBy(SECRET, new Date()))).outcome.kind, 'reply');
});

test('openai: the request carries instructions, history, media and the credential', async () => {
  await invoke(callOf('openai'), json(completion()));
  const { headers, body, url } = requests[0]!;
  assert.equal(url, '/v1/chat/completions');
  assert.equal(headers.authorization, 'Bearer sk-secret');
  const { messages, ...options } = JSON.parse(body);
  assert.deepEqual(options, { model: 'default', max_tokens: 480, stream: false });
  assert.match(messages[0].content, /text message.*480 characters/);
  assert.deepEqual(messages.slice(1), [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello!' },
    { role: 'user', content: 'What is the weather?\nhttps://media.example/1.jpg' },
  ]);
});

test('openai: options of the agent, and an endpoint with a query string', async () => {
  const agent = agentOf('openai', {
    endpointUrl: `http://127.0.0.1:${port}/base/chat/completions?api-version=1`,
    credential: null,
    metadata: {
      model: 'm-1',
      instructions: 'Be kind.',
      max_tokens_field: 'max_completion_tokens',
      max_tokens: 900,
      extra: { temperature: 0, stream: true, messages: [] },
    },
  });
  const result = await invoke(callOf('openai', { agent, media: [] }), json(completion()));
  const { headers, body, url } = requests[0]!;
  assert.equal(url, '/base/chat/completions?api-version=1');
  assert.doesNotMatch(result.exchange.target, /api-version/);
  assert.equal(headers.authorization, undefined);
  const { messages, ...options } = JSON.parse(body);
  assert.deepEqual(options, { model: 'm-1', max_completion_tokens: 900, temperature: 0, stream: false });
  assert.deepEqual([messages[0].content, messages.length], ['Be kind.', 4]);
});

const COMPLETIONS: [string, unknown, string | null][] = [
  ['cut by its limit', completion({}, { finish_reason: 'length' }), 'Sunny. …'],
  ['a refusal', completion({ content: null, refusal: 'I cannot help with that.' }), 'I cannot help with that.'],
  [
    'content in parts',
    completion({
      content: [
        { type: 'text', text: 'Sun' },
        { type: 'text', text: 'ny' },
      ],
    }),
    'Sunny',
  ],
  ['thoughts before the answer', completion({ content: '<think>\nhm\n</think>\n\nSunny.' }), 'Sunny.'],
  ['thoughts only', completion({ content: '<think>hm' }, { finish_reason: 'length' }), null],
  ['tool calls only', completion({ content: null, tool_calls: [{ id: '1' }] }, { finish_reason: 'tool_calls' }), null],
  ['nothing', completion({ content: null }), null],
  ['no choices', { choices: [] }, null],
];

for (const [name, body, text] of COMPLETIONS) {
  test(`openai: ${name}`, async () => {
    const { outcome } = await invoke(callOf('openai'), json(body));
    if (text === null) failedWith({ outcome } as AgentResult, { code: 'agent_contract', retry: 'other' });
    else assert.deepEqual(outcome, { kind: 'reply', text, mediaUrls: [], endSession: false });
  });
}

test('openai: statuses that pass by themselves may be tried again', async () => {
  for (const status of [408, 409]) {
    failedWith(await invoke(callOf('openai'), json({ error: { code: 'conflict' } }, status)), {
      code: 'agent_http',
      retry: 'same',
    });
  }
});

test('openai: too long a context is asked once more with the newer half of the history', async () => {
  const tooLong = {
    error: { message: 'This model’s maximum context length is 8 tokens', type: 'invalid_request_error', code: null },
  };
  const answers = [json(tooLong, 400), json(completion())];
  const result = await invoke(callOf('openai'), (request, response, seen) => answers.shift()!(request, response, seen));
  assert.equal(result.outcome.kind, 'reply');
  const roles = requests.map((one) => JSON.parse(one.body).messages.map((message: { role: string }) => message.role));
  assert.deepEqual(roles, [
    ['system', 'user', 'assistant', 'user'],
    ['system', 'assistant', 'user'],
  ]);
  failedWith(await invoke(callOf('openai'), json({ error: { code: 'context_length_exceeded' } }, 400)), {
    code: 'agent_http',
  });
  assert.equal(requests.length, 2);
});

test('many calls are held at once, each on its own connection', async () => {
  const waiting: ServerResponse[] = [];
  const results = Array.from({ length: 300 }, () => invokeAgent(callOf('envelope'), http));
  behave = (_request, response) => {
    waiting.push(response);
    // Answered only when all of them have arrived: a limit on connections would never get here.
    if (waiting.length === results.length) for (const one of waiting) one.end(JSON.stringify(chat()));
  };
  for (const { outcome } of await Promise.all(results)) assert.equal(outcome.kind, 'reply');
});
