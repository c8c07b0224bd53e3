// Indexes that a table of the text path gains later: built without holding a text up, and only when there is time.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { migrate } from '../../src/database/migrate.ts';
import { bridgeOf, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

describe('an index that came later', () => {
  let db: TestDatabase;
  beforeEach(async () => {
    db = await freshDatabase();
  });
  afterEach(() => db.drop());

  const valid = async () =>
    (
      await db.admin<{ name: string }[]>`
        select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relname in ('outbound_parts_errors', 'turns_errors', 'outbound_parts_provider_id') and i.indisvalid order by 1`
    ).map(({ name }) => name);
  const ALL = ['outbound_parts_errors', 'outbound_parts_provider_id', 'turns_errors'];

  it('is there from the beginning in a new database, and built once', async () => {
    assert.deepEqual(await valid(), ALL);
    assert.deepEqual((await migrate(db.connection, { indexes: 'all' })).indexes, []);
  });

  it('of a table in use is left for later: a start waits for nobody', async () => {
    await db.admin`drop index turns_errors`;
    const begun = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    const writer = db.admin.begin(async (tx) => {
      await tx`lock table turns in row exclusive mode`;
      begun.resolve();
      await done.promise;
    });
    await begun.promise;
    assert.deepEqual((await migrate(db.connection)).indexes, []);
    done.resolve();
    await writer;
    assert.deepEqual((await migrate(db.connection)).indexes, ['turns_errors']);
    assert.deepEqual(await valid(), ALL);
  });

  it('whose building broke off is built anew', async () => {
    await db.admin`update pg_index set indisvalid = false where indexrelid = 'turns_errors'::regclass`;
    assert.deepEqual(await valid(), ALL.slice(0, 2));
    assert.deepEqual((await migrate(db.connection, { indexes: 'all' })).indexes, ['turns_errors']);
    assert.deepEqual(await valid(), ALL);
  });

  it('costs the text path no HOT update: its code stays null where nothing fails', async () => {
    const bridge = bridgeOf(db);
    for (let n = 0; n < 20; n++) {
      const [part] = await bridge.parts(await bridge.answered(somebody(), ['fine']));
      const [claimed] = await bridge.claim([part!.id]);
      await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: `SM${n}` })]);
      for (const state of ['sent', 'delivered'] as const)
        await bridge.status([{ part: part!.id, sid: `SM${n}`, state }]);
    }
    await db.admin`select pg_stat_force_next_flush()`;
    for (const pool of [db.pools.web, db.pools.worker]) {
      await Promise.all(Array.from({ length: 4 }, () => pool`select pg_stat_force_next_flush()`));
      await Promise.all(Array.from({ length: 4 }, () => pool`select 1`));
    }
    const rows = await db.admin<{ table: string; n: number; hot: number }[]>`
      select relname as table, n_tup_upd as n, n_tup_hot_upd as hot from pg_stat_user_tables
      where relname in ('turns', 'outbound_parts') order by 1`;
    for (const { table, n, hot } of rows) {
      assert.ok(n >= 20, `${table}: ${n} updates are known`);
      assert.equal(hot, n, `${table}: ${hot} of ${n} updates are HOT`);
    }
  });
});
