import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AgentStatus, Circuit } from './agent.ts';
import {
  afterCounting,
  afterFailure,
  afterProbe,
  afterSuccess,
  HEALTHY_SCORE,
  type HealthState,
  isInTrouble,
  scoreOf,
  WELL,
} from './health.ts';

const now = new Date('2026-01-01T00:00:00Z');
const pauseMs = (state: HealthState) => (state.coolingUntil?.getTime() ?? 0) - now.getTime();
const fail = (state: HealthState) => afterFailure(state, 'network', now);

/** The state and what it became, step by step. */
function steps(first: HealthState, ...each: ((state: HealthState) => HealthState)[]): HealthState[] {
  const states = [first];
  for (const step of each) states.push(step(states.at(-1)!));
  return states;
}

test('three failures in a row disable an agent, five open its circuit, and the pause doubles', () => {
  const states = steps(WELL, fail, fail, fail, fail, fail, fail);
  assert.deepEqual(
    states.map((state) => [state.status, state.healthScore, state.consecutiveFailures, state.circuit]),
    [
      ['active', 100, 0, 'closed'],
      ['active', 77, 1, 'closed'],
      ['degraded', 57, 2, 'closed'],
      ['disabled', 40, 3, 'closed'],
      ['disabled', 26, 4, 'closed'],
      ['disabled', 15, 5, 'open'],
      ['disabled', 6, 6, 'open'],
    ],
  );
  assert.deepEqual(states.slice(1).map(pauseMs), [2_000, 4_000, 8_000, 16_000, 32_000, 60_000]);
});

test('one success closes the circuit; the agent is trusted with twice as many calls after each', () => {
  const out = steps(WELL, fail, fail, fail, fail, fail).at(-1)!;
  const states = steps(out, ...Array.from({ length: 6 }, () => afterSuccess));
  assert.deepEqual(
    states.map((state) => [state.status, state.healthScore, state.trickle, state.circuit]),
    [
      ['disabled', 15, 1, 'open'],
      ['degraded', 63, 2, 'closed'],
      ['degraded', 67, 4, 'closed'],
      ['active', 70, 8, 'closed'],
      ['active', 73, 16, 'closed'],
      ['active', 76, null, 'closed'],
      ['active', 78, null, 'closed'],
    ],
  );
});

test('a long outage costs no longer recovery than a short one', () => {
  const short = steps(WELL, ...Array.from({ length: 5 }, () => fail)).at(-1)!;
  const long = steps(WELL, ...Array.from({ length: 500 }, () => fail)).at(-1)!;
  assert.equal(afterSuccess(long).healthScore, afterSuccess(short).healthScore);
});

test('while it is trusted with a trickle, one failure disables it again, and the pause goes on from where it was', () => {
  const out = steps(WELL, fail, fail, fail).at(-1)!;
  const again = fail(afterSuccess(out));
  assert.deepEqual(
    [again.status, again.consecutiveFailures, again.trickle, pauseMs(again)],
    ['disabled', 1, 1, 16_000],
  );
});

test('an agent that alternates does not flap: it stays unhealthy, and its pauses grow', () => {
  let state = WELL;
  for (let n = 0; n < 40; n++) state = n % 2 === 0 ? fail(state) : afterSuccess(state);
  const seen: HealthState[] = [];
  for (let n = 0; n < 20; n++) {
    state = n % 2 === 0 ? fail(state) : afterSuccess(state);
    seen.push(state);
  }
  assert.ok(seen.every((one) => one.healthScore < HEALTHY_SCORE && one.status !== 'active'));
  assert.ok(seen.filter((one) => one.coolingUntil !== null).every((one) => pauseMs(one) === 60_000));
});

test('a busy agent pauses shortly and is not counted as failing', () => {
  const busy = afterFailure(WELL, 'rate_limit', now);
  assert.deepEqual([busy.status, busy.healthScore, busy.consecutiveFailures, pauseMs(busy)], ['active', 95, 0, 2_000]);
});

test('a slow agent scores less: 70 where one answer in twenty takes longer than 15 seconds', () => {
  const at = (p95Ms: number | null) => afterCounting(WELL, p95Ms).healthScore;
  assert.deepEqual(
    [null, 300, 1_000, 2_000, 5_000, 15_000, 30_000, 10 ** 9].map(at),
    [100, 100, 100, 92, 82, 70, 62, 50],
  );
});

test('three bad probes disable an agent that nobody calls, and a good one brings it back with a trickle', () => {
  const bad = (state: HealthState) => afterProbe(state, false);
  const states = steps(WELL, bad, bad, bad, (state) => afterProbe(state, true));
  assert.deepEqual(
    states.map((state) => [state.status, state.healthScore, state.trickle]),
    [
      ['active', 100, null],
      ['active', 85, null],
      ['active', 70, null],
      ['disabled', 55, 1],
      ['active', 100, 1],
    ],
  );
});

test('a good probe heals nothing that calls have found', () => {
  const out = steps(WELL, fail, fail, fail).at(-1)!;
  const probed = afterProbe(out, true);
  assert.deepEqual(probed, out);
});

const anyState: fc.Arbitrary<HealthState> = fc.record({
  status: fc.constantFrom<AgentStatus>('registered', 'active', 'degraded', 'disabled', 'deactivated'),
  healthScore: fc.integer({ min: 0, max: 100 }),
  consecutiveFailures: fc.nat(1_000_000),
  coolingUntil: fc.option(fc.integer({ min: -60_000, max: 60_000 }).map((ms) => new Date(now.getTime() + ms))),
  successRate: fc.double({ min: 0, max: 1, noNaN: true }),
  p95Ms: fc.option(fc.double({ min: 0, max: 10_000_000, noNaN: true })),
  probeFailures: fc.nat(1_000_000),
  backoff: fc.nat(10),
  circuit: fc.constantFrom<Circuit>('closed', 'open', 'half_open'),
  trickle: fc.option(fc.integer({ min: 1, max: 31 })),
  trialUntil: fc.option(fc.constant(new Date(now.getTime() + 30_000))),
});
const anyCategory = fc.constantFrom('network', 'timeout', 'agent_error', 'rate_limit', 'authentication');
const isBounded = (score: number) => Number.isInteger(score) && score >= 0 && score <= 100;

test('property: a failure never improves anything, a success never worsens anything, and all of it is bounded', () => {
  fc.assert(
    fc.property(anyState, anyCategory, fc.boolean(), (state, category, wasTrial) => {
      const worse = afterFailure(state, category, now, wasTrial);
      assert.ok(isBounded(worse.healthScore) && worse.healthScore <= state.healthScore);
      assert.ok(worse.consecutiveFailures >= state.consecutiveFailures && worse.successRate <= state.successRate);
      assert.ok(pauseMs(worse) >= 2_000 && pauseMs(worse) <= 60_000);
      assert.ok(worse.coolingUntil! >= (state.coolingUntil ?? now));
      if (state.circuit !== 'closed') assert.equal(worse.circuit, 'open');

      const better = afterSuccess(state);
      assert.ok(isBounded(better.healthScore) && better.healthScore >= state.healthScore);
      assert.ok(better.successRate >= state.successRate && better.successRate <= 1);
      assert.deepEqual(
        [better.consecutiveFailures, better.probeFailures, better.coolingUntil, better.circuit],
        [0, 0, null, 'closed'],
      );

      const sick = afterProbe(state, false);
      assert.ok(isBounded(sick.healthScore) && sick.healthScore <= state.healthScore);
      for (const next of [worse, better, sick, afterProbe(state, true), afterCounting(state, 5_000)])
        assert.equal(next.status === 'deactivated', state.status === 'deactivated');
    }),
  );
});

test('property: a good probe never makes an agent healthy whose last calls failed three times', () => {
  fc.assert(
    fc.property(anyState, fc.array(fc.boolean(), { maxLength: 20 }), (state, probes) => {
      fc.pre(state.status !== 'deactivated');
      let next = { ...state, consecutiveFailures: Math.max(3, state.consecutiveFailures) };
      for (const isUp of probes) {
        next = afterProbe(next, isUp) as typeof next;
        assert.equal(next.status, 'disabled');
        assert.equal(next.circuit, state.circuit);
      }
    }),
  );
});

test('property: from anywhere an agent that answers fast is well again within sixty calls', () => {
  fc.assert(
    fc.property(anyState, (state) => {
      fc.pre(state.status !== 'deactivated');
      let next: HealthState = { ...state, p95Ms: 400 };
      for (let n = 0; n < 60; n++) next = afterSuccess(next);
      assert.deepEqual(next, { ...WELL, p95Ms: 400 });
      assert.equal(isInTrouble(next), false);
    }),
  );
});

test('property: an agent that is not in trouble is left as it is by an answered call', () => {
  const mild = anyState.map(
    (state): HealthState => ({
      ...WELL,
      p95Ms: state.p95Ms,
      healthScore: state.healthScore,
      status: state.healthScore < HEALTHY_SCORE ? 'degraded' : 'active',
    }),
  );
  fc.assert(
    fc.property(fc.oneof(anyState, mild), (state) => {
      fc.pre(state.status === 'active' || state.status === 'degraded');
      if (isInTrouble(state)) return;
      const { status: _, ...next } = afterSuccess(state);
      assert.deepEqual({ ...next, trialUntil: state.trialUntil, status: state.status }, state);
    }),
  );
});

test('an agent that was slow is well again when that is forgotten', () => {
  const slow = afterCounting(WELL, 30_000);
  assert.deepEqual([slow.status, isInTrouble(slow)], ['degraded', false]);
  const forgotten = { ...slow, p95Ms: null };
  assert.equal(isInTrouble(forgotten), true);
  assert.deepEqual(afterSuccess(forgotten), WELL);
});

test('property: the score falls with failures, with time and with a lower success rate', () => {
  fc.assert(
    fc.property(anyState, fc.nat(10), fc.double({ min: 1, max: 100, noNaN: true }), (state, more, times) => {
      const score = scoreOf(state);
      assert.ok(isBounded(score));
      assert.ok(scoreOf({ ...state, consecutiveFailures: state.consecutiveFailures + more }) <= score);
      assert.ok(scoreOf({ ...state, probeFailures: state.probeFailures + more }) <= score);
      assert.ok(scoreOf({ ...state, successRate: state.successRate / times }) <= score);
      if (state.p95Ms !== null) assert.ok(scoreOf({ ...state, p95Ms: state.p95Ms * times }) <= score);
    }),
  );
});
