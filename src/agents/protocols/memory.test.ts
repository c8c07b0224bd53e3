import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent } from '../agent.ts';
import { createMemory } from './memory.ts';

const agent = (id: string, more: object = {}) =>
  ({ id, endpointUrl: 'https://a.example/', metadata: {}, ...more }) as unknown as Agent;

test('what is known of an agent is of its address and settings, and expires', () => {
  let nowMs = 0;
  const memory = createMemory<string>(() => nowMs);
  memory.keep(agent('a'), 'modern');
  assert.equal(memory.recall(agent('a')), 'modern');
  assert.equal(memory.recall(agent('b')), null);
  assert.equal(memory.recall(agent('a', { endpointUrl: 'https://b.example/' })), null);
  assert.equal(memory.recall(agent('a', { metadata: { tool: 'x' } })), null);
  nowMs = 5 * 60_000;
  assert.equal(memory.recall(agent('a')), null);
});

test('it is bounded, and the oldest goes first', () => {
  const memory = createMemory<number>(() => 0);
  for (let n = 0; n <= 1_000; n++) memory.keep(agent(`agent-${n}`), n);
  assert.equal(memory.recall(agent('agent-0')), null);
  assert.equal(memory.recall(agent('agent-1')), 1);
  memory.forget(agent('agent-1'));
  assert.equal(memory.recall(agent('agent-1')), null);
});
