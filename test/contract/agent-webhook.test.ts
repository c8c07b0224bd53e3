// Agents with an interface of their own: templates, paths, and the presets for those that many people have.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AgentCall, AgentResult } from '../../src/agents/agent.ts';
import { settleSettings } from '../../src/agents/protocols/settings.ts';
import {
  type Behaviour,
  callTo,
  failedWith,
  json,
  type Peer,
  raw,
  reasonOf,
  startPeer,
} from '../support/protocol-peer.ts';

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

const ask = (behaviour: Behaviour, metadata: object, more: Partial<AgentCall> = {}) => {
  const settled = settleSettings(null, { ...metadata });
  return peer.invoke(
    callTo(peer.agent(settled.protocol, { metadata: settled.metadata }), { media: [], ...more }),
    behaviour,
  );
};
const custom = (more: object = {}) => ({
  protocol: 'webhook',
  body: { q: '{{text}}', id: '{{conversationId}}' },
  ...more,
});
const askCustom = (behaviour: Behaviour, more: object = {}, call: Partial<AgentCall> = {}) =>
  peer.invoke(callTo(peer.agent('webhook', { metadata: custom(more) }), { media: [], ...call }), behaviour);
const textOf = ({ outcome }: AgentResult) => (outcome.kind === 'reply' ? outcome.text : JSON.stringify(outcome));
const sent = () => JSON.parse(peer.questions[0]!.body);

test('the n8n chat trigger', async () => {
  const result = await ask(json({ output: 'Sunny.' }), { preset: 'n8n-chat' });
  assert.equal(textOf(result), 'Sunny.');
  assert.deepEqual(sent(), { action: 'sendMessage', sessionId: 'session-1', chatInput: 'What is the weather?' });
  assert.equal(textOf(await ask(json([{ text: 'As a list.' }]), { preset: 'n8n-chat' })), 'As a list.');
});

test('an n8n webhook; that its workflow was started is no answer', async () => {
  assert.equal(textOf(await ask(json([{ reply: 'Sunny.' }]), { preset: 'n8n-webhook' })), 'Sunny.');
  assert.deepEqual(sent(), {
    message: 'What is the weather?',
    session_id: 'session-1',
    message_id: 'turn-1',
    conversation_history: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello!' },
    ],
    media: [],
  });
  failedWith(await ask(json({ message: 'Workflow was started' }), { preset: 'n8n-webhook' }), {
    code: 'agent_contract',
  });
});

test('LangGraph', async () => {
  const state = {
    messages: [
      { type: 'human', content: 'x' },
      { type: 'ai', content: [{ type: 'text', text: 'Sunny.' }] },
    ],
  };
  const metadata = { preset: 'langgraph', assistant_id: 'weather' };
  assert.equal(textOf(await ask(json(state), metadata)), 'Sunny.');
  const { url, headers } = peer.questions[0]!;
  assert.deepEqual([url, headers['x-api-key'], headers.authorization], ['/v1/runs/wait', 'sk-secret', undefined]);
  assert.deepEqual(sent(), {
    assistant_id: 'weather',
    input: {
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello!' },
        { role: 'user', content: 'What is the weather?' },
      ],
    },
  });
  failedWith(await ask(json({ __error__: { message: 'boom' } }), metadata), { code: 'agent_contract' });
});

test('settings beside a preset win over it', () => {
  const { metadata } = settleSettings(null, { preset: 'n8n-chat', reply: 'data.said' });
  assert.equal(metadata.reply, 'data.said');
  assert.ok(metadata.body);
});

test('a handle that the agent names is kept and sent', async () => {
  const first = await askCustom(json({ text: 'Hi', chat: { id: 7 } }), { conversation: 'chat.id' });
  const handle = first.outcome.kind === 'reply' ? first.outcome.handle : undefined;
  assert.deepEqual(handle, { conversation: '7' });
  const thread = { agentId: 'a', handle: handle!, missed: null, at: new Date() };
  await askCustom(json({ text: 'Hi' }), { conversation: 'chat.id' }, { thread });
  assert.deepEqual(sent(), { q: 'What is the weather?', id: '7' });
});

const ANSWERS: [string, Behaviour, object, string | RegExp][] = [
  ['a field that says reply', json({ answer: 'A' }), {}, 'A'],
  ['a text that is JSON', json('Just so.'), {}, 'Just so.'],
  ['a path', json({ data: [{ said: 'deep' }] }), { reply: 'data.0.said' }, 'deep'],
  ['the first path that leads somewhere', json({ b: 'second' }), { reply: ['a', 'b'] }, 'second'],
  ['a path that leads nowhere', json({ a: 1 }), { reply: 'a.b' }, /no text at a\.b/],
  ['a path into a list by a name', json({ a: [{ b: 'x' }] }), { reply: 'a.b' }, /no text at/],
  ['a path to what every object has', json({}), { reply: 'constructor.name' }, /no text at/],
  ['no field that is known', json({ status: 'ok' }), {}, /metadata\.reply/],
  ['several items', json([{ text: 'a' }, { text: 'b' }]), {}, /metadata\.reply/],
  ['a plain text', raw('hello', 200, { 'content-type': 'text/plain' }), {}, /not JSON/],
];
for (const [name, behaviour, more, expected] of ANSWERS) {
  test(`an answer with ${name}`, async () => {
    const result = await askCustom(behaviour, more);
    if (typeof expected === 'string') return assert.equal(textOf(result), expected);
    failedWith(result, { code: 'agent_contract', retry: 'other' });
    assert.match(reasonOf(result), expected);
  });
}

test('202 defers', async () => {
  assert.deepEqual((await askCustom(raw('', 202))).outcome, { kind: 'deferred' });
});

test('an agent whose settings were broken since is not called at all', async () => {
  failedWith(await askCustom(json({ text: 'never' }), { body: 'x' }), { code: 'agent_contract', retry: 'other' });
  assert.equal(peer.questions.length, 0);
});
