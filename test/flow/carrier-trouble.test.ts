// Trouble at the carrier. What it surely did not take stays in line while it is worth sending; what has no known end is looked up, and
// never sent again on a guess.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { follow, steadyMs } from '../../src/clock.ts';
import { meaningOf, stateOf } from '../../src/inbox/message.ts';
import { type Bridge, bridgeOf, type PartRow, sendRecord, somebody } from '../support/bridge.ts';
import { type Carrier, openCarrier } from '../support/carrier.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

type StoredPart = Parameters<typeof stateOf>[2][number];

let db: TestDatabase;
let bridge: Bridge;
let carrier: Carrier;

/** Each part has one of its own: what a carrier was last heard to say is kept. */
function inOwnWorld(): void {
  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
    carrier = await openCarrier(db);
  });
  after(async () => {
    await carrier.close();
    await db.drop();
  });
}

describe('trouble at the carrier', () => {
  inOwnWorld();

  /** Somebody with one answer of this text waiting to be sent. */
  async function waiting(body = 'the answer', phone = somebody()) {
    const conversation = await bridge.answered(phone, [body]);
    const part = (await bridge.parts(conversation)).at(-1)!;
    const now = async () => (await bridge.parts(conversation)).find(({ id }) => id === part.id)!;
    return { phone, part, now };
  }

  test('refused with 429 it waits and is sent once', async () => {
    const { phone, part, now } = await waiting();
    carrier.simulator.faults.set({ http429: 1 });
    await carrier.send(part);
    assert.deepEqual([(await now()).state, (await now()).error_code], ['queued', '20429']);
    assert.ok((await bridge.sendJobs()).get(part.id)!.getTime() > Date.now(), 'tried again at once');
    await carrier.send(part);
    assert.equal((await now()).state, 'accepted');
    assert.equal(carrier.taken(phone).length, 1);
  });

  test('a refused connection is tried again', async () => {
    const { phone, part, now } = await waiting();
    await carrier.wire.down();
    await carrier.send(part);
    assert.equal((await now()).state, 'queued');
    await carrier.wire.up();
    await carrier.send(part);
    assert.equal((await now()).state, 'accepted');
    assert.equal(carrier.taken(phone).length, 1);
  });

  test('500 after the carrier took it: the text is found in its list and not sent again', async () => {
    const { phone, part, now } = await waiting();
    carrier.simulator.faults.set({ http500AfterAccept: 1 });
    await carrier.send(part);
    assert.equal((await now()).state, 'unknown');
    await carrier.send(part);
    assert.equal(carrier.taken(phone).length, 1, 'sent again while its end was unknown');
    await carrier.settle(part);
    assert.equal((await now()).state, 'accepted');
    assert.equal((await now()).provider_id, carrier.taken(phone)[0]?.sid);
  });

  test('500 before the carrier took it: after the grace time it is sent, once', async () => {
    const { phone, part, now } = await waiting();
    carrier.simulator.faults.set({ http500BeforeAccept: 1 });
    await carrier.send(part);
    assert.equal((await now()).state, 'unknown');
    await carrier.settle(part);
    assert.equal((await now()).state, 'unknown', 'given up before the grace time');
    assert.equal(carrier.taken(phone).length, 0);
    await carrier.settle(part, 0);
    assert.equal((await now()).state, 'queued');
    await carrier.send(part);
    assert.equal((await now()).state, 'accepted');
    assert.equal(carrier.taken(phone).length, 1);
  });

  test('a connection cut in the middle of the answer leaves one text', async () => {
    const { phone, part, now } = await waiting();
    carrier.wire.cutNextAnswers(1);
    await carrier.send(part);
    assert.equal((await now()).state, 'unknown');
    await carrier.settle(part);
    assert.equal((await now()).state, 'accepted');
    assert.equal((await now()).provider_id, carrier.taken(phone)[0]?.sid);
    assert.equal(carrier.taken(phone).length, 1);
  });

  test('while the carrier cannot be asked the part stays unknown', async () => {
    const { phone, part, now } = await waiting();
    carrier.simulator.faults.set({ http500AfterAccept: 1 });
    await carrier.send(part);
    await carrier.wire.down();
    await carrier.settle(part, 0);
    assert.equal((await now()).state, 'unknown');
    await carrier.wire.up();
    await carrier.settle(part, 0);
    assert.equal((await now()).provider_id, carrier.taken(phone)[0]?.sid);
  });

  test('a carrier that can be asked only hours later is believed then; what is worth nothing by then is given up', async () => {
    const [found, late] = [await waiting(), await waiting()];
    for (const { part } of [found, late]) {
      carrier.simulator.faults.set({ http500AfterAccept: 1 });
      await carrier.send(part);
      await db.admin`
        update outbound_parts set created_at = created_at - interval '3 hours', sending_at = sending_at - interval '3 hours'
        where id = ${part.id}`;
    }
    await carrier.wire.down();
    await carrier.settle(found.part);
    assert.equal((await found.now()).state, 'unknown');
    await db.admin`update outbound_parts set created_at = created_at - interval '61 minutes' where id = ${late.part.id}`;
    await carrier.settle(late.part);
    assert.deepEqual([(await late.now()).state, (await late.now()).error_code], ['failed', 'unknown_outcome']);
    await carrier.wire.up();
    await carrier.settle(found.part);
    assert.equal((await found.now()).state, 'accepted');
    assert.equal(carrier.taken(found.phone).length, 1);
  });

  test('a database clock that was set ahead makes no part look as if the carrier never had it', async () => {
    const { part, now: state } = await waiting();
    carrier.simulator.faults.set({ http500BeforeAccept: 1 });
    await carrier.send(part);
    // What this process knew a moment ago; the part is a moment old by any clock that was not set.
    follow(new Date(Date.now() - 600_000));
    await db.admin`update outbound_parts set sending_at = sending_at - interval '10 minutes' where id = ${part.id}`;
    await carrier.settle(part, 1_000);
    assert.equal((await state()).state, 'unknown', 'taken for lost by a clock that had jumped');
    await until(() => steadyMs() > 1_000);
    await carrier.settle(part, 1_000);
    assert.equal((await state()).state, 'queued');
  });

  test('a callback settles an unknown part, and looking for it later changes nothing', async () => {
    const { phone, part, now } = await waiting();
    carrier.simulator.faults.set({ http500AfterAccept: 1 });
    await carrier.send(part);
    const [message] = carrier.taken(phone);
    await bridge.status([{ part: part.id, sid: message!.sid, state: 'delivered' }]);
    await carrier.settle(part, 0);
    assert.deepEqual([(await now()).state, (await now()).provider_id], ['delivered', message!.sid]);
  });

  test('a part whose end was unknown at STOP is not sent again after it', async () => {
    const { phone, part, now } = await waiting();
    carrier.simulator.faults.set({ http500BeforeAccept: 1 });
    await carrier.send(part);
    await bridge.keyword(phone, 'STOP', { optOutHandled: 'STOP' });
    await carrier.settle(part, 0);
    await carrier.send(part);
    assert.deepEqual([(await now()).state, (await now()).error_code], ['void', 'opted_out']);
    assert.equal(carrier.taken(phone).length, 0);
  });

  for (const [what, body, pictures] of [
    ['an unknown part', 'the answer', []],
    ['an unknown picture without words', '', ['https://pictures.example/1.png']],
  ] as const)
    test(`a notice that overtook ${what} is not taken for it`, async () => {
      const { phone, part, now } = await waiting(body);
      await db.admin`update outbound_parts set media_urls = ${pictures} where id = ${part.id}`;
      carrier.simulator.faults.set({ http500BeforeAccept: 1 });
      await carrier.send(part);
      await bridge.keyword(phone, 'RESET');
      const [row] = await db.admin<
        { id: string }[]
      >`select conversation_id as id from outbound_parts where id = ${part.id}`;
      const notice = (await bridge.parts(row!.id)).find(({ kind }) => kind === 'notice')!;
      // The carrier has the notice, and we do not know it yet.
      carrier.simulator.faults.set({ http500AfterAccept: 1 });
      await carrier.send(notice);
      await carrier.settle(part);
      assert.equal((await now()).state, 'unknown', 'the notice was taken for it');
      await carrier.settle(notice);
      await carrier.settle(part, 0);
      await carrier.send(part);
      assert.deepEqual(
        carrier.taken(phone).map((message) => [message.body, message.mediaUrls.length]),
        [
          [notice.body, 0],
          [body, pictures.length],
        ],
      );
    });

  test('two parts with the same words are never matched to one message', async () => {
    const phone = somebody();
    const first = await waiting('ok', phone);
    carrier.simulator.faults.set({ http500AfterAccept: 1 });
    await carrier.send(first.part);
    await carrier.settle(first.part);
    const second = await waiting('ok', phone);
    carrier.simulator.faults.set({ http500BeforeAccept: 1 });
    await carrier.send(second.part);
    await carrier.settle(second.part);
    assert.equal((await second.now()).state, 'unknown', 'the first message was taken for the second part');
    await carrier.settle(second.part, 0);
    await carrier.send(second.part);
    const sids = [(await first.now()).provider_id, (await second.now()).provider_id];
    assert.deepEqual(
      carrier.taken(phone).map(({ sid }) => sid),
      sids,
    );
    assert.notEqual(sids[0], sids[1]);
  });

  for (const [to, code] of [
    ['+15005550001', '21211'],
    ['+15005550003', '21408'],
    ['+15005550009', '21614'],
  ] as const) {
    test(`refused for good with ${code} it fails after one attempt and says why`, async () => {
      const { part, now } = await waiting('the answer', to);
      await carrier.send(part);
      const { state, error_code } = await now();
      assert.deepEqual([state, error_code], ['failed', code]);
      assert.deepEqual(await bridge.claim([part.id]), [null], 'it could be sent again');
    });
  }

  test('a worker that died between claim and record leaves an unknown part, and one text', async () => {
    const { phone, part, now } = await waiting();
    await bridge.claim([part.id]);
    // The job runs again. Were the next worker to die right after this commit, the part must have its job already.
    assert.deepEqual(await bridge.claim([part.id]), [null]);
    assert.equal((await now()).state, 'unknown');
    const jobs = await db.admin`select 1 from graphile_worker.jobs where key = ${`settle:${part.id}`}`;
    assert.equal(jobs.length, 1, 'nobody looks for it');
    await carrier.send(part);
    assert.equal(carrier.taken(phone).length, 0, 'sent although nobody knows whether it was already');
    await carrier.settle(part, 0);
    await carrier.send(part);
    assert.equal(carrier.taken(phone).length, 1);
  });
});

describe('a carrier that is away for long', () => {
  inOwnWorld();

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
});
