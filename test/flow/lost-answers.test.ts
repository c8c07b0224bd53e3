// The database has written something and its answer got lost, or came to somebody who had been given up: what is written
// stands, what is said again changes nothing.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TurnEnd } from '../../src/bridge/store.ts';
import { type Bridge, bridgeOf, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';

describe('what is said twice or too late', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  const conversation = async (id: string) =>
    (await db.admin`select last_seq, done_seq, running_turn from conversations where id = ${id}`)[0]!;

  /** Ends turns; per turn whether more texts wait, null when it was not ours to end. */
  const pending = async (ends: readonly TurnEnd[]) => (await bridge.finish(ends)).map((end) => end?.pending ?? null);

  /** Texts and the turn that has them; `lost` turns were started before it and given up. */
  async function turnsOf(texts: readonly string[]) {
    const ann = somebody();
    const turns = [];
    let id = '';
    for (const text of texts) {
      id = (await bridge.arrive(ann, text))!.conversationId;
      // Over one that runs: its texts get another job first.
      turns.push((await bridge.start(id)) ?? (await bridge.start(id))!);
    }
    return { ann, id, turns };
  }

  test('a turn that was given up and its successor may end in one batch: only the successor is said', async () => {
    for (const order of ['old first', 'new first']) {
      const { id, turns } = await turnsOf(['one', 'two']);
      const [old, current] = turns.map((turn, n) => reply(turn, [`answer ${n}`]));
      const ends = await pending(order === 'old first' ? [old!, current!] : [current!, old!]);
      assert.deepEqual(order === 'old first' ? ends : ends.toReversed(), [null, false]);
      assert.deepEqual(await conversation(id), { last_seq: 2, done_seq: 2, running_turn: null });
      assert.deepEqual(
        (await bridge.parts(id)).map(({ body }) => body),
        ['answer 1'],
      );
      const states = await db.admin`select state from turns where conversation_id = ${id} order by id`;
      assert.deepEqual(
        states.map(({ state }) => state),
        ['lost', 'replied'],
      );
    }
  });

  test('an end that is committed again is told how the first one went, and says nothing twice', async () => {
    const { ann, id, turns } = await turnsOf(['one']);
    await bridge.arrive(ann, 'meanwhile');
    const end = reply(turns[0]!, ['answer']);
    assert.deepEqual(await pending([end]), [true]);
    // Were this null, the job would end as if another one had the conversation, and the second text would wait for ever.
    assert.deepEqual(await pending([end]), [true]);
    assert.equal((await bridge.parts(id)).length, 1);
    assert.deepEqual(await conversation(id), { last_seq: 2, done_seq: 1, running_turn: null });
  });

  test('what became of a first try, recorded again, cannot put the second one back in line', async () => {
    const id = await bridge.answered(somebody(), ['answer']);
    const [part] = await bridge.parts(id);
    const [first] = await bridge.claim([part!.id]);
    const busy = sendRecord(first!, { state: 'queued', error_code: '20429', run_at_ms: 0 });
    await bridge.record([busy]);
    const [second] = await bridge.claim([part!.id]);
    assert.equal(second?.attempts, 2);
    await bridge.record([busy]);
    assert.equal((await bridge.parts(id))[0]!.state, 'sending');
    const sid = newSid();
    await bridge.record([sendRecord(second!, { state: 'accepted', provider_id: sid })]);
    const [sent] = await bridge.parts(id);
    assert.deepEqual([sent!.state, sent!.provider_id], ['accepted', sid]);
  });

  test('a late acceptance stops the next try', async () => {
    const id = await bridge.answered(somebody(), ['answer']);
    const [part] = await bridge.parts(id);
    const [first] = await bridge.claim([part!.id]);
    // Its worker was taken for dead, and the carrier's list did not show the text in time.
    await bridge.claim([part!.id]);
    await bridge.record([sendRecord(first!, { state: 'queued', run_at_ms: 60_000 })]);
    assert.equal((await bridge.parts(id))[0]!.state, 'queued');
    const sid = newSid();
    await bridge.record([sendRecord(first!, { state: 'accepted', provider_id: sid })]);
    const [sent] = await bridge.parts(id);
    assert.deepEqual([sent!.state, sent!.provider_id], ['accepted', sid]);
    assert.deepEqual(await bridge.claim([part!.id]), [null]);
  });

  test('a clock that was set back makes nobody wait for the old time to come again', async () => {
    const { conversationId } = (await bridge.arrive(somebody(), 'hello'))!;
    await db.admin`update conversations set first_pending_at = now() + interval '20 minutes',
      last_pending_at = now() + interval '20 minutes' where id = ${conversationId}`;
    assert.equal((await bridge.start(conversationId))?.texts.length, 1);
  });
});
