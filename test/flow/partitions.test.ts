import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

let db: TestDatabase;
beforeEach(async () => {
  db = await freshDatabase();
  await db.admin`create table pings (id uuid primary key, note text not null default 'x') partition by range (id)`;
  await db.admin`insert into partitioned_tables (table_name, keep_months) values ('pings', 3)`;
});
afterEach(() => db.drop());

const ensure = (ahead: number) => db.pools.worker`select ensure_partitions(${ahead}) as made`;

async function partitions(): Promise<string[]> {
  const rows = await db.admin<{ name: string }[]>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'pings'::regclass order by c.relname`;
  return rows.map((row) => row.name);
}

async function monthName(offset: number): Promise<string> {
  const [row] = await db.admin<{ name: string }[]>`
    select to_char(date_trunc('month', now() at time zone 'UTC') + make_interval(months => ${offset}), '"pings_"YYYY_MM') as name`;
  return row!.name;
}

test('last month, this one and the next ones are made once, with a default for the rest', async () => {
  assert.equal((await ensure(2))[0]!.made, 4);
  assert.deepEqual(await partitions(), [...(await Promise.all([-1, 0, 1, 2].map(monthName))), 'pings_default']);
  assert.equal((await ensure(2))[0]!.made, 0);
});

test('a row lands in the month of its id, to the millisecond', async () => {
  await ensure(1);
  await db.admin`
    insert into pings (id)
    select id_at(date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' + shift)
    from unnest(array['0 ms', '-1 ms']::interval[]) shift`;
  const rows = await db.admin`select tableoid::regclass::text as name from pings order by id desc`;
  assert.deepEqual(
    rows.map((row) => row.name),
    [await monthName(0), await monthName(-1)],
  );
});

test('rows that waited in the default move into their month when it is made', async () => {
  await ensure(0);
  await db.admin`insert into pings (id, note) select id_at(now() + make_interval(months => 2)), 'early'`;
  const where = () => db.admin`select tableoid::regclass::text as name, note from pings`;
  assert.equal((await where())[0]!.name, 'pings_default');
  await ensure(3);
  const [row] = await where();
  assert.deepEqual({ ...row }, { name: await monthName(2), note: 'early' });
});

test('months older than the table keeps are dropped, the youngest of them not', async () => {
  await ensure(0);
  for (const age of [3, 4, 40]) {
    await db.admin.unsafe(`
      create table ${await monthName(-age)} partition of pings for values
      from ('00000000-0000-0000-0000-0000000000${age + 10}') to ('00000000-0000-0000-0000-0000000000${age + 11}')`);
  }
  const [row] = await db.pools.worker`select drop_old_partitions() as dropped`;
  assert.equal(row!.dropped, 2);
  const left = await partitions();
  assert.ok(left.includes(await monthName(-3)));
  assert.ok(!left.includes(await monthName(-4)));
  assert.ok(left.includes('pings_default'));
});

test('a dump in progress is not waited for: every text would wait behind', async () => {
  await ensure(0);
  const old = await monthName(-4);
  await db.admin.unsafe(`
    create table ${old} partition of pings for values
    from ('00000000-0000-0000-0000-000000000000') to ('00000000-0000-0000-0000-000000000001')`);
  await db.admin.begin(async (dump) => {
    await dump`lock table pings in access share mode`;
    await assert.rejects(db.pools.worker`select ensure_partitions(3), drop_old_partitions()`, { code: '55P03' });
    await db.admin`insert into pings (id) values (new_id())`;
  });
  await db.pools.worker`select ensure_partitions(3), drop_old_partitions()`;
  assert.ok(!(await partitions()).includes(old));
});

test('the web role may do neither', async () => {
  await assert.rejects(db.pools.web`select ensure_partitions()`, { code: '42501' });
  await assert.rejects(db.pools.web`select drop_old_partitions()`, { code: '42501' });
});
