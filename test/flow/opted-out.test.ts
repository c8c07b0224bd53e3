// After a STOP nothing but the answers to START and HELP may leave, whatever state things were in.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { recordSends } from '../../src/bridge/store.ts';
import { type Bridge, bridgeOf, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';

describe('somebody who has opted out', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  test('gets no confirmation of a RESET', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['answer']);
    await bridge.keyword(ann, 'STOP', { optOutHandled: 'STOP' });
    await bridge.keyword(ann, 'RESET');
    assert.deepEqual(
      (await bridge.parts(id)).map(({ kind, state }) => [kind, state]),
      [['reply', 'void']],
    );
    await bridge.keyword(ann, 'HELP');
    assert.equal((await bridge.parts(id)).at(-1)!.kind, 'notice');
  });

  test('a void part hides no part behind which the next one has to wait', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['one', 'two']);
    const [one] = await bridge.parts(id);
    const [claimed] = await bridge.claim([one!.id]);
    await bridge.keyword(ann, 'STOP', { optOutHandled: 'STOP' });
    await bridge.keyword(ann, 'START', { optOutHandled: 'START' });
    await bridge.answered(ann, ['next']);
    const [, two, next] = await bridge.parts(id);
    assert.equal(two!.state, 'void');
    assert.equal((await bridge.sendJobs()).has(next!.id), false, 'it would overtake the first part');
    await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: newSid() })]);
    assert.equal((await bridge.sendJobs()).has(next!.id), true);
  });

  test('the answer to a keyword does not wait for what became of an unknown part; an answer of an agent does', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['one']);
    const [one] = await bridge.parts(id);
    const [claimed] = await bridge.claim([one!.id]);
    await bridge.record([sendRecord(claimed!, { state: 'unknown', run_at_ms: 60_000 })]);
    await bridge.keyword(ann, 'RESET');
    await bridge.answered(ann, ['next']);
    const [, notice, next] = await bridge.parts(id);
    const jobs = await bridge.sendJobs();
    assert.deepEqual([jobs.has(notice!.id), jobs.has(next!.id)], [true, false]);

    const [sent] = await bridge.claim([notice!.id]);
    await bridge.record([sendRecord(sent!, { state: 'accepted', provider_id: newSid() })]);
    assert.equal((await bridge.sendJobs()).has(next!.id), false, 'it overtakes the unknown part behind the notice');
    await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: newSid() })]);
    assert.equal((await bridge.sendJobs()).has(next!.id), true);
  });

  test('the answer to a keyword does not wait for parts that wait themselves', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['one', 'two']);
    const [one, two] = await bridge.parts(id);
    const [claimed] = await bridge.claim([one!.id]);
    await bridge.record([sendRecord(claimed!, { state: 'unknown', run_at_ms: 60_000 })]);
    await bridge.keyword(ann, 'Help!', { optOutHandled: null });
    const help = (await bridge.parts(id)).find(({ kind }) => kind === 'notice');
    const jobs = await bridge.sendJobs();
    assert.deepEqual([jobs.has(two!.id), jobs.has(help!.id)], [false, true]);
    const [sent] = await bridge.claim([help!.id]);
    await bridge.record([sendRecord(sent!, { state: 'accepted', provider_id: newSid() })]);
    await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: newSid() })]);
    assert.ok((await bridge.sendJobs()).has(two!.id), 'the second part is forgotten');
  });

  test('has nothing running any more when the carrier says it (21610), with any number that the opt-out covers', async () => {
    const ann = somebody();
    const elsewhere = (await bridge.arrive(ann, 'hello', { to: '+15550008888' }))!.conversationId;
    const turn = (await bridge.start(elsewhere))!;
    const id = await bridge.answered(ann, ['one', 'two']);
    await bridge.arrive(ann, 'and again');
    const [one] = await bridge.parts(id);
    const [claimed] = await recordWithScope('MG1', one!.id);
    assert.equal(claimed!.part_id, one!.id);
    assert.deepEqual(
      (await bridge.parts(id)).map(({ state, error_code }) => [state, error_code]),
      [
        ['failed', '21610'],
        ['void', 'earlier_part_failed'],
      ],
    );
    assert.equal(await bridge.start(id), null, 'a turn starts for somebody who may not be answered');
    assert.deepEqual(await bridge.finish([reply(turn, ['too late'])]), [null]);
  });

  test('and has texted START since the carrier refused a text stays in, however late we hear of the refusal', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['one']);
    const [one] = await bridge.parts(id);
    const [claimed] = await bridge.claim([one!.id]);
    await bridge.keyword(ann, 'STOP', { optOutHandled: 'STOP' });
    await bridge.keyword(ann, 'START', { optOutHandled: 'START' });
    await bridge.record([sendRecord(claimed!, { state: 'failed', error_code: '21610', opted_out: true })]);
    assert.equal((await bridge.arrive(ann, 'hello again'))!.refused, null);
    const turn = (await bridge.start(id))!;
    await bridge.status([{ part: one!.id, sid: newSid(), state: 'failed', errorCode: '21610', optedOut: true }]);
    assert.equal((await bridge.finish([reply(turn, ['welcome back'])])).length, 1);
    const [, next] = await bridge.parts(id);
    assert.equal(next!.state, 'queued');
    // What is refused after the START is news.
    const [again] = await bridge.claim([next!.id]);
    await bridge.record([sendRecord(again!, { state: 'failed', error_code: '21610', opted_out: true })]);
    assert.equal((await bridge.arrive(ann, 'hello?'))!.refused, 'opted_out');
  });

  test('before the database’s clock was set back is in again with a START after that', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['one']);
    await bridge.keyword(ann, 'STOP', { optOutHandled: 'STOP' });
    await db.admin`update consents set changed_at = changed_at + interval '1 hour' where their_address = ${ann}`;
    await db.admin`
      update conversations set outage_told_at = now() + interval '1 hour', held_until = now() + interval '59 minutes',
        answered_at = array(select now() + interval '1 hour' from generate_series(1, 9))
      where id = ${id}`;
    await db.pools.worker`select shift_times(3600)`;
    await bridge.keyword(ann, 'START', { optOutHandled: 'START' });
    assert.equal((await bridge.arrive(ann, 'hello again'))!.refused, null);
    const [row] = await db.admin<{ told: boolean; held: boolean; answers: number }[]>`
      select outage_told_at <= now() as told, held_until > now() as held, (select count(*)::int from unnest(answered_at) at where at <= now()) as answers
      from conversations where id = ${id}`;
    assert.deepEqual({ ...row }, { told: true, held: false, answers: 9 });
  });

  /** Claims a part and records that the carrier refused it because the person has opted out of the whole service. */
  async function recordWithScope(scope: string, partId: string) {
    const claimed = await bridge.claim([partId]);
    const refused = { state: 'failed', error_code: '21610', opted_out: true } as const;
    await recordSends(db.pools.worker, [sendRecord(claimed[0]!, refused)], scope);
    return claimed;
  }
});
