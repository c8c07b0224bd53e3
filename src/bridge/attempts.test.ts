import assert from 'node:assert/strict';
import { test } from 'node:test';
import { someAgent } from '../../test/support/some-agent.ts';
import { type AttemptDeps, Attempts } from './attempts.ts';
import type { Turn } from './store.ts';

const agent = someAgent('a');
const turn = { agentType: 'chat', requiredCapabilities: [], agentId: null } as unknown as Turn;

test('a place that comes when the time of the turn is over is given back, and the agent is not called', async () => {
  for (const [waitedMs, isAsked] of [
    [1_000, true],
    [59_800, false],
    [61_000, false],
  ] as const) {
    let nowMs = 0;
    const left: boolean[] = [];
    const attempts = new Attempts(
      turn,
      {
        turnMs: 60_000,
        deadlines: { connectMs: 1_000, firstByteMs: 5_000, totalMs: 10_000 },
        clock: { now: () => new Date(nowMs), monotonicMs: () => nowMs },
        registry: { agents: () => [agent] },
        admission: {
          async admit() {
            nowMs += waitedMs;
            return { agent, isTrial: false, leave: (saidNothing: boolean) => void left.push(saidNothing) };
          },
        },
      } as unknown as AttemptDeps,
      new AbortController().signal,
      () => {},
    );
    assert.deepEqual([(await attempts.next())?.agent.id, left], isAsked ? ['a', []] : [undefined, [true]]);
  }
});
