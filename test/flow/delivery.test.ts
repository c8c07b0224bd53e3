// What the carrier reports afterwards: states only move forward, whatever comes twice, late or out of order.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { CarrierState } from '../../src/channels/channel.ts';
import { type Bridge, bridgeOf, type PartRow, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { keyHolder } from '../support/operator.ts';
import { runs } from '../support/property.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

/** What Twilio may report on one message, in the order it happens. */
const STORIES: readonly (readonly CarrierState[])[] = [
  ['accepted', 'sent', 'delivered'],
  ['accepted', 'sent', 'delivered', 'read'],
  ['accepted', 'sent', 'undelivered'],
  ['accepted', 'failed'],
];
const RANKS = ['queued,sending,unknown', 'accepted', 'sent', 'delivered', 'read', 'failed,undelivered,void'];
const rankOf = (state: string) => RANKS.findIndex((names) => names.split(',').includes(state));

describe('states of a part', () => {
  let db: TestDatabase;
  let bridge: Bridge;

  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  /** A part in the middle of being sent, and what is known of it. */
  async function sending() {
    const conversation = await bridge.answered(somebody(), ['the answer']);
    const [part] = (await bridge.parts(conversation)) as [PartRow];
    await bridge.claim([part.id]);
    return {
      part: part.id,
      sid: newSid(),
      conversation,
      now: async () => (await bridge.parts(conversation))[0]!,
      accept: (sid: string) =>
        bridge.record([
          sendRecord({ part_id: part.id, conversation_id: conversation }, { state: 'accepted', provider_id: sid }),
        ]),
      lose: () =>
        bridge.record([
          sendRecord({ part_id: part.id, conversation_id: conversation }, { state: 'unknown', run_at_ms: 60_000 }),
        ]),
    };
  }

  test('any order of callbacks, with duplicates and around the create response, ends in the same state', async () => {
    const story = fc.constantFrom(...STORIES);
    const plan = story.chain((states) =>
      fc.record({
        states: fc.constant(states),
        // Each report once and some of them again, shuffled and cut into batches.
        reports: fc.array(fc.constantFrom(...states), { maxLength: 4 }).chain((again) => {
          const all = [...states, ...again];
          return fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
        }),
        batches: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 8, maxLength: 8 }),
        answerAfter: fc.integer({ min: 0, max: 8 }),
        answer: fc.constantFrom('accepted', 'unknown'),
      }),
    );
    await fc.assert(
      fc.asyncProperty(plan, async ({ states, reports, batches, answerAfter, answer }) => {
        const one = await sending();
        let rank = 0;
        const look = async () => {
          const next = rankOf((await one.now()).state);
          assert.ok(next >= rank, 'a state moved back');
          rank = next;
        };
        const left = [...reports];
        for (let step = 0; left.length > 0 || step <= answerAfter; step++) {
          if (step === answerAfter) await (answer === 'accepted' ? one.accept(one.sid) : one.lose());
          else {
            const batch = left.splice(0, batches[step % batches.length]);
            if (batch.length > 0) await bridge.status(batch.map((state) => ({ part: one.part, sid: one.sid, state })));
          }
          await look();
        }
        const end = await one.now();
        assert.equal(end.state, states.at(-1));
        assert.equal(end.provider_id, one.sid);
      }),
      runs(60),
    );
  });

  test('a callback that is faster than the create response is not undone by it', async () => {
    const one = await sending();
    await bridge.status([{ part: one.part, sid: one.sid, state: 'delivered' }]);
    await one.accept(one.sid);
    assert.equal((await one.now()).state, 'delivered');
  });

  test('a report on another message of the carrier changes nothing', async () => {
    const one = await sending();
    await one.accept(one.sid);
    const outcome = await bridge.status([{ part: one.part, sid: newSid(), state: 'undelivered', errorCode: '30007' }]);
    assert.deepEqual(outcome, ['ignored']);
    const { state, provider_id, error_code } = await one.now();
    assert.deepEqual([state, provider_id, error_code], ['accepted', one.sid, null]);
  });

  test('a report in the same batch on another message does not hide the right one', async () => {
    const one = await sending();
    await one.accept(one.sid);
    await bridge.status([
      { part: one.part, sid: newSid(), state: 'undelivered', errorCode: '30007' },
      { part: one.part, sid: one.sid, state: 'delivered' },
    ]);
    assert.equal((await one.now()).state, 'delivered');
  });

  test('21610 on one part keeps what is still queued from leaving', async () => {
    const phone = somebody();
    const conversation = await bridge.answered(phone, ['one']);
    await bridge.answered(phone, ['two']);
    const [one, two] = (await bridge.parts(conversation)) as [PartRow, PartRow];
    await bridge.claim([one.id]);
    await bridge.status([{ part: one.id, sid: newSid(), state: 'failed', errorCode: '21610', optedOut: true }]);
    assert.deepEqual(await bridge.claim([two.id]), [null]);
    const { state, error_code } = (await bridge.parts(conversation))[1]!;
    assert.deepEqual([state, error_code], ['void', 'opted_out']);
  });

  for (const state of ['failed', 'undelivered'] as const) {
    test(`the rest of a reply whose first part is ${state} does not leave, the next reply does`, async () => {
      const phone = somebody();
      const conversation = await bridge.answered(phone, ['one', 'two', 'three']);
      await bridge.answered(phone, ['next']);
      const [one] = (await bridge.parts(conversation)) as [PartRow];
      await bridge.claim([one.id]);
      await bridge.status([{ part: one.id, sid: newSid(), state, errorCode: '30005' }]);
      const parts = await bridge.parts(conversation);
      assert.deepEqual(
        parts.map((part) => [part.state, part.error_code]),
        [
          [state, '30005'],
          ['void', 'earlier_part_failed'],
          ['void', 'earlier_part_failed'],
          ['queued', null],
        ],
      );
      assert.ok((await bridge.claim([parts[3]!.id]))[0]);
      assert.ok((await bridge.sendJobs()).has(parts[3]!.id));
    });
  }

  test('a callback brings the next part forward, not before its own time nor before 3 s of one that a notice overtook', async () => {
    const dueInMs = async (part: { id: string }) => (await bridge.sendJobs()).get(part.id)!.getTime() - Date.now();
    const accept = async (part: { id: string }) => {
      const [claimed] = await bridge.claim([part.id]);
      const sid = newSid();
      await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: sid })]);
      return sid;
    };
    const ann = somebody();
    const conversation = await bridge.answered(ann, ['one']);
    const [one] = (await bridge.parts(conversation)) as [PartRow];
    const oneSid = await accept(one);
    await bridge.keyword(ann, 'RESET');
    await bridge.answered(ann, ['two']);
    const [, notice, two] = (await bridge.parts(conversation)) as [PartRow, PartRow, PartRow];
    const noticeSid = await accept(notice);
    await db.admin`
      update outbound_parts set accepted_at = accepted_at + interval '1 minute' where id = ${one.id}`;
    await db.admin`
      update graphile_worker._private_jobs set run_at = run_at + interval '1 minute' where key = ${`send:${two.id}`}`;
    await bridge.status([{ part: notice.id, sid: noticeSid, state: 'sent' }]);
    assert.ok((await dueInMs(two)) > 50_000, 'it may overtake the part before the notice');
    await bridge.status([{ part: one.id, sid: oneSid, state: 'sent' }]);

    const other = await bridge.answered(somebody(), ['one', 'two']);
    const [first, second] = (await bridge.parts(other)) as [PartRow, PartRow];
    const sid = await accept(first);
    await db.admin`update outbound_parts set again_at = now() + interval '1 minute' where id = ${second.id}`;
    await bridge.status([{ part: first.id, sid, state: 'sent' }]);
    assert.ok((await dueInMs(second)) > 50_000, 'it leaves before the place that it got anew');
  });

  test('a part that was given up because nobody could be asked is corrected by what the carrier reports later', async () => {
    const one = await sending();
    await one.lose();
    const part = { part_id: one.part, conversation_id: one.conversation };
    await bridge.record([sendRecord(part, { state: 'failed', error_code: 'unknown_outcome' })]);
    await bridge.status([{ part: one.part, sid: one.sid, state: 'sent' }]);
    assert.deepEqual([(await one.now()).state, (await one.now()).error_code], ['sent', null]);
    await bridge.status([{ part: one.part, sid: one.sid, state: 'delivered' }]);
    assert.equal((await one.now()).state, 'delivered');
  });

  test('a failed part stays failed whatever is reported later', async () => {
    const one = await sending();
    await one.accept(one.sid);
    await bridge.status([{ part: one.part, sid: one.sid, state: 'undelivered', errorCode: '30007' }]);
    await bridge.status([{ part: one.part, sid: one.sid, state: 'delivered' }]);
    await bridge.status([{ part: one.part, sid: one.sid, state: 'read' }]);
    const { state, error_code } = await one.now();
    assert.deepEqual([state, error_code], ['undelivered', '30007']);
  });
});

describe('delivery through the gateway', () => {
  let world: World;

  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** Somebody who has texted, been answered, and whose answer the carrier reported on. */
  async function answered(behaviour = 'the answer') {
    const line = await world.line();
    await line.agent(() => behaviour);
    const person = line.person();
    await person.text('hello');
    const part = async () => {
      const { id } = await line.conversation(person);
      const rows = await world.sql<
        PartRow[]
      >`select * from outbound_parts where conversation_id = ${id} order by position`;
      return rows[0];
    };
    return { line, person, part };
  }

  const callback = (part: PartRow, fields: Record<string, string>, query = `part=${part.id}`) =>
    world.signedPost(`/webhooks/twilio/status?${query}`, {
      AccountSid: world.accountSid,
      MessageSid: part.provider_id!,
      ...fields,
    });

  test('every callback delivered twice: the part is delivered once', async () => {
    world.simulator.faults.set({ duplicateCallbacks: 1 });
    const { person, part } = await answered();
    await person.next();
    const row = await until(async () => ((await part())?.state === 'delivered' ? part() : null));
    assert.equal(person.texts().length, 1);
    assert.equal((await callback(row, { MessageStatus: 'sent' })).status, 200);
    assert.equal((await callback(row, { MessageStatus: 'queued' })).status, 200);
    assert.equal((await part())?.state, 'delivered');
  });

  test('a callback on a part that nobody knows is answered 200 and changes nothing', async () => {
    const { part } = await answered();
    const row = await until(async () => ((await part())?.state === 'delivered' ? part() : null));
    const stranger = await callback(row, { MessageStatus: 'failed' }, 'part=01890000-0000-7000-8000-000000000000');
    assert.equal(stranger.status, 200);
    const other = await callback(row, { MessageStatus: 'failed', MessageSid: newSid() });
    assert.equal(other.status, 200);
    assert.equal((await part())?.state, 'delivered');
  });

  test('filtered by the carrier (30007): the log shows the text as undelivered and why', async () => {
    world.simulator.faults.set({ failWith: { code: 30_007, count: 1 } });
    const { line, person, part } = await answered();
    const row = await until(async () => ((await part())?.state === 'undelivered' ? part() : null));
    assert.equal(row.error_code, '30007');
    const { id } = await line.conversation(person);
    const [shown] = await world.sql`
      select state from message_log where conversation_id = ${id} and direction = 'out'`;
    assert.equal(shown?.state, 'undelivered');
    assert.deepEqual(person.texts(), []);
  });

  test('what did not arrive for a reason that the carrier does not give is found among what did not', async () => {
    world.simulator.faults.set({ missingCallbacks: 1 });
    const { line, person, part } = await answered();
    const row = await until(async () => ((await part())?.provider_id ? part() : null));
    await callback(row, { MessageStatus: 'undelivered' });
    assert.equal((await part())?.error_code, 'no_reason_given');
    const { id } = await line.conversation(person);
    const reader = await keyHolder(world, ['read']);
    const { json } = await reader.call('GET', '/v1/conversations?state=undelivered');
    assert.ok(json.data.some((item: { id: string }) => item.id === id));
  });

  test('21610 in a callback is an opt-out: later texts are kept and not answered', async () => {
    const { line, person, part } = await answered();
    const row = await until(async () => ((await part())?.provider_id ? part() : null));
    await callback(row, { MessageStatus: 'undelivered', ErrorCode: '21610' });
    await assertOptedOut(line.number, person);
  });

  test('21610 from the API is an opt-out: later texts are kept and not answered', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'the answer');
    // Twilio's test credentials refuse this recipient with 21610, and so does the simulator.
    const person = line.person('+15005550004');
    await person.text('hello');
    const { id } = await line.conversation(person);
    await until(() =>
      world.sql`
      select 1 from outbound_parts where conversation_id = ${id} and state = 'failed' and error_code = '21610'`.then(
        (rows) => rows.length,
      ),
    );
    await assertOptedOut(line.number, person);
    assert.equal(agent.calls.length, 1);
  });

  async function assertOptedOut(number: string, person: { phone: string; text(body: string): Promise<unknown> }) {
    const [consent] = await world.sql`
      select state, source from consents where (scope, their_address) = (${number}, ${person.phone})`;
    assert.deepEqual({ ...consent }, { state: 'out', source: 'carrier' });
    await person.text('are you there?');
    const [message] = await world.sql`
      select refused, seq from messages where body = 'are you there?' order by id desc limit 1`;
    assert.deepEqual({ ...message }, { refused: 'opted_out', seq: null });
  }
});
