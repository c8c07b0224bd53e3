// OpenAI-compatible endpoints: what they are asked, and what their answers mean.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AgentResult } from '../../src/agents/agent.ts';
import { completion } from '../support/protocol-dresses.ts';
import { type Behaviour, callTo, failedWith, json, type Peer, startPeer } from '../support/protocol-peer.ts';

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

test('openai: the request carries instructions, history, media and the credential', async () => {
  await peer.invoke(callTo(peer.agent('openai')), json(completion()));
  const { headers, body, url } = peer.questions[0]!;
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
  const agent = peer.agent('openai', {
    endpointUrl: `http://127.0.0.1:${peer.port}/base/chat/completions?api-version=1`,
    credential: null,
    metadata: {
      model: 'm-1',
      instructions: 'Be kind.',
      max_tokens_field: 'max_completion_tokens',
      max_tokens: 900,
      extra: { temperature: 0, stream: true, messages: [] },
    },
  });
  const result = await peer.invoke(callTo(agent, { media: [] }), json(completion()));
  const { headers, body, url } = peer.questions[0]!;
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
    const { outcome } = await peer.invoke(callTo(peer.agent('openai')), json(body));
    if (text === null) failedWith({ outcome } as AgentResult, { code: 'agent_contract', retry: 'other' });
    else assert.deepEqual(outcome, { kind: 'reply', text, mediaUrls: [], endSession: false });
  });
}

test('openai: statuses that pass by themselves may be tried again', async () => {
  for (const status of [408, 409]) {
    failedWith(await peer.invoke(callTo(peer.agent('openai')), json({ error: { code: 'conflict' } }, status)), {
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
  const result = await peer.invoke(callTo(peer.agent('openai')), (request, response, seen) =>
    answers.shift()!(request, response, seen),
  );
  assert.equal(result.outcome.kind, 'reply');
  const roles = peer.questions.map((one) =>
    JSON.parse(one.body).messages.map((message: { role: string }) => message.role),
  );
  assert.deepEqual(roles, [
    ['system', 'user', 'assistant', 'user'],
    ['system', 'assistant', 'user'],
  ]);
  failedWith(
    await peer.invoke(callTo(peer.agent('openai')), json({ error: { code: 'context_length_exceeded' } }, 400)),
    {
      code: 'agent_http',
    },
  );
  assert.equal(peer.questions.length, 2);
});

test('openai: a model that refuses max_tokens is asked once more with its own name for it, and then at once', async () => {
  const refusal = (message: string, param: string | null) =>
    json({ error: { message, type: 'invalid_request_error', param, code: param && 'unsupported_parameter' } }, 400);
  const limits = () =>
    peer.questions.map(({ body }) => {
      const { max_tokens, max_completion_tokens } = JSON.parse(body);
      return [max_tokens, max_completion_tokens];
    });
  const reasoning =
    (refuse: Behaviour): Behaviour =>
    (request, response, seen) =>
      ('max_tokens' in JSON.parse(seen.body) ? refuse : json(completion()))(request, response, seen);
  const agents = {
    official: refusal("Unsupported parameter: 'max_tokens'.", 'max_tokens'),
    imitated: refusal('Use max_completion_tokens instead.', null),
  };
  for (const [model, refuse] of Object.entries(agents)) {
    const call = callTo(peer.agent('openai', { metadata: { model } }));
    assert.equal((await peer.invoke(call, reasoning(refuse))).outcome.kind, 'reply');
    // Thoughts count, so the budget of the reply alone would be too little.
    assert.deepEqual(limits(), [
      [480, undefined],
      [undefined, 2_000],
    ]);
    assert.equal((await peer.invoke(call, reasoning(refuse))).outcome.kind, 'reply');
    assert.deepEqual(limits(), [[undefined, 2_000]]);
  }
  const chosen = callTo(peer.agent('openai', { metadata: { model: 'chosen', max_tokens: 900 } }));
  await peer.invoke(chosen, reasoning(agents.official));
  assert.deepEqual(limits(), [
    [900, undefined],
    [undefined, 900],
  ]);
  // Too many of them is another matter.
  const tooMany = json(
    { error: { message: 'max_tokens is too large', param: 'max_tokens', code: 'invalid_value' } },
    400,
  );
  failedWith(await peer.invoke(callTo(peer.agent('openai', { metadata: { model: 'small' } })), tooMany), {
    code: 'agent_http',
  });
  assert.equal(peer.questions.length, 1);
});
