import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AgentStatus } from './agent.ts';
import { afterFailure, afterSuccess, type HealthState } from './health.ts';

const now = new Date('2026-01-01T00:00:00Z');
const well: HealthState = { status: 'active', healthScore: 100, consecutiveFailures: 0, coolingUntil: null };
const pauseMs = (state: HealthState) => (state.coolingUntil?.getTime() ?? 0) - now.getTime();

test('three failures in a row disable an agent; one success brings it back', () => {
  const states = [well];
  for (let i = 0; i < 4; i++) states.push(afterFailure(states.at(-1)!, 'network', now));
  assert.deepEqual(
    states.map((state) => [state.status, state.healthScore, state.consecutiveFailures]),
    [
      ['active', 100, 0],
      ['active', 80, 1],
      ['degraded', 60, 2],
      ['disabled', 40, 3],
      ['disabled', 20, 4],
    ],
  );
  assert.deepEqual(states.slice(1).map(pauseMs), [2_000, 4_000, 8_000, 16_000]);
  assert.deepEqual(afterSuccess(states.at(-1)!), { ...well, healthScore: 70 });
});

test('a busy agent pauses shortly and is not counted as failing', () => {
  const busy = afterFailure(well, 'rate_limit', now);
  assert.deepEqual([busy.status, busy.healthScore, busy.consecutiveFailures, pauseMs(busy)], ['active', 95, 0, 2_000]);
});

const anyState = fc.record({
  status: fc.constantFrom<AgentStatus>('registered', 'active', 'degraded', 'disabled', 'deactivated'),
  healthScore: fc.integer({ min: 0, max: 100 }),
  consecutiveFailures: fc.nat(1_000_000),
  coolingUntil: fc.option(fc.integer({ min: -60_000, max: 60_000 }).map((ms) => new Date(now.getTime() + ms))),
});

test('property: a failure never improves anything, a success never worsens anything', () => {
  fc.assert(
    fc.property(anyState, fc.constantFrom('network', 'timeout', 'agent_error', 'rate_limit'), (state, category) => {
      const worse = afterFailure(state, category, now);
      assert.ok(worse.healthScore <= state.healthScore && worse.healthScore >= 0);
      assert.ok(worse.consecutiveFailures >= state.consecutiveFailures);
      assert.ok(pauseMs(worse) >= 2_000 && pauseMs(worse) <= 60_000);
      assert.ok(worse.coolingUntil! >= (state.coolingUntil ?? now));
      const better = afterSuccess(state);
      assert.ok(better.healthScore >= Math.max(70, state.healthScore) && better.healthScore <= 100);
      assert.deepEqual([better.consecutiveFailures, better.coolingUntil], [0, null]);
      for (const next of [worse, better]) {
        assert.equal(next.status === 'deactivated', state.status === 'deactivated');
      }
      if (state.status !== 'deactivated') assert.equal(better.status, 'active');
    }),
  );
});
