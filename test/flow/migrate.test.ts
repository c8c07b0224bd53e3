import assert from 'node:assert/strict';
import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Connection } from '../../src/database/connection.ts';
import { migrate } from '../../src/database/migrate.ts';
import { openPools, openSql, type Sql } from '../../src/database/pools.ts';
import { emptyDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

const DATABASE_FOLDER = fileURLToPath(new URL('../../database/', import.meta.url));

let directory: string;
let connection: Connection;
let drop: () => Promise<void>;
let sql: Sql;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'darkspere-migrations-'));
  await cp(DATABASE_FOLDER, directory, { recursive: true });
  ({ connection, drop } = await emptyDatabase());
  sql = openSql(connection, { max: 1 });
});

afterEach(async () => {
  await sql.end();
  await drop();
  await rm(directory, { recursive: true, force: true });
});

const migration = (name: string) => join(directory, 'migrations', name);

test('processes that start at once apply every migration exactly once', async () => {
  const runs = await Promise.all([migrate(connection), migrate(connection), migrate(connection)]);
  const applied = runs.flatMap((run) => run.applied);
  const rows = await sql<{ name: string }[]>`select name from schema_migrations order by name`;
  assert.ok(rows.length > 0);
  assert.deepEqual(
    applied,
    rows.map((row) => row.name),
  );
  assert.deepEqual(new Set(runs.map((run) => run.version)), new Set([rows.at(-1)!.name]));
});

test('a migrated database is left as it is', async () => {
  await migrate(connection, { directory });
  const before = await fingerprint();
  assert.deepEqual((await migrate(connection, { directory })).applied, []);
  assert.deepEqual(await fingerprint(), before);
});

/** Changes whenever any function is made again or any right is granted again. */
async function fingerprint() {
  const [row] = await sql`
    select
      (select sum(xmin::text::bigint) from pg_proc) as functions,
      (select sum(xmin::text::bigint) from pg_class
        where relkind in ('r', 'p', 'v', 'S') and relnamespace in ('public'::regnamespace, 'graphile_worker'::regnamespace)) as rights,
      (select count(*) from pg_class) as relations`;
  return row;
}

test('a migration that was changed after it was applied is refused by name', async () => {
  await migrate(connection, { directory });
  await appendFile(migration('0001-infrastructure.sql'), '\n-- a later thought\n');
  await assert.rejects(migrate(connection, { directory }), {
    code: 'schema_changed',
    message: /0001-infrastructure\.sql/,
  });
});

test('a database of a newer release is refused by name', async () => {
  await writeFile(migration('9000-future.sql'), 'select 1;');
  await migrate(connection, { directory });
  await rm(migration('9000-future.sql'));
  await assert.rejects(migrate(connection, { directory }), { code: 'schema_newer', message: /9000-future\.sql/ });
});

test('a migration that fails leaves nothing behind and says where it failed', async () => {
  await writeFile(migration('9000-broken.sql'), 'create table half_done (id int);\n\nselect no_such_function();\n');
  await assert.rejects(migrate(connection, { directory }), /9000-broken\.sql, line 3: .*no_such_function/);
  const [row] = await sql`select to_regclass('half_done') as found`;
  assert.equal(row!.found, null);
  await writeFile(migration('9000-broken.sql'), 'create table half_done (id int);\n');
  assert.deepEqual((await migrate(connection, { directory })).applied, ['9000-broken.sql']);
});

test('functions and views follow their files, in any order of dependence', async () => {
  await mkdir(join(directory, 'views'), { recursive: true });
  await writeFile(join(directory, 'views', 'answer.sql'), 'create or replace view answer as select 41 as value;');
  await writeFile(
    join(directory, 'functions', 'infrastructure', 'a-first.sql'),
    'create or replace function answer_value() returns int language sql as $$ select value from answer $$;',
  );
  await migrate(connection, { directory });
  assert.equal((await sql`select answer_value() as value`)[0]!.value, 41);
  await writeFile(join(directory, 'views', 'answer.sql'), 'create or replace view answer as select 42 as value;');
  await migrate(connection, { directory });
  assert.equal((await sql`select answer_value() as value`)[0]!.value, 42);
});

test('a function may change its parameters and its result from one release to the next', async () => {
  const file = join(directory, 'functions', 'infrastructure', 'a-first.sql');
  const release = (signature: string, body: string) =>
    writeFile(file, `create or replace function ${signature} language sql as $$ ${body} $$;`);
  await release('answer_value(int) returns int', 'select 41');
  await migrate(connection, { directory });
  await release('answer_value(int, int default 0) returns text', "select 'forty-two'");
  await migrate(connection, { directory });
  assert.equal((await sql`select answer_value(1) as value`)[0]!.value, 'forty-two');
  // Processes of the release before still call the older one; the one after removes it.
  const places = () => sql<{ place: string }[]>`
    select pronamespace::regnamespace::text as place from pg_proc where proname = 'answer_value' order by 1`;
  assert.deepEqual(
    (await places()).map(({ place }) => place),
    ['public', 'retired'],
  );
  await release('answer_value(int, int default 0) returns text', "select 'forty-three'");
  await migrate(connection, { directory });
  assert.deepEqual(
    (await places()).map(({ place }) => place),
    ['public'],
  );
});

test('a migration steps aside for others while somebody holds its table', async () => {
  await migrate(connection, { directory });
  await writeFile(migration('9000-additive.sql'), 'alter table contacts add column mood text;');
  const reader = openSql(connection, { max: 1 });
  try {
    await reader`begin`;
    await reader`select from contacts`;
    const migrated = migrate(connection, { directory });
    const blocked = () =>
      sql`select 1 from pg_stat_activity where query like 'alter table contacts%' and wait_event_type = 'Lock'`;
    await until(async () => (await blocked()).length === 1, { what: 'a migration that waits for its table' });
    // Whoever comes now waits behind it, and gets its turn before the reader is done.
    assert.deepEqual([...(await sql`select from contacts`)], []);
    await reader`commit`;
    assert.deepEqual((await migrated).applied, ['9000-additive.sql']);
  } finally {
    await reader.end();
  }
});

test('a server that is not there is named without the password', async () => {
  const listener = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const { port } = listener.address() as { port: number };
  await new Promise((resolve) => listener.close(resolve));
  const nowhere = { ...connection, host: '127.0.0.1', port, password: 'hunter2' };
  for (const attempt of [migrate(nowhere), openPools(nowhere, { web: 1, worker: 1, admin: 1 })]) {
    await assert.rejects(attempt, (error: Error & { code: string }) => {
      assert.equal(error.code, 'database_unreachable');
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  }
});
