// The overview against counting everything, and what it costs when many ask.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createOverview } from '../../src/inbox/overview.ts';
import { bridgeOf, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { inboxOf } from '../support/inbox.ts';

describe('the overview', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
    const bridge = bridgeOf(db);
    const inbox = inboxOf(db);
    // Out of both windows, and in one of them.
    const old = await inbox.conversation();
    await inbox.say([
      { conversation: old, minutes: 25 * 60 },
      { conversation: old, minutes: 90 },
    ]);
    await bridge.answered(somebody(), ['fine']);
    const failing = await bridge.answered(somebody(), ['lost']);
    const [part] = await bridge.parts(failing);
    const [claimed] = await bridge.claim([part!.id]);
    await bridge.record([sendRecord(claimed!, { state: 'failed', error_code: '30007' })]);
    // Too late to be worth anything when its turn to be sent came.
    await bridge.expire(await bridge.answered(somebody(), ['too late']));
    const [other] = await bridge.parts(await bridge.answered(somebody(), ['on its way']));
    await bridge.record([sendRecord((await bridge.claim([other!.id]))[0]!, { state: 'accepted' })]);
    const turn = (await bridge.start((await bridge.arrive(somebody(), 'anybody?'))!.conversationId))!;
    await bridge.finish([
      { ...reply(turn, ['sorry']), state: 'fell_back', kind: 'fallback', error_code: 'agent_none' },
    ]);
    const later = (await bridge.start((await bridge.arrive(somebody(), 'a hard one'))!.conversationId))!;
    await bridge.finish([
      {
        ...reply(later, []),
        state: 'deferred',
        kind: null,
        body: null,
        deferred_until: new Date(Date.now() + 600_000),
      },
    ]);
    const waiting = somebody();
    await bridge.arrive(waiting, 'one');
    await bridge.arrive(waiting, 'two');
    const taken = await bridge.arrive(somebody(), 'for an operator');
    await db.pools.web`select * from take_over(${taken!.conversationId}, 'operator', 30)`;
  });
  after(() => db.drop());

  it('counts texts, answers, parts and what waits', async () => {
    const figures = await createOverview(inboxOf(db).reader)('1h');
    assert.deepEqual(
      [figures.texts_in, figures.texts_out, figures.turns, figures.answered_share],
      [9, 5, { replied: 4, fell_back: 1, other: 1 }, 4 / 5],
    );
    assert.deepEqual(figures.parts, { delivered: 0, failed: 2, under_way: 1, unknown: 0 });
    assert.equal(figures.waiting.texts, 2);
    assert.equal(figures.waiting.conversations, 1);
    assert.equal(figures.waiting.deferred, 1);
    assert.ok(figures.waiting.oldest_ms! >= 0);
    const { oldest_ms: operatorOldest, ...withOperator } = figures.waiting.with_operator;
    assert.deepEqual(withOperator, { texts: 1, conversations: 1 });
    assert.ok(operatorOldest! >= 0);
    assert.ok(figures.time_to_answer_ms!.p50 > 0);
    assert.equal(figures.series.points.length, 60);
    const sum = (key: 'texts_in' | 'texts_out' | 'failed' | 'fell_back') =>
      figures.series.points.reduce((total, point) => total + point[key], 0);
    assert.deepEqual([sum('texts_in'), sum('texts_out'), sum('failed'), sum('fell_back')], [9, 5, 2, 1]);
  });

  it('says since when the oldest text waits, not since when texts have been waiting', async () => {
    await using stack = new AsyncDisposableStack();
    const steady = await freshDatabase();
    stack.defer(() => steady.drop());
    const bridge = bridgeOf(steady);
    const [sometimes, always] = [somebody(), somebody()];
    for (const person of [sometimes, always]) await bridge.arrive(person, 'one');
    // As long ago as if four minutes had gone by: each of its texts was answered, and the next was there already.
    const past = async () => {
      await steady.admin`update conversations set first_pending_at = first_pending_at - interval '2 minutes'`;
    };
    const age = async () => (await createOverview(inboxOf(steady).reader)('1h')).waiting.oldest_ms!;
    await past();
    assert.ok((await age()) >= 120_000);
    for (const person of [sometimes, always]) {
      const { conversationId } = (await bridge.arrive(person, 'two'))!;
      const turn = (await bridge.start(conversationId))!;
      await bridge.arrive(person, 'three');
      await bridge.finish([reply(turn, ['answer'])]);
    }
    await past();
    const { texts } = (await createOverview(inboxOf(steady).reader)('1h')).waiting;
    assert.equal(texts, 2);
    assert.ok((await age()) < 120_000);
    const [row] = await steady.admin<{ oldest: Date }[]>`
      select min(waiting_since(c)) as oldest from conversations c where last_seq > done_seq`;
    assert.ok(Date.now() - row!.oldest.getTime() < 120_000);
  });

  it('does not take who got no answer for somebody who was answered at once', async () => {
    await using stack = new AsyncDisposableStack();
    const empty = await freshDatabase();
    stack.defer(() => empty.drop());
    const bridge = bridgeOf(empty);
    const turn = (await bridge.start((await bridge.arrive(somebody(), 'anybody?'))!.conversationId))!;
    await bridge.finish([
      { ...reply(turn, ['sorry']), state: 'fell_back', kind: 'fallback', error_code: 'agent_none' },
    ]);
    const { turns, time_to_answer_ms, series } = await createOverview(inboxOf(empty).reader)('1h');
    assert.deepEqual([turns.fell_back, time_to_answer_ms], [1, null]);
    assert.ok(series.points.every(({ p50_ms }) => p50_ms === null));
  });

  it('reaches back over a day when asked to', async () => {
    const figures = await createOverview(inboxOf(db).reader)('24h');
    assert.equal(figures.texts_in, 10);
    assert.equal(figures.series.points.length, 96);
  });

  it('is computed once for all that ask at once', async () => {
    const overview = createOverview(inboxOf(db).reader);
    const [first, ...others] = await Promise.all(Array.from({ length: 20 }, () => overview('1h')));
    for (const other of others) assert.equal(other, first);
  });
});
