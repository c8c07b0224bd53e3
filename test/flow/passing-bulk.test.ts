// What a person is answered does not wait for an agent's own texts to that person, which may have a place in line hours ahead.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Bridge, bridgeOf, type PartRow, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { newSid } from '../support/signed-webhook.ts';

describe('a person for whom bulk waits', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  /** Parts of an agent's own text, which leave in an hour. */
  async function bulk(id: string, bodies: readonly string[]): Promise<void> {
    const parts = bodies.map((text) => ({ text, segments: 1 }));
    const post = [{ conversation_id: id, kind: 'proactive', body: bodies.join(' '), parts }];
    await db.admin.begin(async (sql) => {
      await sql`select queue_replies(${JSON.stringify(post)}::text::json, false)`;
      await sql`
        update outbound_parts set send_at = now() + interval '1 hour' where conversation_id = ${id} and kind = 'proactive'`;
      await sql`
        update graphile_worker._private_jobs set run_at = now() + interval '1 hour'
        where key in (select 'send:' || p.id from outbound_parts p where p.conversation_id = ${id})`;
    });
  }

  async function answer(id: string, person: string, bodies: readonly string[]): Promise<void> {
    await bridge.arrive(person, 'hello');
    await bridge.finish([reply((await bridge.start(id))!, bodies)]);
  }

  const line = async (id: string) =>
    (await bridge.parts(id)).map(({ body, state, position }) => [Number(position), body, state]);
  const named = async (id: string, body: string): Promise<PartRow> =>
    (await bridge.parts(id)).find((part) => part.body === body)!;
  const dueMinutes = async (part: PartRow): Promise<number | null> => {
    const due = (await bridge.sendJobs()).get(part.id);
    return due ? Math.round(Math.abs(due.getTime() - Date.now()) / 60_000) : null;
  };

  /** The part is claimed and has reached its person. */
  async function arriveAtPerson(part: PartRow): Promise<void> {
    const [claimed] = await bridge.claim([part.id]);
    const sid = newSid();
    await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: sid })]);
    await bridge.status([{ part: part.id, sid, state: 'sent' }]);
  }

  test('is answered at once, part by part, and gets the bulk after that', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['welcome']);
    await bulk(id, ['news', 'more news']);
    await answer(id, ann, ['one', 'two']);
    assert.deepEqual(await line(id), [
      [1, 'welcome', 'queued'],
      [2, 'one', 'queued'],
      [3, 'two', 'queued'],
      [4, 'news', 'queued'],
      [5, 'more news', 'queued'],
    ]);
    assert.equal(await dueMinutes(await named(id, 'one')), null, 'it would overtake an answer');
    await arriveAtPerson(await named(id, 'welcome'));
    assert.deepEqual([await dueMinutes(await named(id, 'one')), await dueMinutes(await named(id, 'two'))], [0, null]);
    await arriveAtPerson(await named(id, 'one'));
    assert.equal(await dueMinutes(await named(id, 'two')), 0);
    await arriveAtPerson(await named(id, 'two'));
    assert.deepEqual(
      [await dueMinutes(await named(id, 'news')), await dueMinutes(await named(id, 'more news'))],
      [60, null],
    );
    // Once more, now that the bulk is at its head again.
    await answer(id, ann, ['three']);
    assert.equal(await dueMinutes(await named(id, 'three')), 0);
    await arriveAtPerson(await named(id, 'three'));
    await arriveAtPerson(await named(id, 'news'));
    assert.equal(await dueMinutes(await named(id, 'more news')), 60);
    assert.deepEqual(
      (await line(id)).map(([, body]) => body),
      ['welcome', 'one', 'two', 'three', 'news', 'more news'],
    );
  });

  test('bulk whose time comes meanwhile leaves, holds up nothing behind it, and leaves once', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['welcome']);
    await arriveAtPerson(await named(id, 'welcome'));
    await bulk(id, ['news']);
    await answer(id, ann, ['one', 'two']);
    await arriveAtPerson(await named(id, 'news'));
    await arriveAtPerson(await named(id, 'one'));
    await arriveAtPerson(await named(id, 'two'));
    await answer(id, ann, ['three']);
    assert.equal(await dueMinutes(await named(id, 'three')), 0);
    assert.deepEqual(await bridge.claim([(await named(id, 'news')).id]), [null]);
  });

  test('bulk that is on its way already stays before the answer', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['welcome']);
    await arriveAtPerson(await named(id, 'welcome'));
    await bulk(id, ['news', 'more news']);
    const [claimed] = await bridge.claim([(await named(id, 'news')).id]);
    await answer(id, ann, ['one']);
    assert.deepEqual(
      (await line(id)).map(([, body]) => body),
      ['welcome', 'news', 'one', 'more news'],
    );
    assert.equal(await dueMinutes(await named(id, 'one')), null);
    await bridge.record([sendRecord(claimed!, { state: 'failed', error_code: '30003' })]);
    assert.equal(await dueMinutes(await named(id, 'one')), 0);
    assert.equal((await named(id, 'more news')).state, 'void');
  });

  test('does not wait for bulk that goes back into line, which keeps the time it was given and its order', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['welcome']);
    await arriveAtPerson(await named(id, 'welcome'));
    await bulk(id, ['news', 'more news']);
    const [claimed] = await bridge.claim([(await named(id, 'news')).id]);
    await answer(id, ann, ['one', 'two']);
    assert.equal(await dueMinutes(await named(id, 'one')), null);
    await bridge.record([sendRecord(claimed!, { state: 'queued', error_code: '20429', run_at_ms: 7_200_000 })]);
    assert.deepEqual([await dueMinutes(await named(id, 'one')), await dueMinutes(await named(id, 'news'))], [0, 120]);
    await arriveAtPerson(await named(id, 'one'));
    await arriveAtPerson(await named(id, 'two'));
    assert.deepEqual(
      [await dueMinutes(await named(id, 'news')), await dueMinutes(await named(id, 'more news'))],
      [120, null],
    );
    await answer(id, ann, ['three']);
    assert.equal(await dueMinutes(await named(id, 'news')), 120);
    await arriveAtPerson(await named(id, 'three'));
    const [again] = await bridge.claim([(await named(id, 'news')).id]);
    await bridge.record([sendRecord(again!, { state: 'accepted', provider_id: newSid() })]);
    assert.equal(await dueMinutes(await named(id, 'more news')), 60);
  });

  test('hears no answer before an earlier one that is not through, whatever bulk has left in between', async () => {
    for (const trouble of ['queued', 'unknown'] as const) {
      const ann = somebody();
      const id = await bridge.answered(ann, ['welcome']);
      await arriveAtPerson(await named(id, 'welcome'));
      await bulk(id, ['news']);
      await answer(id, ann, ['one']);
      const [claimed] = await bridge.claim([(await named(id, 'one')).id]);
      await arriveAtPerson(await named(id, 'news'));
      await bridge.record([sendRecord(claimed!, { state: trouble, run_at_ms: 60_000 })]);
      await answer(id, ann, ['two']);
      assert.equal(await dueMinutes(await named(id, 'two')), null, trouble);
      await bridge.status([{ part: claimed!.part_id, sid: newSid(), state: 'sent' }]);
      assert.equal(await dueMinutes(await named(id, 'two')), 0, trouble);
    }
  });

  test('is answered behind bulk that the carrier did not take, without waiting for it', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['welcome']);
    await arriveAtPerson(await named(id, 'welcome'));
    await bulk(id, ['news']);
    await answer(id, ann, ['one', 'two']);
    const [one] = await bridge.claim([(await named(id, 'one')).id]);
    const [news] = await bridge.claim([(await named(id, 'news')).id]);
    await answer(id, ann, ['three']);
    assert.deepEqual((await line(id)).map(([, body]) => body).slice(-2), ['news', 'three']);
    await bridge.record([sendRecord(news!, { state: 'queued', error_code: '20429', run_at_ms: 7_200_000 })]);
    await bridge.record([sendRecord(one!, { state: 'accepted', provider_id: newSid() })]);
    const [two] = await bridge.claim([(await named(id, 'two')).id]);
    await bridge.record([sendRecord(two!, { state: 'failed', error_code: '30003' })]);
    assert.equal(await dueMinutes(await named(id, 'three')), 0);
  });

  test('is answered after two minutes although nobody can say what became of bulk before the answer', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['welcome']);
    await arriveAtPerson(await named(id, 'welcome'));
    await bulk(id, ['news']);
    const [claimed] = await bridge.claim([(await named(id, 'news')).id]);
    await answer(id, ann, ['one']);
    const look = () => bridge.record([sendRecord(claimed!, { state: 'unknown', run_at_ms: 60_000 })]);
    await look();
    assert.equal(await dueMinutes(await named(id, 'one')), null);
    await db.admin`update outbound_parts set sending_at = sending_at - interval '3 minutes' where conversation_id = ${id}`;
    await look();
    assert.equal(await dueMinutes(await named(id, 'one')), 0);
  });

  test('hears the answer to a keyword at once, and nothing after a STOP', async () => {
    const ann = somebody();
    const id = await bridge.answered(ann, ['welcome']);
    await arriveAtPerson(await named(id, 'welcome'));
    await bulk(id, ['news']);
    await bridge.keyword(ann, 'HELP');
    const [, help, news] = (await bridge.parts(id)) as [PartRow, PartRow, PartRow];
    assert.deepEqual([help.kind, news.body], ['notice', 'news']);
    assert.equal(await dueMinutes(help), 0);
    await answer(id, ann, ['one']);
    await arriveAtPerson(help);
    assert.equal(await dueMinutes(await named(id, 'one')), 0);
    await bridge.keyword(ann, 'STOP', { optOutHandled: 'STOP' });
    assert.deepEqual(
      (await line(id)).slice(2).map(([, , state]) => state),
      ['void', 'void'],
    );
    assert.deepEqual(await bridge.claim([(await named(id, 'news')).id]), [null]);
  });
});
