// Two jobs for one piece of work: a job that was taken keeps its payload, so a second one for the same part or conversation
// may meet it in the same batch. Only one of them may act.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startTurns } from '../../src/bridge/store.ts';
import { type Bridge, bridgeOf, type PartRow, sendRecord, somebody } from '../support/bridge.ts';
import { openCarrier } from '../support/carrier.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';

describe('two jobs that meet', () => {
  let db: TestDatabase;
  let bridge: Bridge;

  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  test('a part whose job meets the sending of it ahead of that has another job until its end is recorded', async () => {
    const person = somebody();
    const conversation = await bridge.answered(person, ['the answer']);
    const [part] = (await bridge.parts(conversation)) as [PartRow];
    const answered = Promise.withResolvers<void>();
    const carrier = await openCarrier(db, {}, { beforeRecord: () => answered.promise, poolId: 'a pool that lives' });
    await db.admin`
      insert into worker_pools (pool_id, worker_ids, lock_key, host, pid) values ('a pool that lives', '{}', 1, 'here', 1)`;
    // The library has fetched the job; it deletes it when its handler resolves.
    const [job] = await db.admin<{ id: string }[]>`
      update graphile_worker._private_jobs set locked_by = 'a worker', locked_at = now() where key = ${`send:${part.id}`}
      returning id`;
    const ahead = carrier.send(part);
    await carrier.send(part);
    await db.admin`delete from graphile_worker._private_jobs where id = ${job!.id}`;
    assert.equal((await bridge.parts(conversation))[0]!.state, 'sending');
    assert.ok((await bridge.sendJobs()).has(part.id), 'a death now would leave the part to nobody');
    answered.resolve();
    await ahead;
    assert.equal((await bridge.parts(conversation))[0]!.state, 'accepted');
    assert.equal(carrier.taken(person).length, 1);
    await carrier.close();
  });

  test('a turn goes to the newest token, whatever stale job is in the same batch', async () => {
    const conversation = await bridge.answered(somebody(), ['the answer']);
    const [row] = await db.admin<{ token: number }[]>`
      update conversations set token = token + 1, last_seq = last_seq + 1, first_pending_at = clock_timestamp(),
        last_pending_at = clock_timestamp()
      where id = ${conversation} returning token`;
    const token = row!.token;
    const jobs = [token - 1, token, token].map((each) => ({ conversationId: conversation, token: each }));
    const starts = await startTurns(db.pools.worker, jobs, { quietMs: 0, maxTexts: 50 });
    assert.deepEqual(
      starts.map((start) => start?.kind ?? null),
      [null, 'turn', null],
    );
  });

  test('"delivered" after "sent" gives the next part no second job while its first one is being taken', async () => {
    const conversation = await bridge.answered(somebody(), ['one', 'two']);
    const [one, two] = (await bridge.parts(conversation)) as [PartRow, PartRow];
    const sid = newSid();
    await bridge.claim([one.id]);
    await bridge.record([
      sendRecord({ part_id: one.id, conversation_id: conversation }, { state: 'accepted', provider_id: sid }),
    ]);
    await bridge.status([{ part: one.id, sid, state: 'sent' }]);
    // A worker has fetched the job and not yet claimed the part.
    await db.admin`
      update graphile_worker._private_jobs set locked_by = 'somebody', locked_at = now()
      where key = ${`send:${two.id}`}`;
    await bridge.status([{ part: one.id, sid, state: 'delivered' }]);
    const [jobs] = await db.admin<{ n: number }[]>`
      select count(*)::int as n from graphile_worker._private_jobs where payload ->> 'p' = ${two.id}`;
    assert.equal(jobs?.n, 1);
  });
});
