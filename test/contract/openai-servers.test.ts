// Our OpenAI client against a server that is not ours: aimock, which is kept in step with the real API.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type ChatCompletionRequest, LLMock } from '@copilotkit/aimock';
import type { Agent, AgentCall, HistoryEntry, Thread } from '../../src/agents/agent.ts';
import { createMeet } from '../../src/agents/meet.ts';
import { at, callTo, failedWith, type Peer, reasonOf, startPeer } from '../support/protocol-peer.ts';

const KEY = 'sk-secret';

let peer: Peer;
let server: LLMock;
before(async () => {
  peer = await startPeer();
  server = new LLMock({ port: 0, host: '127.0.0.1', logLevel: 'silent', auth: { apiKeys: [KEY] } });
  await server.start();
});
after(async () => {
  await server.stop();
  await peer.close();
});
beforeEach(() => {
  server.reset();
});

const agentAt = (metadata: Agent['metadata'], more: Partial<Agent> = {}) =>
  peer.agent('openai', { endpointUrl: `${server.url}/v1`, credential: KEY, metadata, ...more });
const ask = (metadata: Agent['metadata'], more: Partial<AgentCall> = {}, agent: Partial<Agent> = {}) =>
  peer.invokeAgent(callTo(agentAt(metadata, agent), { media: [], ...more }));

/** What the server took the n-th request for. */
const heard = (n = 0) => server.getRequests()[n]!.body as ChatCompletionRequest;
const saidTo = (n: number) => heard(n).messages.map(({ role, content }) => [role, content]);
const HISTORY = [
  ['user', 'Hi'],
  ['assistant', 'Hello!'],
];
const QUESTION = ['user', 'What is the weather?'];

for (const api of ['chat', 'responses'] as const) {
  describe(`the server’s ${api === 'chat' ? 'Chat Completions' : 'Responses'}`, () => {
    test('answer with what was said so far, and with the credential', async () => {
      server.onTurn(1, 'weather', { content: 'Sunny.' });
      const { outcome, exchange } = await ask({ api, model: 'gpt-4o' });
      assert.equal(outcome.kind === 'reply' && outcome.text, 'Sunny.', JSON.stringify(outcome));
      assert.equal(exchange.status, 200);
      assert.match(JSON.stringify(saidTo(0)[0]), /^\["system","You are answering a text message/);
      assert.deepEqual(saidTo(0).slice(1), [...HISTORY, QUESTION]);
      assert.equal(heard().model, 'gpt-4o');
      failedWith(await ask({ api }, {}, { credential: 'sk-wrong' }), { code: 'agent_unauthorized' });
      failedWith(await ask({ api }, {}, { credential: null }), { code: 'agent_unauthorized' });
    });

    test('are not asked to stream, whatever is set: a text goes out whole', async () => {
      server.onMessage('weather', { content: 'Sunny, with a little wind from the sea.' }, { chunkSize: 4 });
      const streamed = await fetch(`${server.url}/v1/${api === 'chat' ? 'chat/completions' : 'responses'}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
        body: JSON.stringify({
          model: 'gpt-4o',
          stream: true,
          [api === 'chat' ? 'messages' : 'input']: [{ role: 'user', content: 'weather' }],
        }),
      });
      assert.equal(streamed.headers.get('content-type'), 'text/event-stream');
      await streamed.body?.cancel();
      const { outcome } = await ask({ api, extra: { stream: true } });
      assert.equal(outcome.kind === 'reply' && outcome.text, 'Sunny, with a little wind from the sea.');
    });

    test('carry the second text behind the first', async () => {
      server.onTurn(0, 'My name is Ann', { content: 'Hello Ann.' });
      server.onTurn(1, 'my name', { content: 'Ann.' });
      // The endpoint keeps nothing, so that either API has to be told.
      const metadata = { api, extra: api === 'responses' ? { store: false } : {} };
      const first = await ask(metadata, { text: 'My name is Ann', history: [] });
      assert.equal(first.outcome.kind === 'reply' && first.outcome.text, 'Hello Ann.', JSON.stringify(first.outcome));
      const history: HistoryEntry[] = [
        { role: 'user', content: 'My name is Ann', timestamp: at },
        { role: 'assistant', content: 'Hello Ann.', timestamp: at },
      ];
      const second = await ask(metadata, { text: 'What is my name?', history });
      assert.equal(second.outcome.kind === 'reply' && second.outcome.text, 'Ann.', JSON.stringify(second.outcome));
    });

    const REFUSALS: readonly [
      string,
      number,
      Parameters<LLMock['nextRequestError']>[1],
      Parameters<typeof failedWith>[1],
      RegExp,
    ][] = [
      [
        'too many requests',
        429,
        { message: 'Slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded' },
        { code: 'agent_busy', afterMs: 1_000 },
        /429.*rate_limit_exceeded/,
      ],
      ['an error', 500, { message: 'Ann said so', type: 'server_error' }, { code: 'agent_away' }, /500.*server_error/],
      ['a conflict', 409, { message: 'Again', code: 'conflict' }, { code: 'agent_http', retry: 'same' }, /409/],
    ];
    for (const [name, status, error, expected, reason] of REFUSALS) {
      test(`${name} of theirs is a failure with their code and without their words`, async () => {
        server.nextRequestError(status, error);
        const result = await ask({ api });
        failedWith(result, expected);
        assert.match(reasonOf(result), reason);
        assert.doesNotMatch(reasonOf(result), /Ann|Slow|Again/);
      });
    }

    test('of a model that nobody has, say so', async () => {
      const result = await ask({ api });
      failedWith(result, { code: 'agent_http' });
      assert.match(reasonOf(result), /404.*no_fixture_match/);
    });

    test('too long a context is asked once more with the newer half', async () => {
      server.onMessage('weather', { content: 'Sunny.' });
      server.nextRequestError(400, { message: 'Too long', code: 'context_length_exceeded' });
      const { outcome } = await ask({ api });
      assert.equal(outcome.kind === 'reply' && outcome.text, 'Sunny.', JSON.stringify(outcome));
      assert.deepEqual(saidTo(1).slice(1), [HISTORY[1], QUESTION]);
    });

    test('that want a tool run have no answer for a person', async () => {
      server.onMessage('weather', { toolCalls: [{ name: 'get_weather', arguments: '{}' }] });
      const result = await ask({ api });
      failedWith(result, { code: 'agent_contract', retry: 'other' });
      assert.match(reasonOf(result), /tool calls/);
    });

    for (const [name, code, more] of [
      ['the person', 'agent_cancelled', {}],
      ['the deadline', 'agent_timeout', { deadlines: { connectMs: 2_000, firstByteMs: 200, totalMs: 5_000 } }],
    ] as const) {
      test(`a slow answer is cut off by ${name}, and the next one is none the worse`, async (t) => {
        const controller = new AbortController();
        const { promise: over, resolve: end } = Promise.withResolvers<void>();
        t.after(() => end());
        server.onMessage('weather', async () => {
          if (code === 'agent_cancelled') controller.abort();
          await over;
          return { content: 'Too late.' };
        });
        server.onMessage('time', { content: 'Noon.' });
        failedWith(await ask({ api }, { signal: controller.signal, ...more }), { code });
        const { outcome } = await ask({ api }, { text: 'And the time?' });
        assert.equal(outcome.kind === 'reply' && outcome.text, 'Noon.', JSON.stringify(outcome));
      });
    }
  });
}

test('a stored response is gone on with by its name, with the new text alone', async () => {
  server.onTurn(1, 'weather', { content: 'Sunny.' });
  server.onTurn(0, 'tomorrow', { content: 'Rain.' });
  const { outcome } = await ask({ api: 'responses' });
  assert.ok(outcome.kind === 'reply' && typeof outcome.handle?.response === 'string', JSON.stringify(outcome));
  const thread: Thread = { agentId: 'a', handle: outcome.handle, missed: null, at: new Date() };
  const next = await ask({ api: 'responses' }, { text: 'And tomorrow?', thread });
  assert.equal(next.outcome.kind === 'reply' && next.outcome.text, 'Rain.', JSON.stringify(next.outcome));
  assert.match(next.exchange.request, new RegExp(`"previous_response_id":"${outcome.handle.response}"`));
  assert.deepEqual(saidTo(1).slice(1), [['user', 'And tomorrow?']]);
});

test('its models are listed when it is met', async () => {
  const meet = (model: string) =>
    createMeet(peer.http)(
      {
        agent: agentAt({ model }),
        deadlines: { connectMs: 2_000, firstByteMs: 5_000, totalMs: 10_000 },
        signal: new AbortController().signal,
      },
      'health',
    );
  const details = await Promise.all(['gpt-4o', 'nobodys'].map(async (model) => JSON.stringify(await meet(model))));
  assert.match(details[0]!, /gpt-4o among them/);
  assert.match(details[1]!, /nobodys not among them/);
});
