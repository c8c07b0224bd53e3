// A2A on the wire: cards, tasks that take their time, streams in pieces, and where a credential goes.
import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import type { AgentCall, AgentResult } from '../../src/agents/agent.ts';
import { a2aDress, resultOf, rpcOf } from '../support/protocol-dresses.ts';
import {
  type Behaviour,
  callTo,
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
let other: Peer;
before(async () => {
  peer = await startPeer();
  other = await startPeer();
});
after(() => Promise.all([peer.close(), other.close()]));

const plain = a2aDress('1.0');
const streaming = a2aDress('1.0', { streams: true });
const say = (text: string): Behaviour => json((seen: Seen) => plain.saying(text, seen));
const textOf = ({ outcome }: AgentResult) => (outcome.kind === 'reply' ? outcome.text : JSON.stringify(outcome));
const ask = (behaviour: Behaviour, more: Partial<AgentCall> = {}, path = '/v1') =>
  peer.invoke(
    callTo(peer.agent('a2a', { endpointUrl: `http://127.0.0.1:${peer.port}${path}` }), {
      history: [],
      media: [],
      ...more,
    }),
    behaviour,
  );
const urls = () => peer.others.map((seen) => seen.url);

const task = (state: string, more: object = {}) => ({
  task: { id: 'task-1', contextId: 'context-1', status: { state: `TASK_STATE_${state}` }, ...more },
});
const status = (state: string, text?: string) => ({
  statusUpdate: {
    taskId: 'task-1',
    contextId: 'context-1',
    status: {
      state: `TASK_STATE_${state}`,
      ...(text === undefined ? {} : { message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text }] } }),
    },
  },
});
const chunk = (text: string, append = true) => ({
  artifactUpdate: {
    taskId: 'task-1',
    contextId: 'context-1',
    append,
    artifact: { artifactId: 'a', parts: [{ text }] },
  },
});
const stream =
  (...events: object[]): Behaviour =>
  (_request, response, seen) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of events) response.write(`data: ${JSON.stringify(resultOf(seen, event))}\n\n`);
    response.end();
  };
const answer = (result: object): Behaviour => json((seen: Seen) => resultOf(seen, result));

test('the message is the documented one, and the card is fetched once', async () => {
  peer.dress(plain);
  assert.equal(textOf(await ask(say('hi'))), 'hi');
  assert.deepEqual(urls(), ['/v1/.well-known/agent-card.json']);
  const { headers, body } = peer.questions[0]!;
  assert.deepEqual([headers['a2a-version'], headers.authorization], ['1.0', 'Bearer sk-secret']);
  const { message } = (rpcOf(peer.questions[0]!).params ?? {}) as { message: object };
  assert.deepEqual(message, {
    messageId: 'turn-1',
    role: 'ROLE_USER',
    parts: [{ text: 'What is the weather?', mediaType: 'text/plain' }],
  });
  assert.equal(JSON.parse(body).method, 'SendMessage');
  await ask(say('hi'));
  assert.deepEqual(urls(), []);
});

test('a card is looked for at the address, under it and at its host', async () => {
  const only =
    (path: string): Behaviour =>
    (request, response, seen) =>
      seen.url === path ? plain.beside!(request, response, seen) : raw('', 404)(request, response, seen);
  for (const [path, endpoint] of [
    ['/agents/ada/.well-known/agent-card.json', '/agents/ada/'],
    ['/.well-known/agent-card.json', '/agents/ada'],
    ['/cards/agent-card.json', '/cards/agent-card.json'],
  ] as const) {
    peer.dress({ ...plain, beside: only(path) });
    assert.equal(textOf(await ask(say('found'), {}, endpoint)), 'found');
  }
  peer.dress({ ...plain, beside: raw('', 404) });
  const none = await ask(say('never'));
  failedWith(none, { code: 'agent_contract', retry: 'other' });
  assert.match(reasonOf(none), /no agent card/);
});

const card = (more: object): Behaviour =>
  json({ name: 'x', description: '', version: '1', capabilities: {}, skills: [], ...more });
const at = (url: string, protocolBinding = 'JSONRPC') => ({
  supportedInterfaces: [{ url, protocolBinding, protocolVersion: '1.0' }],
});

const BAD_CARDS: [string, Behaviour, object][] = [
  ['no JSON', raw('<html>'), { code: 'agent_contract' }],
  ['null', json(null), { code: 'agent_contract' }],
  ['nothing in it', json({}), { code: 'agent_contract' }],
  ['a list', json([]), { code: 'agent_contract' }],
  ['a binding that is not spoken here', card(at('http://127.0.0.1:1/', 'GRPC')), { code: 'agent_contract' }],
  ['an address that is none', card(at('not a url')), { code: 'agent_contract' }],
  ['a login', raw('', 401), { code: 'agent_unauthorized' }],
  ['a redirect', raw('', 302, { location: 'http://169.254.169.254/' }), { code: 'agent_http' }],
  ['too much of it', raw('x'.repeat(300_000)), { code: 'agent_too_large' }],
  ['the address of a neighbour', card(at('http://169.254.169.254/latest')), { code: 'egress_denied' }],
  ['the address of a file', card(at('file:///etc/passwd')), { kind: 'failed' }],
];
for (const [name, behaviour, expected] of BAD_CARDS) {
  test(`a card with ${name}`, async () => {
    peer.dress({ ...plain, beside: behaviour });
    failedWith(await ask(say('never')), { retry: 'other', ...expected });
    assert.equal(peer.questions.length, 0);
  });
}

test('the credential is for the address that was registered, not for one that its card names', async () => {
  peer.dress({ ...plain, beside: card(at(`http://127.0.0.1:${other.port}/elsewhere`)) });
  other.behave(say('from elsewhere'));
  other.questions.length = 0;
  assert.equal(textOf(await ask(say('never'))), 'from elsewhere');
  assert.equal(other.questions[0]!.headers.authorization, undefined);
  assert.equal(peer.others[0]!.headers.authorization, 'Bearer sk-secret');
});

test('an agent that does not stream is asked not to wait, and may wait all the same', async () => {
  for (const [version, key, value] of [
    ['1.0', 'returnImmediately', true],
    ['0.3', 'blocking', false],
  ] as const) {
    peer.dress(a2aDress(version));
    assert.equal(textOf(await ask(json((seen: Seen) => a2aDress(version).saying('At once.', seen)))), 'At once.');
    const { configuration } = rpcOf(peer.questions[0]!).params as { configuration: Record<string, unknown> };
    assert.equal(configuration[key], value, version);
  }
  peer.dress(plain);
  const done = task('COMPLETED', { artifacts: [{ artifactId: 'a', parts: [{ text: 'All done.' }] }] });
  assert.equal(textOf(await ask(answer(done))), 'All done.');
});

test('a task that is still worked on is looked at until it is done', async () => {
  let looks = 0;
  peer.dress({
    ...plain,
    beside(request, response, seen) {
      if (rpcOf(seen).method !== 'GetTask') return plain.beside!(request, response, seen);
      const artifacts = [{ artifactId: 'a', parts: [{ text: 'Done at last.' }] }];
      const now = ++looks < 3 ? task('WORKING') : task('COMPLETED', { artifacts });
      json((one: Seen) => resultOf(one, now.task))(request, response, seen);
    },
  });
  let progress = 0;
  assert.equal(textOf(await ask(answer(task('SUBMITTED')), { onProgress: () => progress++ })), 'Done at last.');
  assert.equal(looks, 3);
  assert.ok(progress >= 3);
});

test('a task that cannot be looked at any more is ended at the agent: somebody else is asked', async () => {
  peer.dress({
    ...plain,
    beside: (request, response, seen) =>
      rpcOf(seen).method === 'GetTask' ? raw('', 503)(request, response, seen) : plain.beside!(request, response, seen),
  });
  failedWith(await ask(answer(task('WORKING'))), { code: 'agent_busy' });
  await until(() => peer.others.some((seen) => rpcOf(seen).method === 'CancelTask'), { what: 'a cancellation' });
});

const STREAMS: [string, object[], string | null][] = [
  ['chunks of one artifact', [task('SUBMITTED'), chunk('Sun', false), chunk('ny.'), status('COMPLETED')], 'Sunny.'],
  [
    'an artifact that is sent anew',
    [task('WORKING'), chunk('old', false), chunk('new', false), status('COMPLETED')],
    'new',
  ],
  [
    'notes on the way are not the answer',
    [status('WORKING', 'thinking'), chunk('Sunny.', false), status('COMPLETED')],
    'Sunny.',
  ],
  ['an answer in the last status', [status('WORKING', 'thinking'), status('COMPLETED', 'Sunny.')], 'Sunny.'],
  ['a message', [{ message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'Sunny.' }] } }], 'Sunny.'],
  ['what comes after the end', [status('COMPLETED', 'Sunny.'), status('FAILED', 'no')], 'Sunny.'],
  [
    'an answer in the history alone',
    [task('COMPLETED', { history: [{ messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'Sunny.' }] }] })],
    'Sunny.',
  ],
  [
    'a history that ends with the question',
    [
      task('COMPLETED', {
        history: [
          { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text: 'Where?' }] },
          { messageId: 'n', role: 'ROLE_USER', parts: [{ text: 'Here' }] },
        ],
      }),
    ],
    null,
  ],
  ['an end without a word', [status('WORKING', 'thinking'), status('COMPLETED')], null],
  ['nothing', [], null],
];
for (const [name, events, text] of STREAMS) {
  test(`a stream with ${name}`, async () => {
    peer.dress(streaming);
    const result = await ask(stream(...events));
    if (text === null) failedWith(result, { kind: 'failed', retry: 'other' });
    else assert.equal(textOf(result), text);
  });
}

test('what cannot be read is written nowhere', async () => {
  const written = ['log', 'warn', 'error', 'debug'].map((name) => mock.method(console, name as 'log', () => undefined));
  for (const binding of ['JSONRPC', 'HTTP+JSON'] as const) {
    const streams: Behaviour = (request, response, seen) =>
      json({
        ...{ name: 'x', description: '', version: '1', capabilities: { streaming: true }, skills: [] },
        ...at(`http://${request.headers.host}/v1`, binding),
      })(request, response, seen);
    peer.dress({ ...plain, isQuestion: (seen) => seen.method === 'POST', beside: streams });
    for (const event of ['{"private', 'null', '7', '{"task":{"status":7}}']) {
      const result = await ask((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: ${event}\n\n`);
      });
      failedWith(result, { kind: 'failed', retry: 'other' });
      assert.doesNotMatch(reasonOf(result), /private/);
    }
  }
  assert.deepEqual(
    written.map((one) => one.mock.callCount()),
    [0, 0, 0, 0],
  );
  mock.restoreAll();
});

test('a stream that falls silent is given up before the whole deadline', async () => {
  peer.dress(streaming);
  const deadlines = { connectMs: 2_000, firstByteMs: 300, totalMs: 10_000 };
  const result = await ask(
    (_request, response, seen) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(resultOf(seen, task('WORKING')))}\n\n`);
    },
    { deadlines },
  );
  failedWith(result, { code: 'agent_timeout', retry: 'other' });
  assert.match(reasonOf(result), /300 ms/);
  await until(() => peer.others.some((seen) => rpcOf(seen).method === 'CancelTask'), { what: 'a cancellation' });
});

test('pictures are media, other files are links or named, data for programs is left out', async () => {
  peer.dress(plain);
  const parts = [
    { text: 'Look:' },
    { url: 'https://x.example/cat.png', mediaType: 'image/png' },
    { url: 'https://x.example/doc.pdf', mediaType: 'application/pdf' },
    { url: 'http://intern.example/secret', mediaType: 'image/png' },
    { raw: 'AAAA', mediaType: 'image/png' },
    { data: { score: 7 } },
  ];
  const { outcome } = await ask(answer({ message: { messageId: 'm', role: 'ROLE_AGENT', parts } }));
  assert.deepEqual(outcome, {
    kind: 'reply',
    text: 'Look:\nhttps://x.example/doc.pdf\n[attachment]\n[attachment]',
    mediaUrls: ['https://x.example/cat.png'],
    endSession: false,
  });
});
