// Parts leave once, in order and at their time, whatever the carrier does.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Turn } from '../../src/bridge/store.ts';
import { type Bridge, bridgeOf, OURS, type PartRow, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { runs } from '../support/property.ts';
import { newSid } from '../support/signed-webhook.ts';

/** Half a microsecond of rounding in the database's timestamps. */
const ROUNDING_MS = 1;

describe('the order of parts', () => {
  let db: TestDatabase;
  let bridge: Bridge;

  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  const accepted = (part: PartRow, conversation: string) =>
    bridge.record([
      sendRecord({ part_id: part.id, conversation_id: conversation }, { state: 'accepted', provider_id: newSid() }),
    ]);
  const sidOf = async (part: PartRow) =>
    (await db.admin<{ provider_id: string }[]>`select provider_id from outbound_parts where id = ${part.id}`)[0]!
      .provider_id;

  test('the second part has no job while the first is on its way, then one 3 s after it was accepted', async () => {
    const conversation = await bridge.answered(somebody(), ['one', 'two']);
    const [one, two] = (await bridge.parts(conversation)) as [PartRow, PartRow];
    assert.ok((await bridge.sendJobs()).has(one.id));
    assert.ok(!(await bridge.sendJobs()).has(two.id));

    await bridge.claim([one.id]);
    assert.ok(!(await bridge.sendJobs()).has(two.id), 'released while the first was being sent');

    await accepted(one, conversation);
    const [{ accepted_at }] = (await db.admin<{ accepted_at: Date }[]>`
      select accepted_at from outbound_parts where id = ${one.id}`) as unknown as [{ accepted_at: Date }];
    const due = (await bridge.sendJobs()).get(two.id);
    assert.ok(due, 'no job for the second part');
    assert.ok(Math.abs(due.getTime() - accepted_at.getTime() - 3_000) <= ROUNDING_MS);
  });

  test('a part waiting its 3 s goes at once when the one before it is reported sent', async () => {
    const conversation = await bridge.answered(somebody(), ['one', 'two']);
    const [one, two] = (await bridge.parts(conversation)) as [PartRow, PartRow];
    await bridge.claim([one.id]);
    await accepted(one, conversation);
    await bridge.status([{ part: one.id, sid: await sidOf(one), state: 'sent' }]);
    assert.equal((await bridge.sendJobs()).get(two.id)?.getTime(), two.send_at.getTime());
  });

  test('a part whose end is unknown holds everything behind it until it is settled', async () => {
    const conversation = await bridge.answered(somebody(), ['one', 'two']);
    const [one, two] = (await bridge.parts(conversation)) as [PartRow, PartRow];
    await bridge.claim([one.id]);
    await bridge.record([
      sendRecord({ part_id: one.id, conversation_id: conversation }, { state: 'unknown', run_at_ms: 5_000 }),
    ]);
    assert.ok(!(await bridge.sendJobs()).has(two.id));
    await accepted(one, conversation);
    assert.ok((await bridge.sendJobs()).has(two.id));
  });

  test('the second reply of a conversation waits for the last part of the first', async () => {
    const phone = somebody();
    const conversation = await bridge.answered(phone, ['one', 'two']);
    await bridge.answered(phone, ['three']);
    const parts = (await bridge.parts(conversation)) as [PartRow, PartRow, PartRow];
    assert.deepEqual(
      parts.map((part) => part.body),
      ['one', 'two', 'three'],
    );
    for (const [n, part] of parts.entries()) {
      const jobs = await bridge.sendJobs();
      assert.deepEqual(
        parts.slice(n).map(({ id }) => jobs.has(id)),
        parts.slice(n).map((_, behind) => behind === 0),
      );
      await bridge.claim([part.id]);
      // The library deletes a job when it is done; without that the next look would still see it.
      await db.admin`select graphile_worker.complete_jobs(array(
        select id from graphile_worker.jobs where key = ${`send:${part.id}`}))`;
      await accepted(part, conversation);
      await bridge.status([{ part: part.id, sid: await sidOf(part), state: 'sent' }]);
    }
  });

  test('a part that fails for good takes the rest of its reply along, and the next reply still goes', async () => {
    const phone = somebody();
    const conversation = await bridge.answered(phone, ['one', 'two', 'three']);
    await bridge.answered(phone, ['next']);
    const [one, , , next] = (await bridge.parts(conversation)) as [PartRow, PartRow, PartRow, PartRow];
    await bridge.claim([one.id]);
    await bridge.record([
      sendRecord({ part_id: one.id, conversation_id: conversation }, { state: 'failed', error_code: '21211' }),
    ]);
    assert.deepEqual(
      (await bridge.parts(conversation)).map(({ state, error_code }) => [state, error_code]),
      [
        ['failed', '21211'],
        ['void', 'earlier_part_failed'],
        ['void', 'earlier_part_failed'],
        ['queued', null],
      ],
    );
    assert.ok((await bridge.sendJobs()).has(next.id));
  });

  test('a part is handed to one worker only', async () => {
    const conversation = await bridge.answered(somebody(), ['one']);
    const [one] = (await bridge.parts(conversation)) as [PartRow];
    const taken = (await Promise.all([1, 2, 3, 4].map(() => bridge.claim([one.id])))).flat();
    assert.equal(taken.filter((part) => part !== null).length, 1);
  });
});

describe('pacing', () => {
  let db: TestDatabase;
  let bridge: Bridge;

  before(async () => {
    db = await freshDatabase({ web: 4, worker: 8, admin: 2 });
    bridge = bridgeOf(db, { pacing: true });
    await db.admin`insert into phone_numbers (address) values (${OURS})`;
  });
  after(() => db.drop());

  test('replies committed by many workers at once never exceed the rate of their sender', async () => {
    const replies = fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }), {
      minLength: 2,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(replies, fc.integer({ min: 1, max: 30 }), async (all, rate) => {
        await db.admin`delete from sender_pacing`;
        await db.admin`update phone_numbers set segments_per_second = ${rate}`;
        const turns = await Promise.all(
          all.map(async () => {
            const { conversationId } = (await bridge.arrive(somebody(), 'hello'))!;
            return (await bridge.start(conversationId)) as Turn;
          }),
        );
        await Promise.all(
          turns.map((turn, n) =>
            bridge.finish([
              {
                ...reply(turn, ['part']),
                parts: all[n]!.map((segments) => ({ text: 'part', segments })),
              },
            ]),
          ),
        );
        const parts = await db.admin<PartRow[]>`
          select * from outbound_parts where conversation_id = any (${turns.map((turn) => turn.conversationId)})
          order by send_at`;
        assert.equal(parts.length, all.flat().length);
        for (const [n, part] of parts.entries()) {
          const before = parts[n - 1];
          if (!before) continue;
          const gapMs = part.send_at.getTime() - before.send_at.getTime();
          assert.ok(
            gapMs >= (before.segments * 1000) / rate - ROUNDING_MS,
            `only ${gapMs} ms behind ${before.segments}`,
          );
        }
      }),
      runs(25),
    );
  });

  test('bulk queues behind the replies of its sender, and later replies go before it', async () => {
    await db.admin`delete from sender_pacing`;
    await db.admin`update phone_numbers set segments_per_second = 1`;
    const first = await bridge.answered(somebody(), ['a', 'b']);
    const bulk = await proactive(['news']);
    const later = await bridge.answered(somebody(), ['c']);
    const [a, b] = (await bridge.parts(first)) as [PartRow, PartRow];
    const [news] = (await bridge.parts(bulk)) as [PartRow];
    const [c] = (await bridge.parts(later)) as [PartRow];
    assert.ok(news.send_at.getTime() >= b.send_at.getTime() + 1_000 - ROUNDING_MS);
    assert.ok(Math.abs(c.send_at.getTime() - a.send_at.getTime() - 2_000) <= ROUNDING_MS, 'the reply waited for bulk');

    // Its time has come, but replies have the sender: it steps back and its job moves behind them.
    assert.deepEqual(await bridge.claim([news.id]), [null]);
    const due = (await bridge.sendJobs()).get(news.id)!;
    assert.ok(due.getTime() >= c.send_at.getTime() + 1_000 - ROUNDING_MS);
    assert.equal((await bridge.parts(bulk))[0]?.state, 'queued');

    await db.admin`update sender_pacing set replies_until = now() - interval '1 second'`;
    const [taken] = await bridge.claim([news.id]);
    assert.equal(taken?.part_id, news.id);
    const next = await bridge.answered(somebody(), ['d']);
    const [d] = (await bridge.parts(next)) as [PartRow];
    const [sent] = await db.admin<{ at: Date }[]>`select sending_at as at from outbound_parts where id = ${news.id}`;
    assert.ok(d.send_at.getTime() >= sent!.at.getTime() + 1_000 - 50, 'the bulk part was not counted');
  });

  test('a reply whose turn would come when it is worth nothing any more is void at once', async () => {
    await db.admin`update phone_numbers set segments_per_second = 1`;
    await db.admin`
      insert into sender_pacing (sender, replies_until) values (${OURS}, clock_timestamp() + interval '4 hours' - interval '10 seconds')
      on conflict (sender) do update set replies_until = excluded.replies_until`;
    const { conversationId } = (await bridge.arrive(somebody(), 'hello'))!;
    const turn = (await bridge.start(conversationId))!;
    await bridge.finish([reply(turn, ['in time', 'too late'], 15)]);
    assert.deepEqual(
      (await bridge.parts(conversationId)).map(({ state, error_code }) => [state, error_code]),
      [
        ['queued', null],
        ['void', 'expired'],
      ],
    );
    const flood = (await bridge.arrive(somebody(), 'hello'))!;
    const long = Array.from({ length: 20 }, () => 'much too late');
    await bridge.finish([reply((await bridge.start(flood.conversationId))!, long, 10)]);
    const [row] = await db.admin<{ free: boolean }[]>`
      select replies_until < clock_timestamp() + interval '4 hours' + interval '16 seconds' as free from sender_pacing`;
    assert.ok(row!.free, 'parts that never leave keep their sender from others');
  });

  test('what finds no room in its days takes none of a later one', async () => {
    await db.admin`delete from sender_pacing`;
    const [campaign] = await db.admin<{ id: string; brand_id: string }[]>`
      with brand as (insert into brands (name, daily_segments) values ('small', 100) returning id)
      insert into campaigns (name, brand_id, segments_per_minute) select 'small', id, 6000 from brand returning id, brand_id`;
    const { id, brand_id: brand } = campaign!;
    await db.admin`
      insert into pacing_windows (holder, starts_at, taken)
      select ${brand}, window_at(now(), true, n), 100 from generate_series(0, 1) n`;
    await db.admin`update phone_numbers set campaign_id = ${id}`;
    const [part] = await bridge.parts(await bridge.answered(somebody(), ['the answer']));
    await db.admin`update phone_numbers set campaign_id = null`;
    assert.deepEqual([part!.state, part!.error_code], ['void', 'expired']);
    const [counted] = await db.admin<{ taken: number }[]>`
      select coalesce(sum(taken), 0)::int as taken from pacing_windows
      where starts_at > now() and starts_at <> window_at(now(), true, 1)`;
    assert.equal(counted!.taken, 0);
    const [next] = await bridge.parts(await bridge.answered(somebody(), ['next']));
    assert.equal(next!.state, 'queued', 'the sender is taken until then');
  });

  test('bulk that waited ten hours for its turn still leaves, a reply of that age does not', async () => {
    await db.admin`delete from sender_pacing`;
    const bulk = (await bridge.parts(await proactive(['news'])))[0]!;
    const answer = (await bridge.parts(await bridge.answered(somebody(), ['the answer'])))[0]!;
    await db.admin`
      update outbound_parts set created_at = created_at - interval '10 hours' where id in (${bulk.id}, ${answer.id})`;
    await db.admin`delete from sender_pacing`;
    const [news, late] = await bridge.claim([bulk.id, answer.id]);
    assert.equal(news?.part_id, bulk.id);
    assert.ok(news.valid_seconds > 7_000 && news.valid_seconds <= 7_200);
    assert.equal(late, null);
  });

  /** A text of an agent's own, to somebody who has been answered before. */
  async function proactive(bodies: string[]): Promise<string> {
    const { conversationId } = (await bridge.arrive(somebody(), 'remind me'))!;
    const post = [
      {
        conversation_id: conversationId,
        kind: 'proactive',
        body: bodies.join(''),
        parts: bodies.map((text) => ({ text, segments: 1 })),
      },
    ];
    await db.admin`select queue_replies(${JSON.stringify(post)}::text::json, true)`;
    return conversationId;
  }
});
