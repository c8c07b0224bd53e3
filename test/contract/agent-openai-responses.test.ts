// The Responses API: how a conversation is gone on with, and what answers mean.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AgentCall, AgentResult, Thread } from '../../src/agents/agent.ts';
import { response, said } from '../support/protocol-dresses.ts';
import {
  at,
  type Behaviour,
  callTo,
  failedWith,
  json,
  type Peer,
  reasonOf,
  startPeer,
} from '../support/protocol-peer.ts';

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

const ask = (behaviour: Behaviour, more: Partial<AgentCall> = {}, metadata: object = {}) =>
  peer.invoke(
    callTo(peer.agent('openai', { metadata: { api: 'responses', ...metadata } }), { media: [], ...more }),
    behaviour,
  );
const sunny = json(response({ output: [said('Sunny.')] }));
const asked = (n = 0) => JSON.parse(peer.questions[n]!.body);
const textOf = ({ outcome }: AgentResult) => (outcome.kind === 'reply' ? outcome.text : JSON.stringify(outcome));
const thread = (missed: Thread['missed'] = null): Thread => ({
  agentId: 'a',
  handle: { response: 'response-0' },
  missed,
  at: new Date(at.getTime() + 1_000),
});

const HISTORY = [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hello!' },
];
const QUESTION = { role: 'user', content: 'What is the weather?' };

test('the first question carries the history, and the response is kept', async () => {
  const { outcome } = await ask(sunny, {}, { model: 'm-1', instructions: 'Be kind.', extra: { store: true } });
  assert.equal(outcome.kind, 'reply');
  assert.deepEqual(outcome.kind === 'reply' && outcome.handle, { response: 'response-1' });
  assert.equal(peer.questions[0]!.url, '/v1/responses');
  assert.deepEqual(asked(), {
    model: 'm-1',
    max_output_tokens: 2_000,
    store: true,
    instructions: 'Be kind.',
    input: [...HISTORY, QUESTION],
    stream: false,
  });
});

test('the next one goes on with it, with what was said since and nothing else', async () => {
  await ask(sunny, { thread: thread() });
  assert.deepEqual([asked().previous_response_id, asked().input], ['response-0', [QUESTION]]);
  const reminder = {
    role: 'assistant' as const,
    content: 'Reminder: umbrella',
    timestamp: new Date(at.getTime() + 2_000),
  };
  const history = [...callTo(peer.agent('openai')).history, reminder];
  await ask(sunny, { thread: thread(), history });
  assert.deepEqual(asked().input, [{ role: 'assistant', content: 'Reminder: umbrella' }, QUESTION]);
});

test('a response that misses a turn is not gone on with: the history here is the truth', async () => {
  for (const missed of ['unanswered', 'answered elsewhere'] as const) {
    await ask(sunny, { thread: thread(missed) });
    assert.deepEqual([asked().previous_response_id, asked().input], [undefined, [...HISTORY, QUESTION]]);
  }
});

test('a response that the endpoint has forgotten is replaced by the history, once', async () => {
  for (const [error, status] of [
    [{ code: 'previous_response_not_found', message: 'no' }, 400],
    [{ param: 'previous_response_id', message: 'unknown' }, 404],
    [{ message: "Previous response with id 'x' not found." }, 400],
  ] as const) {
    const answers = [json({ error }, status), sunny];
    const result = await ask((...args) => answers.shift()!(...args), { thread: thread() });
    assert.equal(textOf(result), 'Sunny.');
    assert.deepEqual([asked(1).previous_response_id, asked(1).input], [undefined, [...HISTORY, QUESTION]]);
  }
  failedWith(await ask(json({ error: { code: 'invalid_model' } }, 400), { thread: thread() }), { code: 'agent_http' });
  assert.equal(peer.questions.length, 1);
});

test('too long a context is asked once more with the newer half of the history', async () => {
  const answers = [json({ error: { code: 'context_length_exceeded' } }, 400), sunny];
  assert.equal(textOf(await ask((...args) => answers.shift()!(...args), { thread: thread() })), 'Sunny.');
  assert.deepEqual([asked(1).previous_response_id, asked(1).input], [undefined, [HISTORY[1], QUESTION]]);
});

test('what the endpoint does not store has no handle', async () => {
  const { outcome } = await ask(sunny, {}, { extra: { store: false } });
  assert.equal(outcome.kind === 'reply' && outcome.handle, undefined);
});

const ANSWERS: [string, object, string | RegExp][] = [
  ['thoughts and a message', { output: [{ type: 'reasoning', summary: [] }, said('Sunny.')] }, 'Sunny.'],
  ['a message in parts', { output: [said('Sun'), said('ny.')] }, 'Sunny.'],
  ['a refusal', { output: [said('', { content: [{ type: 'refusal', refusal: 'I cannot.' }] })] }, 'I cannot.'],
  [
    'one that was cut',
    { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, output: [said('Sunny')] },
    'Sunny …',
  ],
  ['thoughts alone', { status: 'incomplete', output: [{ type: 'reasoning' }] }, /no text \(status incomplete/],
  ['a tool call', { output: [{ type: 'function_call', name: 'x', arguments: '{}' }] }, /tool calls/],
  [
    'a failure',
    { status: 'failed', error: { code: 'server_error', message: 'Ann' }, output: [] },
    /failed, code server_error\.$/,
  ],
  ['nothing', { output: [] }, /no text/],
];
for (const [name, body, expected] of ANSWERS) {
  test(`a response with ${name}`, async () => {
    const result = await ask(json(response(body)));
    if (typeof expected === 'string') return assert.equal(textOf(result), expected);
    failedWith(result, { kind: 'failed', retry: 'other' });
    assert.match(reasonOf(result), expected);
  });
}
