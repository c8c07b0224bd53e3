import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionMoves } from './session-moves.ts';

for (const [failovers, reason, words] of [
  [1, null, 'moved once'],
  [1, 'agent_timeout', 'moved once, because of agent_timeout'],
  [1, 'gone', 'moved once, as its agent was switched off or gone'],
  [2, 'unhealthy', 'moved 2 times, last as its agent was unhealthy or fit no longer'],
  [3, 'moved', 'moved 3 times, last by hand'],
] as const) {
  test(words, () => assert.equal(sessionMoves({ failovers, last_failover_reason: reason }), words));
}
