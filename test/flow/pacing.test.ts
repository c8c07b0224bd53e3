// When parts may leave, on the functions that reserve their times: limits of senders, campaigns and brands, replies before
// bulk. The moment is given, so that days with 23 and 25 hours come when they are wanted.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

type Limits = {
  /** Segments a day. */
  readonly brands: readonly number[];
  readonly campaigns: readonly { readonly perMinute: number; readonly brand: number | null }[];
  readonly senders: readonly { readonly perSecond: number; readonly campaign: number | null }[];
};
type Load = { readonly sender: number; readonly isBulk: boolean; readonly parts: readonly number[] };
type Sent = { readonly sender: number; readonly isBulk: boolean; readonly segments: number; readonly atMs: number };

/** A failure is told as it was found: making it small takes a database minutes. */
const RUNS = { numRuns: 20, endOnFailure: true };

/** Timestamps here are milliseconds, those of the database microseconds. */
const ROUNDING_MS = 1;
/** How far ahead a part may be in line. */
const WORTH_MS = { reply: 4 * 3_600_000, bulk: 12 * 3_600_000 };
/** Bulk whose sender is taken for less than this goes all the same. */
const TOLERANCE_MS = 50;

const MOMENTS = {
  'an ordinary noon': '2026-07-01T19:00:00Z',
  'a minute before midnight in Los Angeles': '2026-07-02T06:59:00Z',
  'the day of 23 hours': '2026-03-08T09:59:30Z',
  'the evening before it': '2026-03-08T07:59:30Z',
  'the day of 25 hours': '2026-11-01T08:59:30Z',
  'its last minute': '2026-11-02T07:59:30Z',
};

const limitsOf: fc.Arbitrary<Limits> = fc.record({
  brands: fc.array(fc.integer({ min: 100, max: 160 }), { minLength: 2, maxLength: 2 }),
  campaigns: fc.array(
    fc.record({ perMinute: fc.integer({ min: 10, max: 120 }), brand: fc.constantFrom(0, 0, 1, null) }),
    { minLength: 3, maxLength: 3 },
  ),
  senders: fc.array(
    fc.record({ perSecond: fc.constantFrom(0.5, 1, 3, 20, 100), campaign: fc.constantFrom(0, 0, 1, 2, null) }),
    { minLength: 4, maxLength: 4 },
  ),
});
const loadOf = (isBulk: fc.Arbitrary<boolean>): fc.Arbitrary<Load> =>
  fc.record({
    sender: fc.nat(3),
    isBulk,
    parts: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }),
  });
const batchOf = (isBulk: fc.Arbitrary<boolean>) =>
  fc.uniqueArray(loadOf(isBulk), { minLength: 1, maxLength: 4, selector: (load) => `${load.sender} ${load.isBulk}` });

describe('pacing by sender, campaign and brand', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  const address = (sender: number) => `+1555000000${sender}`;
  const idOf = (kind: number, n: number) => `00000000-0000-4000-8000-00000000${kind}00${n}`;

  async function arrange({ brands, campaigns, senders }: Limits): Promise<void> {
    const { admin } = db;
    await admin`truncate outbound_parts, pacing_windows, sender_pacing, phone_numbers, campaigns, brands, conversations`;
    for (const [n, perDay] of brands.entries())
      await admin`insert into brands (id, name, daily_segments) values (${idOf(1, n)}, ${`brand ${n}`}, ${perDay})`;
    for (const [n, { perMinute, brand }] of campaigns.entries())
      await admin`
        insert into campaigns (id, name, brand_id, segments_per_minute)
        values (${idOf(2, n)}, ${`campaign ${n}`}, ${brand === null ? null : idOf(1, brand)}, ${perMinute})`;
    for (const [n, { perSecond, campaign }] of senders.entries())
      await admin`
        insert into phone_numbers (address, segments_per_second, campaign_id)
        values (${address(n)}, ${perSecond}, ${campaign === null ? null : idOf(2, campaign)})`;
  }

  /** What may leave of a batch, and when; what would leave too late is told its time and takes none. */
  async function reserve(batch: readonly Load[], nowMs: number): Promise<Sent[]> {
    const told = await tell(batch, nowMs);
    return told.filter(({ isBulk, atMs }) => atMs <= nowMs + WORTH_MS[isBulk ? 'bulk' : 'reply']);
  }

  /** Reserves a batch as one commit would; gives the times of its parts. */
  async function tell(batch: readonly Load[], nowMs: number): Promise<Sent[]> {
    const load = batch.map(({ sender, isBulk, parts }) => ({
      our_address: address(sender),
      is_bulk: isBulk,
      segments: parts.reduce((sum, part) => sum + part, 0),
      parts,
    }));
    const rows = await db.admin<{ our_address: string; is_bulk: boolean; n: number; at: Date }[]>`
      with load as (select * from json_to_recordset(${JSON.stringify(load)}::text::json)
        t (our_address text, is_bulk boolean, parts int[]))
      select r.our_address, r.is_bulk, n::int, coalesce(r.part_times[n], r.starts_at + interval '1 second' / r.rate * (
        select coalesce(sum(s), 0) from unnest(load.parts[:n - 1]) s)) as at
      from reserve_time(${JSON.stringify(load)}::text::json, true, ${new Date(nowMs)}) r
      join load using (our_address, is_bulk) cross join generate_series(1, cardinality(load.parts)) n`;
    return rows.map(({ our_address, is_bulk, n, at }) => {
      const from = batch.find(({ sender, isBulk }) => address(sender) === our_address && isBulk === is_bulk)!;
      return { sender: from.sender, isBulk: is_bulk, segments: from.parts[n - 1]!, atMs: at.getTime() };
    });
  }

  const sum = (sent: readonly Sent[]) => sent.reduce((total, { segments }) => total + segments, 0);
  /** What is allowed beyond a limit: the part that is larger than a window, once. */
  const overhang = (sent: readonly Sent[], capacity: number) =>
    Math.max(0, ...sent.map(({ segments }) => segments - Math.max(1, capacity)));

  function assertSenders(limits: Limits, sent: readonly Sent[], toleranceMs = ROUNDING_MS): void {
    for (const [n, { perSecond }] of limits.senders.entries()) {
      // Within the tolerance two may leave at once: the larger one was last.
      const line = sent
        .filter(({ sender }) => sender === n)
        .toSorted((a, b) => a.atMs - b.atMs || a.segments - b.segments);
      for (const [i, next] of line.entries()) {
        const last = line[i - 1];
        if (last === undefined) continue;
        const gapMs = next.atMs - last.atMs;
        assert.ok(gapMs >= (last.segments * 1000) / perSecond - toleranceMs, `${gapMs} ms behind ${last.segments}`);
      }
    }
  }

  function assertMinutes(limits: Limits, sent: readonly Sent[], share = 1): void {
    for (const [n, { perMinute }] of limits.campaigns.entries()) {
      const ours = sent.filter(({ sender }) => limits.senders[sender]!.campaign === n);
      const capacity = Math.floor(Math.floor(perMinute / 7) * share);
      const most = Math.max(perMinute * share, 7) + overhang(ours, capacity);
      for (const { atMs } of ours) {
        const minute = ours.filter((part) => part.atMs >= atMs && part.atMs < atMs + 60_000);
        assert.ok(sum(minute) <= most, `campaign ${n}: ${sum(minute)} of ${most} in a minute`);
      }
    }
  }

  const pacificDay = new Intl.DateTimeFormat('en-CA', { timeZone: 'America/Los_Angeles', dateStyle: 'short' });

  function assertDays(limits: Limits, sent: readonly Sent[], share = 1): void {
    for (const [n, perDay] of limits.brands.entries()) {
      const ours = sent.filter(({ sender }) => {
        const { campaign } = limits.senders[sender]!;
        return campaign !== null && limits.campaigns[campaign]!.brand === n;
      });
      const days = Map.groupBy(ours, ({ atMs }) => pacificDay.format(atMs));
      for (const [day, parts] of days) assert.ok(sum(parts) <= perDay * share, `brand ${n}, ${day}: ${sum(parts)}`);
    }
  }

  for (const [name, moment] of Object.entries(MOMENTS)) {
    test(`two processes at once never reserve more than a limit: ${name}`, async () => {
      const batches = fc.array(fc.tuple(batchOf(fc.boolean()), fc.nat(20_000)), { minLength: 1, maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(limitsOf, batches, batches, async (limits, one, other) => {
          await arrange(limits);
          const processes = [one, other].map(async (steps) => {
            const sent: Sent[] = [];
            let nowMs = Date.parse(moment);
            for (const [batch, passedMs] of steps) {
              nowMs += passedMs;
              sent.push(...(await reserve(batch, nowMs)));
            }
            return sent;
          });
          const sent = (await Promise.all(processes)).flat();
          for (const isBulk of [true, false]) {
            const line = sent.filter((part) => part.isBulk === isBulk);
            assertSenders(limits, line);
            assertMinutes(limits, line, isBulk ? 0.8 : 1);
            assertDays(limits, line, isBulk ? 0.8 : 1);
          }
        }),
        RUNS,
      );
    });
  }

  test('no minute of a campaign that is never idle holds more than its limit, whichever one looks at', async () => {
    const parts = fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 100, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 70, max: 200 }), parts, fc.nat(10_000), async (perMinute, all, passedMs) => {
        const limits: Limits = {
          brands: [],
          campaigns: [{ perMinute, brand: null }],
          senders: [{ perSecond: 10_000, campaign: 0 }],
        };
        await arrange(limits);
        const load = { sender: 0, isBulk: false, parts: all };
        assertMinutes(limits, await reserve([load], Date.parse(MOMENTS['an ordinary noon']) + passedMs));
      }),
      RUNS,
    );
  });

  test('bulk in line delays no reply, however much of it there is', async () => {
    const steps = fc.array(batchOf(fc.boolean()), { minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(limitsOf, steps, async (limits, batches) => {
        const replies = async (withBulk: boolean) => {
          await arrange(limits);
          const sent: Sent[] = [];
          for (const batch of batches)
            sent.push(...(await reserve(withBulk ? batch : batch.filter((load) => !load.isBulk), 1_800_000_000_000)));
          return sent.filter((part) => !part.isBulk);
        };
        assert.deepEqual(await replies(true), await replies(false));
      }),
      RUNS,
    );
  });

  test('bulk that leaves takes what replies left: together they keep every limit, and all of it leaves', async () => {
    type Waiting = { id: string; sender: number; segments: number };
    let conversations: string[] = [];
    const queue = async (bulk: readonly Sent[]): Promise<Waiting[]> => {
      const waiting: Waiting[] = [];
      for (const { sender, segments, atMs } of bulk) {
        const [row] = await db.admin<{ id: string }[]>`
          insert into outbound_parts (conversation_id, message_id, position, kind, body, segments, send_at)
          select ${conversations[sender]!}, new_id(), count(*) + 1, 'proactive', 'news', ${segments}, ${new Date(atMs)}
          from outbound_parts where conversation_id = ${conversations[sender]!}
          returning id`;
        waiting.push({ id: row!.id, sender, segments });
      }
      return waiting;
    };
    /** What a worker does whose job is due. */
    const leave = async (waiting: readonly Waiting[], nowMs: number): Promise<string[]> => {
      const [row] = await db.admin<{ ids: string[] }[]>`
        with due as (
          select array_agg(id order by id) as ids from outbound_parts
          where id = any (${waiting.map(({ id }) => id)}::uuid[]) and send_at <= ${new Date(nowMs)})
        select coalesce(without_yielding(ids, ${new Date(nowMs)}), '{}') as ids from due`;
      await db.admin`update outbound_parts set state = 'sent' where id = any (${row!.ids}::uuid[])`;
      return row!.ids;
    };
    const steps = fc.array(fc.tuple(batchOf(fc.boolean()), fc.nat(30_000)), { minLength: 2, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(limitsOf, steps, fc.constantFrom(...Object.values(MOMENTS)), async (limits, all, moment) => {
        await arrange(limits);
        conversations = await Promise.all(
          limits.senders.map(async (_, n) => {
            const [row] = await db.admin<{ id: string }[]>`
              insert into conversations (channel, our_address, their_address, contact_id)
              values ('sms', ${address(n)}, '+15557654321', new_id()) returning id`;
            return row!.id;
          }),
        );
        let nowMs = Date.parse(moment);
        let waiting: Waiting[] = [];
        const sent: Sent[] = [];
        const depart = async () => {
          const gone = new Set(await leave(waiting, nowMs));
          for (const part of waiting) if (gone.has(part.id)) sent.push({ ...part, isBulk: true, atMs: nowMs });
          waiting = waiting.filter(({ id }) => !gone.has(id));
        };
        for (const [batch, passedMs] of all) {
          const reserved = await reserve(batch, nowMs);
          sent.push(...reserved.filter(({ isBulk }) => !isBulk));
          waiting.push(...(await queue(reserved.filter(({ isBulk }) => isBulk))));
          nowMs += passedMs;
          await depart();
        }
        for (let looks = 0; waiting.length > 0; looks++) {
          assert.ok(looks < 2_000, `${waiting.length} bulk parts never leave`);
          const [next] = await db.admin<{ at: Date }[]>`
            select min(send_at) as at from outbound_parts where state = 'queued'`;
          nowMs = Math.max(nowMs, next!.at.getTime() + 1);
          await depart();
        }
        assertSenders(limits, sent, TOLERANCE_MS + ROUNDING_MS);
        assertMinutes(limits, sent);
        assertDays(limits, sent);
        assertDays(
          limits,
          sent.filter(({ isBulk }) => isBulk),
          0.8,
        );
        const [left] = await db.admin<{ planned: number }[]>`
          select coalesce(sum(planned), 0)::int as planned from pacing_windows`;
        assert.equal(left!.planned, 0, 'places are planned for bulk that has left');
      }),
      RUNS,
    );
  });

  test('the first room is found wherever the full windows are', async () => {
    const fromMs = Date.parse(MOMENTS['an ordinary noon']);
    const windows = fc.array(fc.tuple(fc.nat(10), fc.nat(4)), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(windows, fc.integer({ min: 1, max: 30 }), fc.boolean(), async (all, segments, isPlanned) => {
        await db.admin`truncate pacing_windows`;
        await db.admin`
          insert into pacing_windows (holder, starts_at, taken, planned)
          select ${idOf(2, 0)}, ${new Date(fromMs)}::timestamptz + (t.n - 1) * interval '10 seconds', t.taken, t.planned
          from unnest(${all.map(([taken]) => taken)}::int[], ${all.map(([, planned]) => planned)}::int[])
            with ordinality t (taken, planned, n)`;
        const count = Math.ceil(segments / 10);
        const fits = (n: number) =>
          (all[n]?.[0] ?? 0) + (isPlanned ? (all[n]?.[1] ?? 0) : 0) + Math.ceil(segments / count) <= 10;
        let first = 0;
        while (!Array.from({ length: count }, (_, n) => first + n).every(fits)) first++;
        const [row] = await db.admin<{ at: Date }[]>`
          select room_from(${idOf(2, 0)}, false, 10, ${segments}, ${isPlanned}, ${new Date(fromMs)}) as at`;
        assert.equal((row!.at.getTime() - fromMs) / 10_000, first);
      }),
      { numRuns: 100, endOnFailure: true },
    );
  });

  test('a day begins at midnight in Los Angeles, whatever the clocks do', async () => {
    const days = async (at: string) => {
      const [row] = await db.admin<{ day: Date; next: Date }[]>`
        select window_at(${at}, true) as day, window_at(${at}, true, 1) as next`;
      return [row!.day.toISOString(), row!.next.toISOString()];
    };
    assert.deepEqual(await days('2026-07-02T06:59:59Z'), ['2026-07-01T07:00:00.000Z', '2026-07-02T07:00:00.000Z']);
    assert.deepEqual(await days('2026-07-02T07:00:00Z'), ['2026-07-02T07:00:00.000Z', '2026-07-03T07:00:00.000Z']);
    assert.deepEqual(await days('2026-03-08T20:00:00Z'), ['2026-03-08T08:00:00.000Z', '2026-03-09T07:00:00.000Z']);
    assert.deepEqual(await days('2026-11-01T20:00:00Z'), ['2026-11-01T07:00:00.000Z', '2026-11-02T08:00:00.000Z']);
  });

  test('what a full day has no room for goes at the start of the next; bulk leaves a fifth to replies', async () => {
    const limits: Limits = {
      brands: [100],
      campaigns: [
        { perMinute: 7_000, brand: 0 },
        { perMinute: 7_000, brand: 0 },
      ],
      senders: [
        { perSecond: 100, campaign: 0 },
        { perSecond: 100, campaign: 1 },
      ],
    };
    await arrange(limits);
    const nowMs = Date.parse('2026-11-01T20:00:00Z');
    const tomorrowMs = Date.parse('2026-11-02T08:00:00Z');
    const times = async (sender: number, isBulk: boolean, parts: number[]) =>
      (await tell([{ sender, isBulk, parts }], nowMs)).map(({ atMs }) => Math.floor(atMs / 1_000) * 1_000);
    assert.deepEqual(await times(0, true, [40, 40, 1]), [nowMs, nowMs, tomorrowMs]);
    assert.deepEqual(await times(0, false, [50]), [nowMs]);
    // The other campaign of the brand shares its day.
    assert.deepEqual(await times(1, false, [51]), [tomorrowMs]);
    // A reply is worth nothing by then: however many are told so, tomorrow has room.
    for (let n = 0; n < 3; n++) assert.deepEqual(await times(1, false, [60]), [tomorrowMs]);
    assert.equal(sum(await reserve([{ sender: 1, isBulk: false, parts: [90] }], tomorrowMs)), 90);
  });

  test('limits that are not set do not count, and a number without a campaign leaves no trace in the windows', async () => {
    await arrange({
      brands: [],
      campaigns: [],
      senders: [
        { perSecond: 1, campaign: null },
        { perSecond: 1, campaign: null },
      ],
    });
    await db.admin`insert into campaigns (id, name) values (${idOf(2, 0)}, 'free')`;
    await db.admin`update phone_numbers set campaign_id = ${idOf(2, 0)} where address = ${address(1)}`;
    const nowMs = Date.parse(MOMENTS['an ordinary noon']);
    const parts = Array.from({ length: 100 }, () => 10);
    const sent = await reserve(
      [
        { sender: 0, isBulk: false, parts },
        { sender: 1, isBulk: false, parts },
      ],
      nowMs,
    );
    for (const sender of [0, 1]) {
      assert.equal(Math.max(...sent.filter((part) => part.sender === sender).map(({ atMs }) => atMs)), nowMs + 990_000);
    }
    assert.equal((await db.admin`select from pacing_windows`).length, 0);
  });

  test('windows that are over are forgotten', async () => {
    await db.admin`truncate pacing_windows`;
    await db.admin`
      insert into pacing_windows (holder, starts_at) values
        (new_id(), now() - interval '3 days'), (new_id(), now() - interval '25 hours'), (new_id(), now() + interval '1 day')`;
    await db.pools.worker`select prune_receipts()`;
    assert.equal((await db.admin`select from pacing_windows`).length, 2);
  });
});
