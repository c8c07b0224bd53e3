// Agents on a bad day. Whatever they do, every text is answered, once; and who is in trouble is left alone until it is well.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Person } from '../../src/channels/simulator/person.ts';
import { HANG, type ScriptedAgent } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

const ANSWERED_WITHIN_MS = 60_000;

describe('agents in trouble', () => {
  let world: World;
  before(async () => {
    world = await startWorld({
      quietMs: 0,
      env: { DARKSPERE_PROBE_SECONDS: '1', DARKSPERE_AGENT_FIRST_BYTE_MS: '2000', DARKSPERE_CONCURRENCY: '300' },
    });
  });
  after(() => world.stop());

  const answer =
    (name: string) =>
    ({ message }: { message: string }) =>
      `${name} heard ${message}`;
  const heard = (body: string, message: string) => body.endsWith(`heard ${message}`);

  /** Everybody texts, `gapMs` one after the other, and everybody is answered once. */
  async function everybody(people: readonly Person[], message: string, gapMs = 0): Promise<void> {
    for (const person of people) {
      assert.equal((await person.text(message)).status, 200);
      if (gapMs > 0) await pause(gapMs);
    }
    await Promise.all(people.map((person) => person.next((text) => heard(text.body, message), ANSWERED_WITHIN_MS)));
    for (const person of people) assert.equal(person.texts().filter((text) => heard(text.body, message)).length, 1);
  }

  const crowd = (line: Line, size: number) => Array.from({ length: size }, () => line.person());

  const healthOf = async (agent: ScriptedAgent) =>
    (await world.sql`select * from agent_health_summary where agent_id = ${agent.id}`)[0]!;

  const checksOf = (agent: ScriptedAgent, outcome: string) => world.sql`
    select 1 from agent_health_checks where agent_id = ${agent.id} and outcome = ${outcome}`;

  test('one of three dead: everybody is answered by the others, and their sessions are recorded as moved', async () => {
    const line = await world.line();
    const [one, two, three] = await Promise.all(['A', 'B', 'C'].map((name) => line.agent(answer(name), { name })));
    const people = crowd(line, 30);
    await everybody(people, 'hello');
    const before = one!.calls.length;
    await one!.down();
    await everybody(people, 'still there?');
    await everybody(crowd(line, 30), 'and new ones?');
    assert.equal(one!.calls.length, before);
    const moved = await world.sql`select reason, new_agent from session_failovers where old_agent = ${one!.id}`;
    assert.ok(moved.every((row) => ['agent_refused', 'agent_broken', 'unhealthy'].includes(row.reason)));
    assert.ok(moved.every((row) => [two!.id, three!.id].includes(row.new_agent)));
    const [failovers] = await world.sql`
      select sum(s.failovers)::int as n from agent_sessions s join conversations c on c.id = s.conversation_id
      where c.our_address = ${line.number}`;
    assert.equal(failovers!.n, moved.length);
    // Nobody texts it, and its probes find it dead all the same.
    await until(async () => (await healthOf(one!)).status === 'disabled', { timeoutMs: 30_000 });
    await one!.up();
    await until(async () => (await healthOf(one!)).probe_failures === 0, { timeoutMs: 30_000 });
    // With the next new people it is tried, and then trusted again.
    await until(
      async () => {
        await everybody(crowd(line, 2), 'back?');
        return (await healthOf(one!)).status === 'active';
      },
      { timeoutMs: 60_000, what: 'the agent that came back' },
    );
  });

  test('a brown-out: an agent that fails every third call costs nobody an answer, and is asked less', async () => {
    const line = await world.line();
    let n = 0;
    const brown = await line.agent((payload) => (n++ % 3 === 2 ? { status: 500 } : answer('Brown')(payload)));
    const well = await line.agent(answer('Well'));
    for (let round = 0; round < 4; round++) await everybody(crowd(line, 25), `round ${round}`);
    assert.ok((await healthOf(brown)).success_rate < 1);
    const before = [brown.calls.length, well.calls.length] as const;
    await everybody(crowd(line, 40), 'last');
    assert.ok(brown.calls.length - before[0] < well.calls.length - before[1]);
  });

  test('a flapping agent does not flap in and out of service', async () => {
    const line = await world.line();
    let n = 0;
    const flapping = await line.agent((payload) => (n++ % 2 === 0 ? { status: 500 } : answer('Flap')(payload)));
    await line.agent(answer('Well'));
    for (let round = 0; round < 12; round++) await everybody(crowd(line, 8), `round ${round}`, 10);
    // Of 96 new people it had those that its trials took, one at a time.
    assert.ok(flapping.calls.length < 40, `${flapping.calls.length} calls`);
  });

  test('a lying agent: its probes are good, its calls fail, and no probe brings it back', async () => {
    const line = await world.line();
    const liar = await line.agent(() => ({ body: { type: 'chat.response' } }));
    await line.agent(answer('Well'));
    await until(
      async () => {
        await everybody(crowd(line, 4), 'hello?');
        return (await healthOf(liar)).status === 'disabled';
      },
      { timeoutMs: 60_000, what: 'a liar that was found out' },
    );
    const probed = (await checksOf(liar, 'up')).length;
    const calls = liar.calls.length;
    await until(async () => (await checksOf(liar, 'up')).length > probed, { timeoutMs: 30_000 });
    assert.equal((await healthOf(liar)).status, 'disabled');
    const people = crowd(line, 40);
    await everybody(people, 'and now?');
    assert.ok(liar.calls.length - calls < 5);
  });

  test('an agent that says nothing that can be read is found out like one that fails', async () => {
    const line = await world.line();
    const blank = await line.agent(() => ' \n ');
    await line.agent(answer('Well'));
    await until(
      async () => {
        await everybody(crowd(line, 4), 'hello?');
        return (await healthOf(blank)).status === 'disabled';
      },
      { timeoutMs: 60_000, what: 'an agent with nothing to say' },
    );
  });

  test('a slow agent loses new people to a fast one', async () => {
    const line = await world.line();
    const slow = await line.agent((payload) => ({ text: answer('Slow')(payload), delayMs: 1_500 }));
    await everybody(crowd(line, 15), 'first');
    await until(async () => (await healthOf(slow)).health_score < 100, { timeoutMs: 30_000, what: 'its percentiles' });
    const { p95_ms, status } = await healthOf(slow);
    assert.ok(p95_ms >= 1_400 && status === 'active');
    const fast = await line.agent(answer('Fast'));
    await everybody(crowd(line, 15), 'second');
    assert.deepEqual([slow.calls.length, fast.calls.length], [15, 15]);
  });

  test('an agent that hangs is left at its first byte, and its people are answered by another', async () => {
    const line = await world.line();
    const hanging = await line.agent(() => HANG);
    await line.agent(answer('Well'));
    await everybody(crowd(line, 20), 'hello');
    assert.ok(hanging.calls.every((call) => call.aborted));
  });

  test('all down: trials only, one at a time, and when one is back everybody who waited is answered', async () => {
    const line = await world.line();
    const agent = await line.agent(() => ({ status: 500 }));
    // Until the circuit is open.
    await until(
      async () => {
        await line.person().text('anybody?');
        return (await healthOf(agent)).circuit !== 'closed';
      },
      { timeoutMs: 30_000, what: 'an open circuit' },
    );
    await until(async () => (await healthOf(agent)).calls_in_progress === 0);
    let overlaps = 0;
    agent.behave((_payload, call) => {
      if (agent.calls.some((other) => other !== call && !other.aborted && !other.answered)) overlaps += 1;
      return HANG;
    });
    const people = crowd(line, 30);
    for (const person of people) await person.text('hello');
    const calls = agent.calls.length;
    await until(() => agent.calls.length >= calls + 2, { timeoutMs: 30_000, what: 'trials' });
    assert.equal(overlaps, 0);
    agent.behave(answer('Back'));
    await Promise.all(people.map((person) => person.next((text) => heard(text.body, 'hello'), ANSWERED_WITHIN_MS)));
    for (const person of people) assert.equal(person.texts().filter((text) => heard(text.body, 'hello')).length, 1);
    assert.equal((await healthOf(agent)).circuit, 'closed');
  });

  test('two of three killed under fifty texts a second: every text is answered', async () => {
    const line = await world.line();
    const agents = await Promise.all(['A', 'B', 'C'].map((name) => line.agent(answer(name), { name })));
    const people = crowd(line, 200);
    const texting = everybody(people, 'hello', 20);
    await until(() => agents.reduce((sum, agent) => sum + agent.calls.length, 0) > 50);
    await agents[0]!.down();
    await until(() => agents.reduce((sum, agent) => sum + agent.calls.length, 0) > 100);
    await agents[1]!.down();
    await texting;
  });
});
