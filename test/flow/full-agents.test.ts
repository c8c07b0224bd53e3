// Agents that have no room. Whoever waits for a place is answered when there is one, hears honestly when there is none, and holds
// nothing that others could use.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { call, keyHolder } from '../support/operator.ts';
import { type Behaviour, HANG } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const TURN_MS = 8_000;

describe('agents without room', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ quietMs: 0, env: { DARKSPERE_TURN_MS: String(TURN_MS) } });
  });
  after(() => world.stop());

  /** An agent whose calls end when they are told to. */
  function gated() {
    const open = new Map<string, (act: string) => void>();
    const behaviour: Behaviour = ({ message }) => {
      const gate = Promise.withResolvers<string>();
      open.set(message, gate.resolve);
      return gate.promise;
    };
    return { behaviour, end: (message: string) => open.get(message)!(`heard ${message}`) };
  }

  const one = { maxConcurrentSessions: 1 };

  test('a text that waits for a place is answered as soon as there is one, and each place is one call', async () => {
    const line = await world.line();
    const { behaviour, end } = gated();
    const agent = await line.agent(behaviour, one);
    const people = [line.person(), line.person(), line.person()];
    for (const [n, person] of people.entries()) await person.text(`text ${n}`);
    for (let n = 1; n <= 3; n++) {
      await until(() => agent.calls.length === n, { what: `call ${n}` });
      assert.equal(agent.calls.filter((call) => !call.answered).length, 1);
      end(agent.calls[n - 1]!.text);
    }
    for (const [n, person] of people.entries()) assert.equal((await person.next()).body, `heard text ${n}`);
  });

  test('when no place becomes free in time the person is told so, and the record says why', async () => {
    const line = await world.line();
    await line.agent(() => HANG, one);
    const [first, second] = [line.person(), line.person()];
    await first.text('hello');
    await line.conversation(first);
    await second.text('hello');
    assert.match((await second.next(undefined, 3 * TURN_MS)).body, /try again/i);
    const { turns } = await line.story(second);
    assert.equal(turns.length, 1);
    assert.ok(['agent_full', 'agent_timeout'].includes(turns[0]!.error_code), turns[0]!.error_code);
  });

  test('a STOP while waiting for a place ends the wait, and takes no place from the next', async () => {
    const line = await world.line();
    const { behaviour, end } = gated();
    const agent = await line.agent(behaviour, one);
    const [first, second, third] = [line.person(), line.person(), line.person()];
    await first.text('first');
    await until(() => agent.calls.length === 1);
    await second.text('second');
    await until(async () => (await line.conversation(second)).running_turn);
    await second.text('STOP');
    await third.text('third');
    await until(async () => (await line.conversation(third)).running_turn);
    end('first');
    await until(() => agent.calls.length === 2);
    end('third');
    assert.equal((await third.next()).body, 'heard third');
    await line.story(second);
    assert.deepEqual(agent.heard(), ['first', 'third']);
  });

  test('a session whose agent is full goes to another, and the record says that it was full', async () => {
    const line = await world.line();
    const { behaviour, end } = gated();
    const own = await line.agent(behaviour, one);
    const ann = line.person();
    await ann.text('ann');
    await until(() => own.calls.length === 1);
    end('ann');
    await ann.next();
    const bob = line.person();
    await bob.text('bob');
    await until(() => own.calls.length === 2);
    const other = await line.agent(({ message }) => `other heard ${message}`);
    await ann.text('ann again');
    assert.equal((await ann.next()).body, 'other heard ann again');
    const moved = await world.sql`select new_agent, reason from session_failovers where old_agent = ${own.id}`;
    assert.deepEqual([...moved], [{ new_agent: other.id, reason: 'agent_full' }]);
    end('bob');
  });

  test('texts and programs that ask through one process do not take an agent’s places from each other', async () => {
    const line = await world.line();
    const { behaviour, end } = gated();
    const agent = await line.agent(behaviour);
    const ann = line.person();
    await ann.text('text');
    const { key } = await keyHolder(world, ['chat']);
    const question = { message: 'question', agent_id: agent.id };
    const asked = call(world.urls.mcpAdapter!, 'POST', '/mcp/chat', question, { authorization: `Bearer ${key}` });
    await until(() => agent.calls.length === 2);
    const reserved = await world.sql`select pool_id from agent_slots where agent_id = ${agent.id}`;
    assert.equal(reserved.length, 1);
    for (const message of ['text', 'question']) end(message);
    assert.equal((await ann.next()).body, 'heard text');
    assert.equal((await asked).json.message, 'heard question');
  });

  test('whom an agent that failed for a moment has failed is answered by it, while the other one stays full', async () => {
    const line = await world.line();
    const full = await line.agent(() => HANG, one);
    const first = line.person();
    await first.text('first');
    await until(() => full.calls.length === 1);
    let failing = true;
    const failed = await line.agent(({ message }) => (failing ? { status: 503 } : `heard ${message}`));
    const second = line.person();
    await second.text('second');
    await until(() => failed.calls.length > 0);
    failing = false;
    assert.equal((await second.next()).body, 'heard second');
  });

  test('who waits for the time that an agent has named holds no place at it', async () => {
    const line = await world.line();
    const busy = { status: 429, headers: { 'retry-after': '3' } };
    const agent = await line.agent(
      ({ message }) => (message === 'patient' && agent.calls.length === 1 ? busy : 'here'),
      one,
    );
    const [patient, other] = [line.person(), line.person()];
    await patient.text('patient');
    await until(() => agent.calls.length === 1);
    await other.text('other');
    assert.equal((await other.next()).body, 'here');
    assert.deepEqual(agent.heard(), ['patient', 'other']);
    assert.equal((await patient.next()).body, 'here');
  });
});
