// Texts of one person that come within milliseconds, as from a phone that was without a signal.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createIngest } from '../../src/bridge/ingest.ts';
import { inbound, OURS, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

describe('texts that come at once', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  /** Holds somebody's conversation, as a turn that is being committed does; gives how to let go of it. */
  async function hold(their: string): Promise<() => Promise<void>> {
    const [held, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = db.admin.begin(async (tx) => {
      await tx`select 1 from conversations where their_address = ${their} for update`;
      held.resolve();
      await end.promise;
    });
    await held.promise;
    return async () => {
      end.resolve();
      await holding;
    };
  }

  test('none overtakes an older one whose batch waits for somebody else', async () => {
    const ingest = createIngest({
      sql: db.pools.web,
      quietMs: 0,
      optOutScope: null,
      ourNumbers: () => new Set([OURS]),
    });
    // In this order: conversations are locked by their ids.
    const [other, ann, third] = [somebody(), somebody(), somebody()];
    for (const each of [other, ann, third]) await ingest.take(inbound(each, 'hello'));
    const letGo = await hold(other);
    const first = [ingest.take(inbound(other, 'again')), ingest.take(inbound(ann, 'one'))];
    const isWaiting = () =>
      db.admin`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await until(async () => (await isWaiting()).length, { what: 'a batch that waits' });
    const second = ingest.take(inbound(ann, 'two'));
    // Nobody else waits for it, and what could be taken with this one has been.
    await ingest.take(inbound(third, 'me too'));
    await letGo();
    await Promise.all([...first, second]);
    const rows = await db.admin<{ body: string }[]>`
      select m.body from messages m join conversations c on c.id = m.conversation_id
      where c.their_address = ${ann} order by m.seq`;
    assert.deepEqual(
      rows.map(({ body }) => body),
      ['hello', 'one', 'two'],
    );
  });
});
