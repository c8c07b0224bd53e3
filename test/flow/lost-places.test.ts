// Workers that are killed or frozen while they hold places at an agent: what they held is somebody else's within seconds, and one
// that goes on begins nothing beyond what the agent takes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { install } from '../support/program.ts';
import type { Behaviour, Call, ScriptedAgent } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';

const NO_WORKER = ['gateway', 'agent-registration'] as const;
const LONG_MS = 40_000;
const phone = (n: number) => `+1555061${String(n).padStart(4, '0')}`;

/** Calls end when they are told to, all together; the most that a process had under way at once is counted. */
function gatedAgent() {
  const waiting: { call: Call; end: () => void }[] = [];
  let isOpen = false;
  const behaviour: Behaviour = ({ message }, call) => {
    if (isOpen) return `heard ${message}`;
    const gate = Promise.withResolvers<string>();
    waiting.push({ call, end: () => gate.resolve(`heard ${message}`) });
    return gate.promise;
  };
  const open = () => {
    isOpen = true;
    for (const { end } of waiting.splice(0)) end();
  };
  return { behaviour, open };
}

const underWay = (agent: ScriptedAgent) => agent.calls.filter((call) => !call.answered && !call.aborted).length;

describe('places of workers that are gone', () => {
  test('killed: its places are free within seconds, and whoever it was answering is answered', async (t) => {
    const place = await install(t, { external: true });
    const gateway = await place.start(NO_WORKER);
    const first = await place.start(['worker']);
    const gate = gatedAgent();
    const agent = await place.agent(gateway, gate.behaviour, { maxConcurrentSessions: 2 });
    const people = [1, 2, 3].map((n) => place.simulator.person(phone(n)));
    for (const person of people.slice(0, 2)) await person.text('hello');
    await until(() => underWay(agent) === 2);
    await place.start(['worker']);
    await people[2]!.text('hello');
    await first.kill('SIGKILL');
    await until(() => underWay(agent) === 2 && agent.calls.length === 4, {
      timeoutMs: LONG_MS,
      what: 'two calls by the other',
    });
    gate.open();
    for (const person of people) assert.equal((await person.next(undefined, LONG_MS)).body, 'heard hello');
    const { admin } = place.database!;
    await until(async () => (await admin`select from slots_in_use('') where in_use > 0`).length === 0);
  });

  test('frozen: others have its places, and when it goes on it begins nothing while those are taken', async (t) => {
    const place = await install(t, { external: true });
    const gateway = await place.start(NO_WORKER);
    const frozen = await place.start(['worker']);
    const gate = gatedAgent();
    const agent = await place.agent(gateway, gate.behaviour, { maxConcurrentSessions: 2 });
    const ann = place.simulator.person(phone(11));
    await ann.text('hello');
    await until(() => underWay(agent) === 1);
    await frozen.kill('SIGSTOP');
    await place.start(['worker']);
    const others = [12, 13, 14, 15, 16].map((n) => place.simulator.person(phone(n)));
    for (const person of others) await person.text('hello');
    // The call that was under way still is, as the agent sees it: the frozen process cannot know that it has lost its place.
    await until(() => underWay(agent) === 3, { timeoutMs: LONG_MS, what: 'both places being used by the other' });
    await frozen.kill('SIGCONT');
    for (const person of [17, 18, 19].map((n) => place.simulator.person(phone(n)))) {
      others.push(person);
      await person.text('hello');
    }
    // Both have had their turns to look for a place since.
    const { admin } = place.database!;
    const [{ beat }] = (await admin`select max(heartbeat_at) as beat from worker_pools`) as [{ beat: Date }];
    await until(
      async () =>
        (await admin`select from worker_pools where heartbeat_at > ${beat}::timestamptz + interval '2 seconds'`)
          .length === 2,
      { timeoutMs: LONG_MS, what: 'two seconds of both' },
    );
    assert.ok(underWay(agent) <= 3, `${underWay(agent)} calls`);
    gate.open();
    for (const person of [ann, ...others]) assert.equal((await person.next(undefined, LONG_MS)).body, 'heard hello');
    for (const person of [ann, ...others]) assert.equal(place.sent(person.phone).length, 1);
  });
});
