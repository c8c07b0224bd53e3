// A carrier that is away for hours, or says later, loses nothing that is still worth sending; what is not says why.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { meaningOf, stateOf } from '../../src/inbox/message.ts';
import { type Bridge, bridgeOf, OURS, type PartRow, sendRecord, somebody } from '../support/bridge.ts';
import { type Carrier, openCarrier } from '../support/carrier.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

type StoredPart = Parameters<typeof stateOf>[2][number];

/** Half a microsecond of rounding in the database's timestamps. */
const ROUNDING_MS = 1;

describe('a carrier that is away for long', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  let carrier: Carrier;

  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
    carrier = await openCarrier(db);
  });
  after(async () => {
    await carrier.close();
    await db.drop();
  });

  /** Somebody with an answer of these parts, and each part's job run as often as it takes. */
  async function waiting(bodies: string[]) {
    const phone = somebody();
    const conversation = await bridge.answered(phone, bodies);
    const [first] = (await bridge.parts(conversation)) as [PartRow];
    return {
      phone,
      conversation,
      first,
      async refused(times: number) {
        for (let n = 0; n < times; n++) await carrier.send(first);
      },
      states: async () =>
        (await bridge.parts(conversation)).map(({ state, error_code: code, error_reason: reason }) => [
          state,
          code,
          reason,
        ]),
      /** Makes the answer as old as this. */
      age: (hours: number) => db.admin`
        update outbound_parts set created_at = created_at - make_interval(hours => ${hours}), send_at = send_at - make_interval(hours => ${hours})
        where conversation_id = ${conversation}`,
    };
  }

  const UNREACHABLE = 'The request did not leave (ECONNREFUSED).';

  test('after thirty refusals a part is still in line, and leaves in order when the carrier is back', async () => {
    const it = await waiting(['one', 'two']);
    await it.age(3);
    await carrier.wire.down();
    await it.refused(30);
    assert.deepEqual(await it.states(), [
      ['queued', 'ECONNREFUSED', UNREACHABLE],
      ['queued', null, null],
    ]);
    assert.equal((await bridge.sendJobs()).size, 1, 'the second part has a job although the first has not left');
    assert.match(carrier.notes().join(), /^the carrier could not be reached \(ECONNREFUSED\), last at /);
    const exchanges = await db.admin`select 1 from exchanges where conversation_id = ${it.conversation}`;
    assert.equal(exchanges.length, 12, 'of a long outage every tenth call is kept');

    await carrier.wire.up();
    for (const part of await bridge.parts(it.conversation)) await carrier.send(part);
    assert.deepEqual(
      carrier.taken(it.phone).map(({ body }) => body),
      ['one', 'two'],
    );
    assert.deepEqual(carrier.notes(), []);
  });

  test('a part that could not leave while it was worth it is void, says why, and is counted', async () => {
    const it = await waiting(['one', 'two']);
    await carrier.wire.down();
    await it.refused(12);
    await it.age(4);
    await it.refused(1);
    await carrier.wire.up();
    const [, two] = await bridge.parts(it.conversation);
    await carrier.send(two!);
    assert.deepEqual(await it.states(), [
      ['void', 'expired', UNREACHABLE],
      ['void', 'expired', null],
    ]);
    assert.equal(
      meaningOf((await bridge.parts(it.conversation))[0]!),
      `It would have come too late to be worth anything. Last try: ${UNREACHABLE}`,
    );
    assert.equal(carrier.taken(it.phone).length, 0);
    assert.equal((await carrier.metrics.partsExpired.get()).values[0]?.value, 2);
  });

  test('a reply of which only the beginning left in time is not shown as one that arrived', async () => {
    const it = await waiting(['one', 'two']);
    await carrier.send(it.first);
    const [one, two] = await bridge.parts(it.conversation);
    await bridge.status([{ part: one!.id, sid: one!.provider_id!, state: 'delivered' }]);
    await it.age(4);
    await carrier.send(two!);
    const [shown] = await db.admin<{ state: string }[]>`
      select state from message_log where conversation_id = ${it.conversation} and direction = 'out'`;
    assert.equal(shown!.state, 'void');
    const parts = await db.admin<StoredPart[]>`
      select * from outbound_parts where conversation_id = ${it.conversation} order by position`;
    assert.equal(stateOf({ direction: 'out' } as Parameters<typeof stateOf>[0], null, parts), 'void');
    const said = parts.map(({ error_code: code }) => code);
    assert.deepEqual(said, [null, 'expired']);
  });

  test('a try that the carrier wants later than the part is worth is made when that ends', async () => {
    const it = await waiting(['one']);
    await db.admin`
      update outbound_parts set created_at = clock_timestamp() - interval '3 hours 59 minutes' where id = ${it.first.id}`;
    const [claimed] = await bridge.claim([it.first.id]);
    await bridge.record([sendRecord(claimed!, { state: 'queued', error_code: '30027', run_at_ms: 3600_000 })]);
    const due = (await bridge.sendJobs()).get(it.first.id)!;
    const [row] = await db.admin<{ at: Date }[]>`
      select created_at + interval '4 hours' as at from outbound_parts where id = ${it.first.id}`;
    assert.equal(due.getTime(), row!.at.getTime());
  });

  test('an account that the carrier refuses keeps its texts, and says so until it is put right', async () => {
    const it = await waiting(['one']);
    carrier.simulator.faults.set({ http401: 30 });
    await it.refused(30);
    assert.deepEqual(
      (await it.states()).map(([state, code]) => [state, code]),
      [['queued', '20003']],
    );
    assert.match(carrier.notes().join(), /refuses every text until its account or address is put right \(20003\)/);
    const trouble = async (kind: string) =>
      (await carrier.metrics.carrierTrouble.get()).values.find(({ labels }) => labels.kind === kind)?.value;
    assert.deepEqual([await trouble('setup'), await trouble('unreachable')], [1, 0]);
    await carrier.send(it.first);
    assert.equal((await it.states())[0]![0], 'accepted');
    assert.equal(await trouble('setup'), 0);
    assert.equal(carrier.taken(it.phone).length, 1);
  });

  test('a STOP meanwhile makes it void', async () => {
    const it = await waiting(['one']);
    await carrier.wire.down();
    await it.refused(12);
    await bridge.keyword(it.phone, 'STOP', { optOutHandled: 'STOP' });
    await carrier.wire.up();
    await it.refused(1);
    assert.deepEqual(
      (await it.states()).map(([state, code]) => [state, code]),
      [['void', 'opted_out']],
    );
    assert.equal(carrier.taken(it.phone).length, 0);
  });

  test('a refused part takes a new place in the line of its sender: what an outage held up keeps the pace', async () => {
    const paced = bridgeOf(db, { pacing: true });
    await db.admin`insert into phone_numbers (address, segments_per_second) values (${OURS}, 1) on conflict do nothing`;
    const held: PartRow[] = [];
    await carrier.wire.down();
    for (let n = 0; n < 5; n++) held.push((await bridge.parts(await paced.answered(somebody(), ['late'])))[0]!);
    await db.admin`update sender_pacing set replies_until = clock_timestamp()`;
    for (const part of held) await carrier.send(part);
    await carrier.wire.up();
    const ids = held.map(({ id }) => id);
    await db.admin`update outbound_parts set sending_at = sending_at - interval '1 minute' where id = any (${ids})`;
    await db.admin`update sender_pacing set replies_until = clock_timestamp()`;
    for (const part of held) await carrier.send(part);
    const rows = await db.admin<(PartRow & { again_at: Date })[]>`
      select * from outbound_parts where id = any (${ids}) order by again_at`;
    assert.deepEqual(rows.map(({ state }) => state).toSorted(), ['accepted', ...Array(4).fill('queued')]);
    const waits = rows.filter(({ state }) => state === 'queued');
    for (const [n, part] of waits.entries()) {
      assert.equal((await bridge.sendJobs()).get(part.id)?.getTime(), part.again_at.getTime());
      const before = waits[n - 1];
      if (before) assert.ok(part.again_at.getTime() - before.again_at.getTime() >= 1_000 - ROUNDING_MS);
    }
    await db.admin`
      update outbound_parts set again_at = again_at - interval '30 seconds' where state = 'queued' and id = any (${ids})`;
    const again = await bridge.claim(ids);
    assert.equal(again.filter((part) => part !== null).length, 4, 'the place that it was given is not kept');
  });
});
