// Processes killed at the worst moments: every text is answered, once, in order.
import assert from 'node:assert/strict';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Installation, install } from '../support/program.ts';
import { HANG } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';

const TAKEOVER_MS = 20_000;

const phone = (n: number) => `+1555040${String(n).padStart(4, '0')}`;

/** Lets the minute pass in which the carrier may still come up with a part whose end is unknown. */
async function letGraceTimePass({ database }: Installation): Promise<void> {
  await database!.admin`
    update outbound_parts set sending_at = sending_at - interval '2 minutes'
    where state = 'unknown' and sending_at > now() - interval '1 minute'`;
  await database!.admin`
    update graphile_worker._private_jobs set run_at = now() where key like 'settle:%' and locked_at is null`;
}

describe('crashes', () => {
  test('kill -9 while the agent thinks: after the restart the text is answered once, on the server left behind', async (t) => {
    const place = await install(t, { external: false });
    const first = await place.start();
    let thinking = true;
    const agent = await place.agent(first, ({ message }) => (thinking ? HANG : `You said ${message}`));
    const person = place.simulator.person(phone(1));
    assert.equal((await person.text('hello')).status, 200);
    await until(() => agent.calls.length === 1);
    const serverPid = () =>
      readFileSync(join(realpathSync(join(place.dataDir, 'postgres')), 'data', 'postmaster.pid'), 'utf8').split(
        '\n',
      )[0];
    const orphan = serverPid();
    await first.kill('SIGKILL');

    thinking = false;
    const second = await place.start();
    assert.equal((await person.next(undefined, TAKEOVER_MS)).body, 'You said hello');
    await person.text('and again');
    assert.equal((await person.next()).body, 'You said and again');
    assert.equal(serverPid(), orphan, 'the running server was not adopted');
    assert.equal(person.texts().length, 2);
    assert.deepEqual(agent.heard(), ['hello', 'hello', 'and again']);
    await second.kill('SIGTERM');
    assert.deepEqual(await second.exited, { code: 0, signal: null });
  });

  test('kill -9 while the carrier takes the text: it is found there and not sent again', async (t) => {
    const place = await install(t, { external: true });
    const first = await place.start();
    await place.agent(first, () => 'the answer');
    const person = place.simulator.person(phone(2));
    // The carrier takes the text and says 500; the process is gone before it has written that down or looked for it.
    place.simulator.faults.set({ http500AfterAccept: 1, missingCallbacks: 1 });
    await person.text('hello');
    await until(() => place.sent(person.phone).length === 1);
    await first.kill('SIGKILL');
    const { admin } = place.database!;
    // Killed before or after its record: both are the same to the next process, which is what this line makes sure of.
    await admin`update outbound_parts set state = 'sending', provider_id = null where state = 'unknown'`;

    await place.start();
    await until(
      () =>
        admin`select 1 from outbound_parts where state = 'accepted' and provider_id is not null`.then((r) => r.length),
      { timeoutMs: TAKEOVER_MS, what: 'the part being found' },
    );
    assert.deepEqual(place.sent(person.phone), ['the answer']);
  });

  test('kill -9 after the claim, before the request: after the grace time the person gets the text, once', async (t) => {
    const place = await install(t, { external: true });
    const first = await place.start();
    await place.agent(first, () => 'the answer');
    const person = place.simulator.person(phone(3));
    place.simulator.faults.set({ http500BeforeAccept: 1 });
    await person.text('hello');
    await until(() => place.simulator.faults.pending().http500BeforeAccept === 0);
    await first.kill('SIGKILL');
    const { admin } = place.database!;
    await admin`update outbound_parts set state = 'sending' where state = 'unknown'`;

    await place.start();
    await until(() => admin`select 1 from outbound_parts where state = 'unknown'`.then((rows) => rows.length), {
      timeoutMs: TAKEOVER_MS,
      what: 'the part becoming unknown',
    });
    assert.deepEqual(place.sent(person.phone), []);
    await until(async () => {
      await letGraceTimePass(place);
      return place.sent(person.phone).length > 0;
    });
    assert.equal((await person.next()).body, 'the answer');
    assert.deepEqual(place.sent(person.phone), ['the answer']);
  });

  test('twenty kills at random moments while a hundred people text: all answered, once, in order', async (t) => {
    const KILLS = 20;
    const PEOPLE = 100;
    const TEXTS = 4;
    const place = await install(t, { external: true });
    let program = await place.start();
    await place.agent(program, async ({ message }) => {
      await pause(Math.random() * 60);
      return message;
    });
    let killing = true;
    const people = Array.from({ length: PEOPLE }, (_, n) => phone(1_000 + n));
    const words = (n: number) => Array.from({ length: TEXTS }, (_, k) => `${n}.${k}`);
    const texting = people.map(async (from, n) => {
      for (const word of words(n)) {
        await place.textForSure(from, word);
        // Spread over all the kills.
        await until(() => !killing || Math.random() < 0.01, { timeoutMs: 120_000, intervalMs: 20 });
      }
    });
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(Math.random() * 400);
      await program.kill('SIGKILL');
      program = await place.start();
    }
    killing = false;
    await Promise.all(texting);

    const { admin } = place.database!;
    const open = () => admin`
      select 1 from conversations where last_seq > done_seq
      union all select 1 from outbound_parts where state in ('queued', 'sending', 'unknown')`;
    await until(
      async () => {
        await letGraceTimePass(place);
        return (await open()).length === 0;
      },
      { timeoutMs: 60_000, intervalMs: 200, what: 'everything answered' },
    );
    // An answer carries the words of its texts, so all that a person got must be all they said, in order, once.
    for (const [n, from] of people.entries()) {
      assert.deepEqual(
        place.sent(from).flatMap((body) => body.split('\n')),
        words(n),
        `person ${n}`,
      );
    }
  });

  test('two workers on one database: what a killed one held is taken over and answered once', async (t) => {
    const place = await install(t, { external: true, env: { DARKSPERE_CONCURRENCY: '10' } });
    const one = await place.start(['gateway', 'agent-registration', 'worker']);
    const other = await place.start(['worker']);
    const gate = Promise.withResolvers<void>();
    const agent = await place.agent(one, async ({ message }) => {
      await gate.promise;
      return `You said ${message}`;
    });
    const people = Array.from({ length: 40 }, (_, n) => place.simulator.person(phone(2_000 + n)));
    await Promise.all(people.map((person, n) => person.text(`hello ${n}`)));
    // Ten turns each, and the rest in line: both workers are full.
    await until(() => agent.calls.length === 20);
    await other.kill('SIGKILL');
    await until(() => agent.calls.filter((call) => call.aborted).length === 10, { what: 'the death of one worker' });
    gate.resolve();
    const answers = await Promise.all(people.map((person) => person.next(undefined, TAKEOVER_MS)));
    assert.deepEqual(
      answers.map((answer) => answer.body),
      people.map((_, n) => `You said hello ${n}`),
    );
    for (const person of people) assert.equal(place.sent(person.phone).length, 1);
    assert.equal(agent.calls.length, 50);
  });

  test('a worker that was frozen past its heartbeat cannot write late', async (t) => {
    const place = await install(t, { external: true });
    const gateway = await place.start(['gateway', 'agent-registration']);
    const frozen = await place.start(['worker']);
    const gate = Promise.withResolvers<void>();
    const agent = await place.agent(gateway, async (_, call) => {
      if (call !== agent.calls[0]) return 'from the second worker';
      await gate.promise;
      return 'from the frozen worker';
    });
    const person = place.simulator.person(phone(3_000));
    await person.text('hello');
    await until(() => agent.calls.length === 1);
    await frozen.kill('SIGSTOP');
    gate.resolve();
    await until(() => agent.calls[0]?.answered, { what: 'the answer lying at the frozen worker' });

    await place.start(['worker']);
    const { admin } = place.database!;
    const [{ pool }] = (await admin<{ pool: string }[]>`
      select pool_id as pool from worker_pools where pid = ${frozen.child.pid!}`) as unknown as [{ pool: string }];
    await admin`update worker_pools set heartbeat_at = heartbeat_at - interval '1 minute' where pool_id = ${pool}`;
    assert.equal((await person.next(undefined, TAKEOVER_MS)).body, 'from the second worker');

    await frozen.kill('SIGCONT');
    await until(() => admin`select 1 from exchanges where kind = 'agent' and late`.then((rows) => rows.length), {
      what: 'the late answer being refused',
    });
    await person.text('and again');
    await person.next();
    assert.deepEqual(place.sent(person.phone), ['from the second worker', 'from the second worker']);
  });
});
