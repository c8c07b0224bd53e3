import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { someAgent as agent } from '../../test/support/some-agent.ts';
import type { Agent } from './agent.ts';
import { chooseAgent, isHealthy, type Wish } from './routing.ts';

const now = new Date('2026-01-01T00:00:00Z');

const wish = (more: Partial<Wish> = {}): Wish => ({
  type: 'chat',
  capabilities: [],
  sticky: null,
  exclude: new Set(),
  now,
  ...more,
});

const chosen = (agents: Agent[], more: Partial<Wish> = {}) => chooseAgent(agents, wish(more))?.agent.id ?? null;
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000);

test('health, then room, then speed', () => {
  assert.equal(chosen([agent('a', { healthScore: 90 }), agent('b')]), 'b');
  assert.equal(chosen([agent('a', { callsInProgress: 5 }), agent('b')]), 'b');
  assert.equal(chosen([agent('a', { responseMs: 200 }), agent('b')]), 'b');
  assert.equal(chosen([agent('b'), agent('a')]), 'a');
});

test('a full agent is taken only when no healthy one has room', () => {
  const full = agent('a', { callsInProgress: 10 });
  assert.equal(chosen([full, agent('b', { healthScore: 70 })]), 'b');
  assert.equal(chosen([full, agent('b', { healthScore: 60, coolingUntil: later(1) })]), 'a');
  assert.equal(chosen([agent('a', { callsInProgress: 2, trickle: 2 }), agent('b', { healthScore: 70 })]), 'b');
});

const choice = (agents: Agent[], more: Partial<Wish> = {}) => {
  const made = chooseAgent(agents, wish(more));
  return made && `${made.agent.id} ${made.as}`;
};

test('an agent that was out is tried when its pause is over, no probe speaks against it and others are there', () => {
  const out = agent('a', { status: 'disabled', healthScore: 40, consecutiveFailures: 3, trickle: 1 });
  const well = agent('b');
  assert.equal(choice([out, well]), 'a trial');
  assert.equal(choice([out]), 'a last resort');
  assert.equal(choice([{ ...out, coolingUntil: later(1) }, well]), 'b healthy');
  assert.equal(choice([{ ...out, probeFailures: 1 }, well]), 'b healthy');
  assert.equal(choice([{ ...out, trialUntil: later(1) }, well]), 'b healthy');
  // One that failed once is asked again before its score is as good as the others'.
  assert.equal(choice([agent('a', { healthScore: 91, successRate: 0.91 }), well]), 'a trial');
  assert.equal(choice([out, well], { trials: false }), 'b healthy');
  // Whoever has an agent of their own keeps it.
  assert.equal(choice([out, well], { sticky: 'b' }), 'b healthy');
});

test('an open circuit is not healthy, whatever the score', () => {
  assert.equal(
    choice([agent('a', { circuit: 'open', coolingUntil: later(1) }), agent('b', { healthScore: 70 })]),
    'b healthy',
  );
});

test('the session keeps its agent while that one is healthy', () => {
  const own = agent('own', { healthScore: 70, responseMs: 9_000 });
  assert.equal(chosen([own, agent('b')], { sticky: 'own' }), 'own');
  assert.equal(chosen([agent('own', { healthScore: 69 }), agent('b')], { sticky: 'own' }), 'b');
  assert.equal(chosen([agent('own', { coolingUntil: later(1) }), agent('b')], { sticky: 'own' }), 'b');
  assert.equal(chosen([own, agent('b')], { sticky: 'own', exclude: new Set(['own']) }), 'b');
});

test('when nobody is healthy the one whose pause ends first is tried, so an outage ends by itself', () => {
  const down = agent('a', { status: 'disabled', healthScore: 10, coolingUntil: later(60) });
  const sooner = agent('b', { status: 'disabled', healthScore: 0, coolingUntil: later(4) });
  assert.equal(chosen([down, sooner]), 'b');
  assert.equal(chosen([down]), 'a');
  assert.equal(chosen([agent('c', { status: 'deactivated' })]), null);
});

test('when nobody is healthy, one whose trial is under way is asked after those that are not tried', () => {
  const tried = agent('a', { circuit: 'half_open', trialUntil: later(30) });
  assert.equal(chosen([tried, agent('b', { circuit: 'open', coolingUntil: later(4) })]), 'b');
  assert.equal(chosen([tried]), 'a');
});

test('type and capabilities must fit', () => {
  assert.equal(chosen([agent('a', { type: 'support' })]), null);
  assert.equal(chosen([agent('a', { capabilities: ['x'] })], { capabilities: ['x', 'y'] }), null);
  assert.equal(chosen([agent('a', { capabilities: ['x', 'y', 'z'] })], { capabilities: ['x', 'y'] }), 'a');
});

const anyAgent = fc
  .record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    type: fc.constantFrom('chat', 'support'),
    circuit: fc.constantFrom('closed', 'open', 'half_open'),
    probeFailures: fc.nat(3),
    status: fc.constantFrom('registered', 'active', 'degraded', 'disabled', 'deactivated'),
    healthScore: fc.integer({ min: 0, max: 100 }),
    callsInProgress: fc.integer({ min: 0, max: 20 }),
    responseMs: fc.integer({ min: 0, max: 5_000 }),
    coolingUntil: fc.option(fc.integer({ min: -60, max: 60 }).map(later)),
    capabilities: fc.subarray(['x', 'y', 'z']),
  })
  .map(({ id, ...more }) => agent(id, more as Partial<Agent>));

const anyAgents = fc.uniqueArray(anyAgent, { selector: (one) => one.id, maxLength: 8 });
const anyWish = fc
  .record({
    type: fc.constantFrom('chat', 'support'),
    capabilities: fc.subarray(['x', 'y', 'z']),
    sticky: fc.option(fc.constantFrom('a', 'b', 'c')),
    exclude: fc.subarray(['a', 'b', 'c', 'd']).map((ids) => new Set(ids)),
  })
  .map(wish);

test('property: the choice fits, does not depend on the order of the list, and prefers health', () => {
  fc.assert(
    fc.property(anyAgents, anyWish, (agents, wanted) => {
      const choice = chooseAgent(agents, wanted);
      assert.deepEqual(chooseAgent(agents.toReversed(), wanted), choice);
      const fits = (one: Agent) =>
        one.type === wanted.type &&
        one.status !== 'deactivated' &&
        !wanted.exclude.has(one.id) &&
        wanted.capabilities.every((capability) => one.capabilities.includes(capability));
      // Somebody is asked whenever anybody fits.
      assert.equal(choice !== null, agents.some(fits));
      if (choice === null) return;
      assert.ok(fits(choice.agent));
      const isAnybodyHealthy = agents.some((one) => fits(one) && isHealthy(one, now));
      if (choice.as === 'healthy') assert.ok(isHealthy(choice.agent, now));
      if (choice.as === 'last resort') assert.ok(!isHealthy(choice.agent, now));
      assert.equal(choice.as === 'last resort', !isAnybodyHealthy);
    }),
    { numRuns: 2_000 },
  );
});

test('a draining agent keeps its sessions and gets new ones only when nobody else is healthy', () => {
  const leaving = agent('a', { isDraining: true });
  assert.equal(chosen([leaving, agent('b', { healthScore: 70 })]), 'b');
  assert.equal(chosen([leaving, agent('b')], { sticky: 'a' }), 'a');
  assert.equal(chosen([leaving, agent('b', { status: 'disabled', healthScore: 0 })]), 'b');
  assert.equal(chosen([leaving, agent('b')], { exclude: new Set(['b']) }), 'a');
  // A new version that does not work is no reason to leave a person without an answer while the old one is there.
  const broken = agent('b', { status: 'disabled', healthScore: 0, coolingUntil: later(8) });
  assert.equal(chosen([leaving, broken]), 'a');
  assert.equal(chosen([{ ...leaving, status: 'disabled' }, broken]), 'b');
  assert.equal(chosen([leaving]), 'a');
});

test('an agent of an account is asked for conversations of that account alone', () => {
  const shared = agent('b', { healthScore: 70, accountId: null });
  assert.equal(chosen([agent('a', { accountId: 'x' }), shared]), 'b');
  assert.equal(chosen([agent('a', { accountId: 'x' })]), null);
  assert.equal(chosen([agent('a', { accountId: 'x' })], { sticky: 'a', accountId: null }), null);
  assert.equal(chosen([agent('a', { accountId: 'x' }), shared], { accountId: 'y' }), 'b');
  assert.equal(chosen([agent('a', { accountId: 'x' }), shared], { accountId: 'x' }), 'a');
});
