import assert from 'node:assert/strict';
import { test } from 'node:test';
import { someAgent } from '../../test/support/some-agent.ts';
import type { AgentCall } from '../agents/agent.ts';
import { type AttemptDeps, Attempts } from './attempts.ts';
import type { Turn } from './store.ts';

const agent = someAgent('a');
const turn = { agentType: 'chat', requiredCapabilities: [], agentId: null, texts: [], history: [] } as unknown as Turn;
const deadlines = { connectMs: 1_000, firstByteMs: 5_000, totalMs: 10_000 };

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
        deadlines,
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

test('the time that an agent has named is waited for only where it may be asked again then', async () => {
  for (const [code, again] of [
    ['agent_busy', 'a'],
    ['agent_http', undefined],
  ] as const) {
    let nowMs = 0;
    const exchange = { target: '', status: 500, request: '', response: '', startedAt: new Date(0), durationMs: 1 };
    const attempts = new Attempts(
      turn,
      {
        turnMs: 60_000,
        deadlines,
        clock: { now: () => new Date(nowMs), monotonicMs: () => nowMs },
        registry: { agents: () => [agent] },
        admission: { admit: async () => ({ agent, isTrial: false, leave() {} }) },
        capacity: {
          async roomAt() {
            nowMs += 1_000;
          },
        },
        invoke: async () => ({
          outcome: { kind: 'failed', code, reason: '', retry: 'other', afterMs: 5_000 },
          exchange,
        }),
        health: { recordFailure() {} },
        metrics: { agentSeconds: { observe() {} } },
      } as unknown as AttemptDeps,
      new AbortController().signal,
      () => {},
    );
    await attempts.call((await attempts.next())!);
    assert.equal((await attempts.next())?.agent.id, again, code);
    assert.equal(nowMs, again === undefined ? 0 : 5_000, code);
  }
});

test('a trial is given the time that its agent is known to take, and else five seconds', async () => {
  const long = { connectMs: 1_000, firstByteMs: 20_000, totalMs: 30_000 };
  for (const [known, expected] of [
    [{ responseMs: 500 }, 5_000],
    [{ responseMs: 7_000 }, 14_000],
    [{ responseMs: 15_000 }, 20_000],
    [{ responseMs: 1_000, p99Ms: 3_000 }, 12_000],
  ] as const) {
    const tried = { ...agent, ...known, successRate: 0.9 };
    const asked: number[] = [];
    const attempts = new Attempts(
      turn,
      {
        turnMs: 60_000,
        deadlines: long,
        clock: { now: () => new Date(0), monotonicMs: () => 0 },
        registry: { agents: () => [tried, someAgent('b')] },
        async invoke(call: AgentCall) {
          asked.push(call.deadlines.firstByteMs);
          return { outcome: { kind: 'deferred' }, exchange: { request: '', response: '' } };
        },
        health: { recordFailure() {} },
        metrics: { agentSeconds: { observe() {} } },
      } as unknown as AttemptDeps,
      new AbortController().signal,
      () => {},
    );
    await attempts.call({ agent: tried, isTrial: true, leave() {} });
    assert.deepEqual(asked, [expected]);
  }
});
