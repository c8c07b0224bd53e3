import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { openJobPool } from '../../src/database/job-pool.ts';
import { openSql } from '../../src/database/pools.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startProxy } from '../support/proxy.ts';

let db: TestDatabase;
before(async () => {
  db = await freshDatabase();
});
after(() => db.drop());

test('each pool acts as its own role', async () => {
  for (const part of ['web', 'worker', 'admin'] as const) {
    const [row] = await db.pools[part]`select current_user as role, current_setting('application_name') as name`;
    assert.deepEqual({ ...row }, { role: `darkspere_${part}`, name: `darkspere_${part}` });
  }
});

test('no role may make a table or read what was not granted to it', async () => {
  await db.admin`create table private_notes (id int)`;
  for (const part of ['web', 'worker', 'admin'] as const) {
    await assert.rejects(db.pools[part]`create table mine (id int)`, { code: '42501' });
    await assert.rejects(db.pools[part]`select * from private_notes`, { code: '42501' });
  }
});

test('the worker role can add, see and finish jobs, and the web role cannot see them', async () => {
  const { worker, web } = db.pools;
  await worker`select graphile_worker.add_job('turn', '{"c":1}'::json, job_key := 'one')`;
  const jobs = await worker`select key, task_identifier from graphile_worker.jobs`;
  assert.deepEqual(
    jobs.map((job) => [job.key, job.task_identifier]),
    [['one', 'turn']],
  );
  await worker`delete from graphile_worker._private_jobs`;
  assert.equal((await worker`select from graphile_worker.jobs`).length, 0);
  await assert.rejects(web`select from graphile_worker._private_jobs`, { code: '42501' });
});

test('the pool of graphile-worker has the same role', async () => {
  const pool = openJobPool(db.connection, { role: 'darkspere_worker', max: 1 });
  try {
    assert.deepEqual((await pool.query('select current_user as role')).rows, [{ role: 'darkspere_worker' }]);
  } finally {
    await pool.end();
  }
});

test('a connection that graphile-worker listens on is given back once, however often it says so', async () => {
  const pool = openJobPool(db.connection, { max: 1, onFailure: () => {} });
  try {
    const give = await new Promise<(error?: unknown) => void>((resolve, reject) =>
      pool.connect((error, _client, release) => (error ? reject(error) : resolve(release))),
    );
    give();
    give(new Error('it broke meanwhile'));
    assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1]);
  } finally {
    await pool.end();
  }
});

test('int8 is a number, and one that would be rounded is refused', async () => {
  const [row] = await db.admin<{ n: number }[]>`select 9007199254740991::int8 as n`;
  assert.equal(row!.n, Number.MAX_SAFE_INTEGER);
  await assert.rejects(db.admin`select 9007199254740993::int8 as n`, RangeError);
});

test('a statement that fails in the middle of its rows leaves none of them in what comes after it', async () => {
  const sql = openSql(db.connection, { role: 'darkspere_web', max: 1 });
  const broken = () => sql`select 1 / (500 - n) as x from generate_series(1, 1000) n`;
  try {
    await assert.rejects(broken(), { code: '22012' });
    assert.deepEqual([...(await sql`select n from generate_series(1, 2) n`)], [{ n: 1 }, { n: 2 }]);
    await assert.rejects(broken(), { code: '22012' });
    assert.equal((await sql`select where false`).length, 0);
    await assert.rejects(broken(), { code: '22012' });
    const [now] = await sql.begin((tx) => tx`select true as is_first`);
    assert.equal(now!.is_first, true);
  } finally {
    await sql.end();
  }
});

test('a pool whose connections are cut under load, again and again, uses each new one at once', async () => {
  const { host, port } = db.connection;
  const wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
  const sql = openSql({ ...db.connection, host: '127.0.0.1', port: wire.port }, { role: 'darkspere_web', max: 4 });
  const failures = new Set<string>();
  let cutting = true;
  try {
    const asking = Array.from({ length: 40 }, async (_, n) => {
      while (cutting) {
        await sql<{ n: number }[]>`select ${n}::int as n`.then(
          ([row]) => row?.n === n || failures.add('the answer to nothing'),
          (error: { code: string }) => failures.add(error.code),
        );
        await immediate();
      }
    });
    for (let cut = 0; cut < 60; cut++) {
      await sql`select pg_sleep(0.02)`.catch(() => {});
      wire.dropConnections();
    }
    cutting = false;
    await Promise.all(asking);
    assert.ok(failures.size > 0, 'nothing was cut');
    // What a connection gives that was made and cannot be used.
    assert.ok(!failures.has('CONNECT_TIMEOUT'), [...failures].join(', '));
    assert.ok(!failures.has('08P01'), [...failures].join(', '));
    assert.ok(!failures.has('the answer to nothing'), [...failures].join(', '));
  } finally {
    await sql.end({ timeout: 1 });
    await wire.down();
  }
});
