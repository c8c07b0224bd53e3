// Parts whose time is over: what an outage held up leaves no faster than anything else.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Bridge, bridgeOf, OURS, type PartRow, somebody } from '../support/bridge.ts';
import { type Carrier, openCarrier } from '../support/carrier.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

/** Half a microsecond of rounding in the database's timestamps. */
const ROUNDING_MS = 1;

describe('what was held up', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  let paced: Bridge;
  let carrier: Carrier;
  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
    paced = bridgeOf(db, { pacing: true });
    carrier = await openCarrier(db);
    await db.admin`insert into phone_numbers (address, segments_per_second) values (${OURS}, 1)`;
  });
  after(async () => {
    await carrier.close();
    await db.drop();
  });

  /** Answers to as many people, one segment each. */
  async function answers(n: number): Promise<PartRow[]> {
    const held: PartRow[] = [];
    for (let k = 0; k < n; k++) held.push((await bridge.parts(await paced.answered(somebody(), ['late'])))[0]!);
    return held;
  }
  /** The sender's time is as long taken as it would be, had the time gone by. */
  const letPass = async (ids: readonly string[], seconds: number) => {
    await db.admin`
      update outbound_parts set send_at = send_at - ${seconds} * interval '1 second',
        sending_at = sending_at - ${seconds} * interval '1 second' where id = any (${ids})`;
    await db.admin`update sender_pacing set replies_until = replies_until - ${seconds} * interval '1 second'`;
  };
  /** When those that wait may leave, each a segment's time after the one before. */
  async function assertInLine(ids: readonly string[], n: number): Promise<void> {
    const rows = await db.admin<{ id: string; again_at: Date }[]>`
      select id, again_at from outbound_parts where id = any (${ids}) and state = 'queued' order by again_at`;
    assert.equal(rows.length, n);
    for (const [k, part] of rows.entries()) {
      assert.equal((await bridge.sendJobs()).get(part.id)?.getTime(), part.again_at.getTime());
      const before = rows[k - 1];
      if (before) assert.ok(part.again_at.getTime() - before.again_at.getTime() >= 1_000 - ROUNDING_MS);
    }
  }

  test('parts that nobody sent at their time take places anew, one second after the other', async () => {
    const ids = (await answers(5)).map(({ id }) => id);
    await letPass(ids, 60);
    const claimed = await bridge.claim(ids);
    assert.equal(claimed.filter((part) => part !== null).length, 1, 'all at once');
    await assertInLine(ids, 4);
    await letPass(ids, 60);
    await db.admin`update outbound_parts set again_at = again_at - interval '5 seconds' where id = any (${ids})`;
    assert.equal((await bridge.claim(ids)).filter((part) => part !== null).length, 4, 'the place is not kept');
  });

  test('when the clock is set back, a place taken anew stays where its job is', async () => {
    const ids = (await answers(2)).map(({ id }) => id);
    await letPass(ids, 60);
    await bridge.claim(ids);
    await db.pools.worker`select shift_times(3600)`;
    await assertInLine(ids, 1);
    await db.admin`update outbound_parts set state = 'void' where id = any (${ids})`;
  });

  test('parts that the carrier refused do too', async () => {
    await db.admin`update sender_pacing set replies_until = clock_timestamp()`;
    await carrier.wire.down();
    const held = await answers(5);
    const ids = held.map(({ id }) => id);
    for (const part of held) await carrier.send(part);
    await carrier.wire.up();
    await letPass(ids, 60);
    for (const part of held) await carrier.send(part);
    const states = await db.admin<{ state: string }[]>`select state from outbound_parts where id = any (${ids})`;
    assert.deepEqual(states.map(({ state }) => state).toSorted(), ['accepted', ...Array(4).fill('queued')]);
    await assertInLine(ids, 4);
    await db.admin`update outbound_parts set again_at = again_at - interval '5 seconds' where id = any (${ids})`;
    assert.equal((await bridge.claim(ids)).filter((part) => part !== null).length, 4, 'the place is not kept');
  });

  test('bulk that gives way comes back one after the other, the oldest first, and not all at once', async () => {
    const conversations: string[] = [];
    for (let n = 0; n < 5; n++) conversations.push((await bridge.arrive(somebody(), 'remind me'))!.conversationId);
    const parts = [{ text: 'news', segments: 2 }];
    const posts = conversations.map((id) => ({ conversation_id: id, kind: 'proactive', body: 'news', parts }));
    await db.admin`select queue_replies(${JSON.stringify(posts)}::text::json, true)`;
    const bulk = await Promise.all(conversations.map(async (id) => (await bridge.parts(id))[0]!));
    // Answers have had the number for as long as all of it was to take.
    await letPass(
      bulk.map(({ id }) => id),
      60,
    );
    await db.admin`update sender_pacing set replies_until = clock_timestamp() + interval '1 minute'`;
    const claimed = await bridge.claim(bulk.map(({ id }) => id));
    assert.deepEqual(claimed, Array(5).fill(null));
    const jobs = await bridge.sendJobs();
    const due = bulk.map(({ id }) => jobs.get(id)!.getTime());
    for (const [n, at] of due.slice(1).entries()) assert.ok(at - due[n]! >= 2_000 - ROUNDING_MS, `${at - due[n]!} ms`);
  });
});
