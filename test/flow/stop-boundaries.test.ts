// A STOP at every step of a send: nothing leaves after it is acknowledged, and nothing that has left is taken for unsent.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Bridge, bridgeOf, OURS, type PartRow, somebody } from '../support/bridge.ts';
import { openCarrier, type SendStops } from '../support/carrier.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

/** A point that a send reaches and where it waits for the test. */
function boundary() {
  const reached = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: open.resolve,
    async pass() {
      reached.resolve();
      await open.promise;
    },
  };
}

describe('STOP at each step of a send', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  before(async () => {
    db = await freshDatabase({ web: 4, worker: 6, admin: 2 });
    await db.admin`insert into phone_numbers (address) values (${OURS})`;
    // However slow the machine is: what is to be seen is the order, not the time.
    bridge = bridgeOf(db, { lastSendsMs: 30_000 });
  });
  const opened: (() => Promise<void>)[] = [];
  after(async () => {
    await Promise.all(opened.map((close) => close()));
    await db.drop();
  });

  /** A reply of two parts, and a sender that hears of STOPs unless it is deaf. */
  async function sending(stops: SendStops, { deaf = false } = {}) {
    const carrier = await openCarrier(db, {}, stops);
    const heard = Promise.withResolvers<void>();
    const unlisten = deaf ? async () => {} : await carrier.hearStops(heard.resolve);
    let closing: Promise<void> | undefined;
    const close = () => {
      closing ??= unlisten().then(() => carrier.close());
      return closing;
    };
    // A test that fails must not leave anything open.
    opened.push(close);
    const phone = somebody();
    const id = await bridge.answered(phone, ['one', 'two']);
    const parts = async () => bridge.parts(id);
    const [one, two] = (await parts()) as [PartRow, PartRow];
    return {
      carrier,
      phone,
      id,
      one,
      two,
      states: async () => (await parts()).map(({ state, error_code }) => [state, error_code]),
      taken: () => carrier.taken(phone).map(({ body }) => body),
      /** What the jobs would do from here on: every part of the conversation is claimed and sent where it may. */
      async sendAll() {
        for (const part of await parts()) await carrier.send(part);
      },
      /** A STOP has reached the sender. */
      heard: heard.promise,
      close,
    };
  }

  const VOID = ['void', 'opted_out'];

  test('before the claim: nothing is claimed', async () => {
    const it = await sending({});
    await bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID]);
    await it.close();
  });

  test('between claim and request: the request does not leave, and the STOP is acknowledged after that is written', async () => {
    const gate = boundary();
    const it = await sending({ beforeRequest: gate.pass });
    const sent = it.carrier.send(it.one);
    await gate.reached;
    assert.equal((await it.states())[0]![0], 'sending');
    let acknowledged = false;
    const stopped = bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' }).then(() => {
      acknowledged = true;
    });
    await until(async () => (await db.admin`select 1 from consents where their_address = ${it.phone}`).length === 1);
    assert.equal(acknowledged, false);
    // A sender that has not heard of it may still send in this half second.
    await it.heard;
    gate.open();
    await Promise.all([sent, stopped]);
    assert.deepEqual(await it.states(), [VOID, VOID], 'it waits for another try');
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID]);
    await it.close();
  });

  for (const deaf of [false, true]) {
    test(`between claim and request, with a START behind it${deaf ? ' that is all its sender sees' : ''}: nothing comes back`, async () => {
      const gate = boundary();
      const it = await sending({ beforeRequest: gate.pass }, { deaf });
      const sent = it.carrier.send(it.one);
      await gate.reached;
      const stopped = bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
      const consent = (state: string) =>
        until(async () => {
          const rows = await db.admin`select 1 from consents where (their_address, state) = (${it.phone}, ${state})`;
          return rows.length === 1;
        });
      await consent('out');
      await bridge.keyword(it.phone, 'START', { optOutHandled: 'START' });
      await consent('in');
      // Who hears of it knows; who does not asks again when its claim is half a second old.
      const wokenMs = performance.now() + 600;
      if (deaf) await until(() => performance.now() > wokenMs);
      else await it.heard;
      gate.open();
      await Promise.all([sent, stopped]);
      await it.sendAll();
      assert.deepEqual(it.taken(), []);
      assert.deepEqual(await it.states(), [VOID, VOID]);
      await it.close();
    });
  }

  test('while the end of a part is unknown, with a START behind it: it is not sent again', async () => {
    const it = await sending({});
    it.carrier.simulator.faults.set({ http500BeforeAccept: 1 });
    await it.carrier.send(it.one);
    await bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await bridge.keyword(it.phone, 'START', { optOutHandled: 'START' });
    await it.carrier.settle(it.one, 0);
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID]);
    await it.close();
  });

  test('after a STOP and a START the next text is answered at once', async () => {
    const it = await sending({});
    await bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await bridge.keyword(it.phone, 'START', { optOutHandled: 'START' });
    await bridge.answered(it.phone, ['three']);
    await it.sendAll();
    assert.deepEqual(it.taken(), ['three']);
    await it.close();
  });

  test('a sender that was suspended with a claim, and has heard of no STOP, claims again before it sends', async () => {
    const gate = boundary();
    const it = await sending({ beforeRequest: gate.pass }, { deaf: true });
    const sent = it.carrier.send(it.one);
    await gate.reached;
    const claimedMs = performance.now();
    await bridgeOf(db).keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await until(() => performance.now() - claimedMs > 2_100);
    gate.open();
    await sent;
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID]);
    await it.close();
  });

  test('a STOP whose commit takes long waits as long for a claim of the last moment, whose sender does not hear of it', async () => {
    const gate = boundary();
    const it = await sending({ beforeRequest: gate.pass }, { deaf: true });
    const startedMs = performance.now();
    let stopped: Promise<boolean> | undefined;
    let sent: Promise<void> | undefined;
    await db.admin.begin(async (held) => {
      await held`select from conversations where id = ${it.id} for update`;
      stopped = bridgeOf(db, { lastSendsMs: 700 }).keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
      // Of the time that a STOP may take next to nothing is left.
      await until(() => performance.now() - startedMs > 650);
      sent = it.carrier.send(it.one);
      await gate.reached;
    });
    assert.equal(await stopped, true);
    gate.open();
    await sent;
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID]);
    await it.close();
  });

  test('a suspended sender whose person said nothing sends after all, once', async () => {
    const gates = [boundary(), boundary()];
    let pass = 0;
    const it = await sending({ beforeRequest: () => gates[pass++]?.pass() ?? Promise.resolve() }, { deaf: true });
    const sent = it.carrier.send(it.one);
    await gates[0]!.reached;
    const claimedMs = performance.now();
    await until(() => performance.now() - claimedMs > 2_100);
    gates[0]!.open();
    await sent;
    assert.deepEqual(it.taken(), []);
    assert.ok((await bridge.sendJobs()).has(it.one.id));
    gates[1]!.open();
    await it.carrier.send(it.one);
    assert.deepEqual(it.taken(), ['one']);
    await it.close();
  });

  test('an answer to a keyword that was sent by another while its sender was suspended is not sent again', async (t) => {
    const gate = boundary();
    const suspended = await openCarrier(db, {}, { beforeRequest: gate.pass });
    const other = await openCarrier(db);
    opened.push(suspended.close, other.close);
    const phone = somebody();
    await bridge.keyword(phone, 'Help.');
    const [notice] = await db.admin<PartRow[]>`
      select p.* from outbound_parts p join conversations c on c.id = p.conversation_id where c.their_address = ${phone}`;
    const sent = suspended.send(notice!);
    await gate.reached;
    const askedMs = performance.now();
    // A minute later its process counts as dead.
    await db.admin`update outbound_parts set sending_at = sending_at - interval '61 seconds' where id = ${notice!.id}`;
    await other.send(notice!);
    await other.settle(notice!, 0);
    await other.send(notice!);
    t.mock.method(performance, 'now', () => askedMs + 61_000);
    gate.open();
    await sent;
    assert.deepEqual([other.taken(phone).length, suspended.taken(phone).length], [1, 0]);
  });

  test('between request and record: what has left is recorded as sent, the rest does not leave', async () => {
    const gate = boundary();
    const it = await sending({ beforeRecord: gate.pass });
    const sent = it.carrier.send(it.one);
    await gate.reached;
    const stopped = bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await until(async () => (await db.admin`select 1 from consents where their_address = ${it.phone}`).length === 1);
    gate.open();
    await Promise.all([sent, stopped]);
    await it.sendAll();
    assert.deepEqual(it.taken(), ['one']);
    assert.deepEqual(await it.states(), [['accepted', null], VOID]);
    await it.close();
  });

  test('a sender that died with a claim does not hold the STOP up for ever', async () => {
    const gate = boundary();
    const it = await sending({ beforeRequest: gate.pass }, { deaf: true });
    void it.carrier.send(it.one);
    await gate.reached;
    assert.equal(await bridgeOf(db).keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' }), true);
    await it.close();
    gate.open();
  });

  test('between two parts: the second does not leave', async () => {
    const it = await sending({});
    await it.carrier.send(it.one);
    assert.ok((await bridge.sendJobs()).has(it.two.id), 'the second part has no job yet');
    await bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await it.sendAll();
    assert.deepEqual(it.taken(), ['one']);
    assert.deepEqual(await it.states(), [['accepted', null], VOID]);
    await it.close();
  });

  test("with a text of an agent's own claimed: it does not leave", async () => {
    const gate = boundary();
    const it = await sending({ beforeRequest: gate.pass });
    const post = [{ conversation_id: it.id, kind: 'proactive', body: 'news', parts: [{ text: 'news', segments: 1 }] }];
    await db.admin`select queue_replies(${JSON.stringify(post)}::text::json, false)`;
    const news = (await bridge.parts(it.id)).at(-1)!;
    const sent = it.carrier.send(news);
    await gate.reached;
    const stopped = bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await until(async () => (await db.admin`select 1 from consents where their_address = ${it.phone}`).length === 1);
    gate.open();
    await Promise.all([sent, stopped]);
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID, VOID]);
    await it.close();
  });

  test('while a refused part waits for its next try: it is void', async () => {
    const it = await sending({});
    it.carrier.simulator.faults.set({ http429: 1 });
    await it.carrier.send(it.one);
    assert.equal((await it.states())[0]![0], 'queued');
    await bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID]);
    await it.close();
  });

  test('while the end of a part is unknown: it is looked up and not sent again', async () => {
    const it = await sending({});
    it.carrier.simulator.faults.set({ http500BeforeAccept: 1 });
    await it.carrier.send(it.one);
    assert.equal((await it.states())[0]![0], 'unknown');
    await bridge.keyword(it.phone, 'Stop.', { optOutHandled: 'STOP' });
    await it.carrier.settle(it.one, 0);
    await it.sendAll();
    assert.deepEqual(it.taken(), []);
    assert.deepEqual(await it.states(), [VOID, VOID]);
    await it.close();
  });

  test('under a messaging service a STOP holds what is claimed for our other numbers too', async () => {
    const gate = boundary();
    const carrier = await openCarrier(db, {}, { beforeRequest: gate.pass });
    const unlisten = await carrier.hearStops();
    const phone = somebody();
    const id = await bridge.answered(phone, ['one']);
    const [one] = await bridge.parts(id);
    const sent = carrier.send(one!);
    await gate.reached;
    const heard = Promise.withResolvers<void>();
    const listening = await db.pools.worker.listen(
      'darkspere_cancel',
      (notice) => notice.startsWith(id) && heard.resolve(),
    );
    const service = bridgeOf(db, { lastSendsMs: 30_000, optOutScope: 'MG1' });
    const stopped = service.keyword(phone, 'STOP', { to: '+15550009999', optOutHandled: 'STOP' });
    await heard.promise;
    gate.open();
    await Promise.all([sent, stopped]);
    assert.deepEqual(carrier.taken(phone), []);
    await listening.unlisten();
    await unlisten();
    await carrier.close();
  });

  test('many rounds of a STOP somewhere in the middle of a send', async () => {
    let waitMs = 0;
    const slowly = () => new Promise<void>((resolve) => setTimeout(resolve, Math.random() * waitMs));
    const carrier = await openCarrier(db, {}, { beforeRequest: slowly, beforeRecord: slowly });
    const unlisten = await carrier.hearStops();
    await Promise.all(
      Array.from({ length: 60 }, async (_, round) => {
        waitMs = 1 + (round % 30);
        const phone = somebody();
        const id = await bridge.answered(phone, ['one', 'two', 'three']);
        const parts = await bridge.parts(id);
        const sends = parts.map(async (part) => {
          await slowly();
          await carrier.send(part);
        });
        await slowly();
        await bridge.keyword(phone, 'Stop.', { optOutHandled: 'STOP' });
        const before = carrier.taken(phone).length;
        await Promise.all(sends);
        for (const part of parts) await carrier.send(part);
        assert.equal(carrier.taken(phone).length, before, 'something left after the STOP was acknowledged');
        const states = (await bridge.parts(id)).map(({ state }) => state);
        assert.equal(states.filter((state) => state === 'accepted').length, before);
        assert.ok(states.every((state) => state === 'accepted' || state === 'void'));
      }),
    );
    await unlisten();
    await carrier.close();
  });
});
