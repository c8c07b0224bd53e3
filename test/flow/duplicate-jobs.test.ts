// Two jobs for one piece of work: a job that was taken keeps its payload, so a second one for the same part or conversation
// may meet it in the same batch. Only one of them may act.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { claimParts, startTurns } from '../../src/bridge/store.ts';
import { type Bridge, bridgeOf, type PartRow, sendRecord, somebody } from '../support/bridge.ts';
import { openCarrier } from '../support/carrier.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';

describe('two jobs that meet', () => {
  let db: TestDatabase;
  let bridge: Bridge;

  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  test('a part that is in a batch twice is handed out once', async () => {
    const conversation = await bridge.answered(somebody(), ['the answer']);
    const [part] = (await bridge.parts(conversation)) as [PartRow];
    const claimed = await claimParts(db.pools.worker, [part.id, part.id], null, 'pool');
    assert.deepEqual(
      claimed.map((each) => each?.part_id ?? null),
      [part.id, null],
    );
  });

  test('a part that is sent ahead of its job keeps the job until what became of it is recorded', async () => {
    const conversation = await bridge.answered(somebody(), ['the answer']);
    const [part] = (await bridge.parts(conversation)) as [PartRow];
    const answered = Promise.withResolvers<void>();
    const carrier = await openCarrier(db, {}, { beforeRecord: () => answered.promise });
    const order: string[] = [];
    const state = async () => (await bridge.parts(conversation))[0]!.state;
    const ahead = carrier.send(part);
    const job = carrier.send(part).then(async () => order.push(`the job ends with the part ${await state()}`));
    await until(() => carrier.simulator.messages().length > 0);
    // Whatever the job does without the part, it has done by then.
    await db.pools.worker`select pg_sleep(0.1)`;
    order.push(`the carrier answers a part that is ${await state()}`);
    answered.resolve();
    await Promise.all([ahead, job]);
    assert.deepEqual(order, ['the carrier answers a part that is sending', 'the job ends with the part accepted']);
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
