import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentCall } from '../../agent.ts';
import { mcpSettings } from './settings.ts';
import { argumentsFor, chooseTool, type ListedTool } from './tool-choice.ts';

const text = { type: 'string' };
const list = (items: object = {}) => ({ type: 'array', items });
const tool = (
  name: string,
  properties: Record<string, object>,
  required: readonly string[] = Object.keys(properties),
  annotations?: ListedTool['annotations'],
): ListedTool => ({ name, inputSchema: { properties, required }, annotations });

const settings = (more: object = {}) => mcpSettings.parse(more);

const call = {
  text: 'And tomorrow?',
  messageId: 'question-1',
  conversationId: 'pair-1',
  sessionId: 'session-1',
  media: [{ url: 'https://media.example/1.jpg', contentType: 'image/jpeg' }],
  history: [
    { role: 'user', content: 'Weather?', timestamp: new Date(0) },
    { role: 'assistant', content: 'Sunny.', timestamp: new Date(0) },
  ],
  replyBudget: { maxCharacters: 480, maxSegments: 3 },
} as unknown as AgentCall;

const words = 'And tomorrow?\nhttps://media.example/1.jpg';
const history = [
  { role: 'user', content: 'Weather?' },
  { role: 'assistant', content: 'Sunny.' },
];

const CHOSEN: [string, ListedTool[], object, string, object][] = [
  [
    'the only tool that takes a text',
    [tool('x', { message: text }), tool('sum', { a: { type: 'number' } })],
    {},
    'x',
    { message: words },
  ],
  [
    'the plainest name of several',
    [tool('ask', { question: text }), tool('search', { query: text }), tool('chat', { prompt: text })],
    {},
    'chat',
    { prompt: words },
  ],
  [
    'a name by pattern before one that says nothing',
    [tool('search', { query: text }), tool('ask_support', { message: text })],
    {},
    'ask_support',
    { message: words },
  ],
  [
    'never one that says it destroys',
    [tool('chat', { message: text }, undefined, { destructiveHint: true }), tool('lookup', { query: text })],
    {},
    'lookup',
    { query: words },
  ],
  [
    'one that destroys when it is named',
    [tool('chat', { message: text }, undefined, { destructiveHint: true }), tool('ask', { query: text })],
    { tool: 'chat' },
    'chat',
    { message: words },
  ],
  [
    'a text with another name when it is the only required one',
    [tool('x', { utterance: text, hint: text }, ['utterance'])],
    {},
    'x',
    { utterance: words },
  ],
  [
    'VoltAgent',
    [tool('agent_support', { prompt: text, conversationId: text, userId: text }, ['prompt'])],
    {},
    'agent_support',
    { prompt: words, conversationId: 'ours' },
  ],
  ['Mastra', [tool('ask_weather', { message: text })], {}, 'ask_weather', { message: words }],
  [
    'Perplexity',
    [tool('perplexity_ask', { messages: list({ properties: { role: text, content: text } }) })],
    {},
    'perplexity_ask',
    { messages: [...history, { role: 'user', content: words }] },
  ],
  [
    'Glean',
    [tool('chat', { message: text, context: list(text) }, ['message'])],
    {},
    'chat',
    { message: words, context: ['user: Weather?', 'assistant: Sunny.'] },
  ],
  [
    'Flowise',
    [tool('flow', { question: text, session_id: text })],
    {},
    'flow',
    { question: words, session_id: 'ours' },
  ],
  [
    'a history that is wanted as text',
    [tool('chat', { message: text, history: text })],
    {},
    'chat',
    { message: words, history: 'user: Weather?\nassistant: Sunny.' },
  ],
  [
    'a text that may be null',
    [tool('chat', { message: { anyOf: [text, { type: 'null' }] } })],
    {},
    'chat',
    { message: words },
  ],
  [
    'n8n, by template',
    [tool('call_agent', { agentId: text, request: { type: 'object' } })],
    {
      tool: 'call_agent',
      arguments: { agentId: 'a1', request: { type: 'message', message: '{{text}}', sessionId: '{{conversationId}}' } },
    },
    'call_agent',
    { agentId: 'a1', request: { type: 'message', message: words, sessionId: 'ours' } },
  ],
  [
    'everything a template may say',
    [tool('x', {})],
    {
      tool: 'x',
      arguments: {
        list: '{{history}}',
        all: '{{ messages }}',
        line: '{{from}}/{{messageId}} {{maxCharacters}}',
        n: '{{maxCharacters}}',
        media: ['{{media}}'],
        say: '{{transcript}}',
        keep: 7,
      },
    },
    'x',
    {
      list: history,
      all: [...history, { role: 'user', content: words }],
      line: 'pair-1/question-1 480',
      n: 480,
      media: [['https://media.example/1.jpg']],
      say: 'They: Weather?\nYou: Sunny.',
      keep: 7,
    },
  ],
];

for (const [name, tools, chosen, expected, args] of CHOSEN) {
  test(`chosen: ${name}`, () => {
    const choice = chooseTool(tools, settings(chosen));
    assert.ok('plan' in choice, JSON.stringify(choice));
    assert.equal(choice.plan.name, expected);
    assert.deepEqual(argumentsFor(choice.plan, call, 'ours'), args);
  });
}

const REFUSED: [string, ListedTool[], object, RegExp][] = [
  ['two that say nothing', [tool('alpha', { query: text }), tool('beta', { text })], {}, /alpha, beta.*metadata\.tool/],
  [
    'two that match a pattern',
    [tool('ask_sales', { message: text }), tool('agent_help', { message: text })],
    {},
    /ask_sales, agent_help/,
  ],
  ['none at all', [], {}, /no tools/],
  ['no text', [tool('sum', { a: { type: 'number' } })], {}, /sum/],
  ['two texts with names of their own', [tool('x', { subject: text, verb: text })], {}, /x has no required text/],
  [
    'a choice of words is no message',
    [tool('x', { mode: { type: 'string', enum: ['a'] } })],
    {},
    /x has no required text/,
  ],
  [
    'something only a template can fill',
    [tool('chat', { message: text, tenant: text })],
    {},
    /tenant.*metadata\.arguments/,
  ],
  ['a name that is not there', [tool('chat', { message: text })], { tool: 'ask' }, /no tool "ask".*chat/],
  ['only one that destroys', [tool('wipe', { message: text }, undefined, { destructiveHint: true })], {}, /wipe/],
];

for (const [name, tools, chosen, reason] of REFUSED) {
  test(`refused: ${name}`, () => {
    const choice = chooseTool(tools, settings(chosen));
    assert.ok('refusal' in choice, JSON.stringify(choice));
    assert.match(choice.refusal, reason);
  });
}

test('a list of ten thousand tools is named by its first ones, and what a name smuggles in is left out', () => {
  const many = Array.from({ length: 10_000 }, (_, n) => tool(`t${n}\n<b>`, { query: text }));
  const choice = chooseTool(many, settings());
  assert.ok('refusal' in choice);
  assert.match(choice.refusal, /t0b, t1b.*and 9990 more/);
  assert.ok(choice.refusal.length < 300);
});

test('a template with a name that is not known is refused, and those that are known are said', () => {
  const parsed = mcpSettings.safeParse({ arguments: { a: ['{{txt}}', '{{text}}'] } });
  assert.equal(parsed.success, false);
  assert.match(parsed.error?.issues[0]?.message ?? '', /\{\{txt\}\}, but the known names are text, /);
});
