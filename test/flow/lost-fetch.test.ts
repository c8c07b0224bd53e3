import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Task } from 'graphile-worker';
import { pino } from 'pino';
import { createOutage } from '../../src/database/outage.ts';
import { startEngine } from '../../src/jobs/engine.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startProxy, type Wire } from '../support/proxy.ts';
import { until } from '../support/until.ts';

let db: TestDatabase;
let wire: Wire;
before(async () => {
  db = await freshDatabase();
  const { host, port } = db.connection;
  wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
});
after(async () => {
  await wire.down();
  await db.drop();
});

const jobs = () => db.admin<{ attempts: number }[]>`
  select attempts from graphile_worker._private_jobs order by id`;
const add = (word: string) => db.admin`select graphile_worker.add_job('turn', ${db.admin.json({ word })}::json)`;

/** Connections of pools that wait for a table of the library. */
const waiting = (table: string) => db.admin<{ pid: number }[]>`
  select pid from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and query like ${`%graphile_worker%${table}%`}`;

async function engineWith(turn: Task) {
  const logger = pino({ level: 'silent' });
  return startEngine({
    connection: { ...db.connection, host: '127.0.0.1', port: wire.port },
    poolId: 'the one',
    logger,
    outage: createOutage(logger),
    concurrency: 4,
    tasks: { turns: { turn }, work: { send: async () => {} }, crontab: '' },
    onDeadPool: () => assert.fail('nobody died'),
  });
}

test('jobs that were taken by a look whose answer got lost are run all the same, by a process that lives on', async () => {
  const ran: string[] = [];
  const engine = await engineWith(async (payload) => void ran.push((payload as { word: string }).word));
  try {
    wire.cutAnswerWith('swallowed');
    await add('swallowed');
    await until(() => ran.length > 0, { what: 'the job to run', timeoutMs: 30_000 });
    assert.deepEqual(ran, ['swallowed']);
    await until(async () => (await jobs()).length === 0);
  } finally {
    await engine.stop(0, () => {});
  }
});

test('a job that takes long stays with whoever runs it', async () => {
  const started: string[] = [];
  const { promise: asked, resolve: end } = Promise.withResolvers<void>();
  const engine = await engineWith(async (payload) => {
    const { word } = payload as { word: string };
    started.push(word);
    if (word === 'long') await asked;
  });
  try {
    await add('long');
    await until(() => started.includes('long'));
    // As if it had been taken long ago; then the same trouble as above makes the process look for what it has lost.
    await db.admin`update graphile_worker._private_jobs set locked_at = now() - interval '1 hour'`;
    wire.cutAnswerWith('swallowed');
    await add('swallowed');
    await until(() => started.includes('swallowed'), { what: 'the lost job to run', timeoutMs: 30_000 });
    assert.deepEqual(started, ['long', 'swallowed']);
    assert.equal((await jobs())[0]!.attempts, 1);
    end();
    await until(async () => (await jobs()).length === 0);
  } finally {
    end();
    await engine.stop(0, () => {});
  }
});

test('a pool that was cut off while it learned its tasks, which it asks once, gives way to one that knows them', async () => {
  const ran: string[] = [];
  // Whoever asks for the tasks waits here.
  const lock = await db.admin.reserve();
  await lock`begin`;
  await lock`lock table graphile_worker._private_tasks in access exclusive mode`;
  const engine = await engineWith(async (payload) => void ran.push((payload as { word: string }).word));
  try {
    await until(async () => (await waiting('tasks')).length === 2, { what: 'both pools to ask' });
    for (const { pid } of await waiting('tasks')) await lock`select pg_terminate_backend(${pid})`;
    await lock`commit`;
    await add('after all');
    await until(() => ran.length > 0, { what: 'the job to run', timeoutMs: 20_000 });
    assert.deepEqual(ran, ['after all']);
  } finally {
    await lock`rollback`;
    lock.release();
    await engine.stop(0, () => {});
  }
});

test('a stop leaves no pool behind that was just taking the place of another', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const lock = await db.admin.reserve();
  const holding = async (table: string) => lock.unsafe(`lock table graphile_worker.${table} in access exclusive mode`);
  await lock`begin`;
  await holding('_private_tasks');
  const engine = await engineWith(async () => {});
  let stopped: Promise<void> | undefined;
  try {
    await until(async () => (await waiting('tasks')).length === 2, { what: 'both pools to ask' });
    // Those that take their places look first whether the tables are those they know, and wait for that.
    await holding('migrations');
    for (const { pid } of await waiting('tasks')) await lock`select pg_terminate_backend(${pid})`;
    await until(async () => (await waiting('migrations')).length === 2, { what: 'two others' });
  } finally {
    stopped = engine.stop(0, () => {});
    await lock`rollback`;
    lock.release();
    await stopped;
  }
  await until(() => timers() <= before, { what: 'an end of all looking for jobs' });
});
