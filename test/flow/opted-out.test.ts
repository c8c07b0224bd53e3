// After a STOP nothing but the answers to START and HELP may leave, whatever state things were in.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Bridge, bridgeOf, sendRecord, somebody } from '../support/bridge.ts';
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
    await bridge.keyword(ann, 'Start.');
    const [, two, welcome] = await bridge.parts(id);
    assert.equal(two!.state, 'void');
    assert.equal(welcome!.kind, 'notice');
    assert.equal((await bridge.sendJobs()).has(welcome!.id), false, 'it would overtake the first part');
    await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: newSid() })]);
    assert.equal((await bridge.sendJobs()).has(welcome!.id), true);
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
  });
});
