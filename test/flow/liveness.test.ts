// Who is taken for dead, and what becomes of promises when the clock of the database moves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectionUrl } from '../../src/database/connection.ts';
import { startProxy, type Wire } from '../support/proxy.ts';
import { allSettled } from '../support/settled.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

describe('the living and the dead', () => {
  let world: World;
  let wire: Wire | undefined;
  before(async () => {
    world = await startWorld({ parts: ['gateway', 'agent-registration'] });
  });
  after(async () => {
    await world.stop();
    await wire?.down();
  });

  test('after an outage nobody who lives is buried: no agent is asked twice', async (t) => {
    const { connection } = world.database;
    const { host, port } = connection;
    const proxy = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    // Workers that a failed test leaves must be able to stop.
    t.after(() => proxy.up());
    wire = proxy;
    const url = connectionUrl({ ...connection, host: '127.0.0.1', port: proxy.port });
    const env = { DATABASE_URL: url, DARKSPERE_CONCURRENCY: '3' };
    const workers = [];
    // One of them has nothing to do: it would take over at once.
    for (let n = 0; n < 4; n++) workers.push(await world.runtime(['worker'], env));
    const line = await world.line();
    const gate = Promise.withResolvers<string>();
    const agent = await line.agent(() => gate.promise);
    const people = Array.from({ length: 9 }, () => line.person());
    for (const person of people) await person.text('hello');
    await until(() => agent.calls.length === 9, { what: 'three turns at each worker' });
    await proxy.down();
    // Longer than a silence that counts as death.
    const endsMs = performance.now() + 11_000;
    await until(() => performance.now() > endsMs, { timeoutMs: 15_000 });
    await proxy.up();
    await until(
      async () =>
        (await world.sql`select from worker_pools where heartbeat_at > now() - interval '1 second'`).length === 4,
      { what: 'the beats of all four' },
    );
    gate.resolve('the answer');
    for (const person of people) assert.equal((await person.next()).body, 'the answer');
    assert.equal(agent.calls.length, 9);
    const outages = world.log.filter((entry) => entry.includes('the database is away'));
    assert.equal(outages.length, 4, 'one line for each process');
    assert.equal(world.log.filter((entry) => entry.includes('the database is back')).length, 4);
    assert.deepEqual(
      world.log.filter((entry) => entry.includes('"source":"jobs"') && entry.includes('"level":50')),
      [],
    );
    for (const worker of workers) await worker.stop();
  });

  test('a worker that is told to stop while the database is silent does so', async (t) => {
    const { connection } = world.database;
    const { host, port } = connection;
    const proxy = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    const worker = await world.runtime(['worker'], {
      DATABASE_URL: connectionUrl({ ...connection, host: '127.0.0.1', port: proxy.port }),
    });
    t.after(async () => {
      proxy.speak();
      await worker.stop();
      await proxy.down();
    });
    proxy.fallSilent();
    // One by one, the beats of this time would need minutes to fail.
    const endsMs = performance.now() + 20_000;
    await until(() => performance.now() > endsMs, { timeoutMs: 25_000 });
    let isStopped = false;
    const stopped = worker.stop().then(() => {
      isStopped = true;
    });
    await Promise.race([stopped, until(() => isStopped, { what: 'the end of the worker', timeoutMs: 60_000 })]);
  });

  test('a clock that was set back by an hour holds nothing up', async () => {
    const line = await world.line();
    await line.agent(() => 'the answer');
    const person = line.person();
    await person.text('hello');
    const { id } = await line.conversation(person);
    // What it looks like when it was an hour later a moment ago.
    await world.sql`update graphile_worker._private_jobs set run_at = run_at + interval '1 hour'`;
    await world.sql`
      insert into sender_pacing (sender, replies_until, bulk_until)
      values (${line.number}, now() + interval '1 hour', now() + interval '1 hour')`;
    await world.sql`
      insert into worker_pools (pool_id, worker_ids, lock_key, host, pid, heartbeat_at)
      values ('one-that-died', '{}', 1, 'elsewhere', 1, now() + interval '1 hour')`;
    const worker = await world.runtime(['worker'], { DARKSPERE_PACING: 'on' });
    assert.equal((await person.next(undefined, 20_000)).body, 'the answer');
    await allSettled(world.sql);
    await until(async () => (await world.sql`select from worker_pools where pool_id = 'one-that-died'`).length === 0, {
      what: 'the dead pool being buried',
      timeoutMs: 20_000,
    });
    const [row] = await world.sql`select attempts from conversations where id = ${id}`;
    assert.equal(row!.attempts, 0);
    assert.equal(world.log.filter((entry) => entry.includes('was set back')).length, 1);
    await worker.stop();
  });

  test('texts that a full worker has fetched go to one that is free', async () => {
    const line = await world.line();
    const gate = Promise.withResolvers<void>();
    const agent = await line.agent(async ({ message }) => {
      if (message.startsWith('slow')) await gate.promise;
      return `Re: ${message}`;
    });
    const full = await world.runtime(['worker'], { DARKSPERE_CONCURRENCY: '4' });
    const slow = Array.from({ length: 4 }, () => line.person());
    for (const person of slow) await person.text('slow');
    await until(() => agent.calls.length === 4);
    const quick = Array.from({ length: 4 }, () => line.person());
    for (const person of quick) await person.text('quick');
    await until(
      async () => (await world.sql`select from graphile_worker._private_jobs where locked_by is not null`).length > 4,
      { what: 'a worker that has taken more than it can do' },
    );
    const free = await world.runtime(['worker']);
    for (const person of quick) assert.equal((await person.next()).body, 'Re: quick');
    gate.resolve();
    for (const person of slow) assert.equal((await person.next()).body, 'Re: slow');
    await free.stop();
    await full.stop();
  });
});
