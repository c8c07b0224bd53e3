// What counts in a brand's day: each text that leaves, once, however often it is tried and whoever was answered with it.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Bridge, bridgeOf, OURS, type PartRow, reply, somebody } from '../support/bridge.ts';
import { type Carrier, openCarrier } from '../support/carrier.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

const PER_DAY = 100;

describe('the day of a brand', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  let carrier: Carrier;
  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db, { pacing: true });
    carrier = await openCarrier(db);
    await db.admin`insert into brands (name, daily_segments) values ('brand', ${PER_DAY})`;
    await db.admin`insert into campaigns (name, brand_id) select 'campaign', id from brands`;
    await db.admin`
      insert into phone_numbers (address, segments_per_second, campaign_id) select ${OURS}, 1000000, id from campaigns`;
  });
  beforeEach(() => db.admin`truncate pacing_windows, sender_pacing`);
  after(async () => {
    await carrier.close();
    await db.drop();
  });

  /** What is counted from today on. */
  async function counted(): Promise<{ taken: number; planned: number }> {
    const [row] = await db.admin<{ taken: number; planned: number }[]>`
      select coalesce(sum(taken), 0)::int as taken, coalesce(sum(planned), 0)::int as planned from pacing_windows`;
    return row!;
  }
  /** This much is taken of today and of tomorrow, whichever it is by the end of the test. */
  const take = (segments: number) => db.admin`
    insert into pacing_windows as w (holder, starts_at, taken)
    select brands.id, window_at(now(), true, n), ${segments} from brands, generate_series(0, 1) n
    on conflict (holder, starts_at) do update set taken = w.taken + ${segments}`;
  async function answer(): Promise<PartRow> {
    return (await bridge.parts(await bridge.answered(somebody(), ['the answer'])))[0]!;
  }
  async function news(): Promise<PartRow> {
    const { conversationId } = (await bridge.arrive(somebody(), 'remind me'))!;
    const parts = [{ text: 'news', segments: 1 }];
    const post = [{ conversation_id: conversationId, kind: 'proactive', body: 'news', parts }];
    await db.admin`select queue_replies(${JSON.stringify(post)}::text::json, true)`;
    return (await bridge.parts(conversationId))[0]!;
  }
  const stateOf = async ({ id }: PartRow) =>
    (await db.admin<{ state: string }[]>`select state from outbound_parts where id = ${id}`)[0]!.state;

  test('an answer that the carrier refused many times counts once', async () => {
    await carrier.wire.down();
    const part = await answer();
    for (let tries = 0; tries < 5; tries++) await carrier.send(part);
    assert.equal(await stateOf(part), 'queued');
    assert.equal((await counted()).taken, 1);
    await carrier.wire.up();
    await carrier.send(part);
    assert.equal(await stateOf(part), 'accepted');
    assert.equal((await counted()).taken, 1);
  });

  test('one that nobody sent at its time counts once', async () => {
    const part = await answer();
    await db.admin`update outbound_parts set send_at = send_at - interval '1 minute' where id = ${part.id}`;
    await carrier.send(part);
    assert.equal(await stateOf(part), 'accepted');
    assert.equal((await counted()).taken, 1);
  });

  test('a refused answer has its place in a day that has become full', async () => {
    const part = await answer();
    await take(PER_DAY - 1);
    carrier.simulator.faults.set({ http429: 2 });
    for (let tries = 0; tries < 3; tries++) await carrier.send(part);
    assert.equal(await stateOf(part), 'accepted');
  });

  test('bulk that was refused many times counts once, and leaves what is planned for others', async () => {
    const [tried, waiting] = [await news(), await news()];
    assert.deepEqual(await counted(), { taken: 0, planned: 2 });
    carrier.simulator.faults.set({ http429: 3 });
    for (let tries = 0; tries < 3; tries++) await carrier.send(tried);
    assert.equal(await stateOf(tried), 'queued');
    assert.deepEqual(await counted(), { taken: 1, planned: 1 });
    await carrier.send(tried);
    await carrier.send(waiting);
    assert.deepEqual([await stateOf(tried), await stateOf(waiting)], ['accepted', 'accepted']);
    assert.deepEqual(await counted(), { taken: 2, planned: 0 });
  });

  test('bulk that was refused and gives way holds no room', async () => {
    const part = await news();
    carrier.simulator.faults.set({ http429: 1 });
    await carrier.send(part);
    assert.deepEqual(await counted(), { taken: 1, planned: 0 });
    await db.admin`update sender_pacing set replies_until = now() + interval '1 minute'`;
    await carrier.send(part);
    assert.deepEqual(await counted(), { taken: 0, planned: 1 });
  });

  test('an answer that it has no room for takes no smaller one along that is committed with it, and its own rest does not leave', async () => {
    await take(PER_DAY - 5);
    const turns = [];
    for (let n = 0; n < 2; n++)
      turns.push((await bridge.start((await bridge.arrive(somebody(), 'hello'))!.conversationId))!);
    const [large, small] = turns.map((turn) => turn.conversationId);
    await bridge.finish([
      {
        ...reply(turns[0]!, []),
        parts: [
          { text: 'large', segments: 6 },
          { text: 'rest', segments: 1 },
        ],
      },
      reply(turns[1]!, ['small']),
    ]);
    const states = async (id: string) => (await bridge.parts(id)).map(({ state }) => state);
    assert.deepEqual(await states(large!), ['void', 'void']);
    assert.deepEqual(await states(small!), ['queued']);
  });

  test('WhatsApp has a line of its own: no campaign limits it, and it takes no room of one', async () => {
    await db.admin`update phone_numbers set segments_per_second = 0.01`;
    await answer();
    await take(PER_DAY);
    const { taken } = await counted();
    const onWhatsApp = async () => {
      const { conversationId } = (await bridge.arrive(somebody(), 'hello', { channel: 'whatsapp' }))!;
      await bridge.finish([reply((await bridge.start(conversationId))!, ['the answer'], 4)]);
      return (await bridge.parts(conversationId))[0]!;
    };
    const [first, second] = [await onWhatsApp(), await onWhatsApp()];
    assert.deepEqual([first.state, second.state], ['queued', 'queued']);
    assert.equal((await counted()).taken, taken);
    // As long as 80 a second need for the first, and what passed between the two.
    const gapMs = second.send_at.getTime() - first.send_at.getTime();
    assert.ok(gapMs >= 50 - 1 && gapMs < 100_000, `${gapMs} ms`);
    assert.notEqual((await bridge.claim([first.id]))[0], null);
    await db.admin`update outbound_parts set send_at = send_at - interval '1 minute' where id = ${second.id}`;
    await db.admin`update sender_pacing set replies_until = now() where sender = ${`whatsapp:${OURS}`}`;
    assert.notEqual((await bridge.claim([second.id]))[0], null, 'one that is late waits for texts');
    await db.admin`update phone_numbers set segments_per_second = 1000000`;
  });
});
