// An operator, an agent and a person at the same moment: one of them is first, and nothing is lost or said twice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { bridgeOf, reply, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { deskOf, POLICY } from '../support/takeover-desk.ts';

describe('a takeover at the same moment as something else', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase({ web: 8, worker: 8, admin: 1 });
  });
  after(() => db.drop());

  const ROUNDS = 40;
  const waiting = (id: string) =>
    db.admin`
    select c.last_seq - c.done_seq as waiting, c.takeover_by, (select count(*)::int from graphile_worker._private_jobs j
      where j.payload ->> 'c' = c.id::text and (j.payload ->> 't')::int = c.token) as jobs
    from conversations c where c.id = ${id}`.then(([row]) => row!);

  test('the agent’s answer and a takeover: one of them is first, and the text is answered or with the operator', async () => {
    const bridge = bridgeOf(db);
    for (let round = 0; round < ROUNDS; round++) {
      const taken = await bridge.arrive(somebody(), 'hello');
      const id = taken!.conversationId;
      const turn = await bridge.start(id);
      const desk = deskOf(db.pools.web, id);
      const finish = () => bridge.finish([reply(turn!, ['Agent.'])]);
      const takenFirst = round % 2 === 0 ? desk.take() : null;
      const [[ended]] = await Promise.all([finish(), takenFirst ?? desk.take()]);
      const parts = await bridge.parts(id);
      const { waiting: left } = await waiting(id);
      assert.deepEqual([parts.length, left], ended ? [1, 0] : [0, 1]);
      await desk.say('Ida.');
      const states = await db.admin`
        select state from message_log where conversation_id = ${id} and direction = 'in'`;
      assert.deepEqual([...states], [{ state: 'answered' }]);
    }
  });

  test('handing back and another text: it has one job, whoever was first', async () => {
    const bridge = bridgeOf(db);
    for (let round = 0; round < ROUNDS; round++) {
      const phone = somebody();
      const id = (await bridge.arrive(phone, 'hello'))!.conversationId;
      const desk = deskOf(db.pools.web, id);
      await desk.take();
      if (round % 3 === 0) await desk.say('Answered.');
      await Promise.all([desk.back(), bridge.arrive(phone, 'more')]);
      const { waiting: left, jobs } = await waiting(id);
      assert.deepEqual([left, jobs], [round % 3 === 0 ? 1 : 2, 1]);
    }
  });

  test('an operator’s message and another text: it is answered by it, or it waits', async () => {
    const bridge = bridgeOf(db);
    for (let round = 0; round < ROUNDS; round++) {
      const phone = somebody();
      const id = (await bridge.arrive(phone, 'hello'))!.conversationId;
      const desk = deskOf(db.pools.web, id);
      await desk.take();
      await Promise.all([desk.say('Yes?'), bridge.arrive(phone, 'more')]);
      const states = await db.admin<{ state: string }[]>`
        select state from message_log where conversation_id = ${id} and direction = 'in' order by id`;
      const { waiting: left, jobs } = await waiting(id);
      assert.equal(states.filter(({ state }) => state === 'with_operator').length, left);
      assert.equal(states[0]!.state, 'answered');
      assert.equal(jobs, 0);
    }
  });

  test('a takeover, an operator’s message and STOP: nothing can leave afterwards', async () => {
    const bridge = bridgeOf(db);
    for (let round = 0; round < ROUNDS; round++) {
      const phone = somebody();
      const id = (await bridge.arrive(phone, 'hello'))!.conversationId;
      const desk = deskOf(db.pools.web, id);
      if (round % 2 === 0) await desk.take();
      await Promise.all([
        bridge.keyword(phone, 'STOP'),
        round % 2 === 0 ? desk.say('Hello?').catch(() => {}) : desk.take(),
      ]);
      const parts = await bridge.parts(id);
      assert.deepEqual(
        parts.filter(({ kind, state }) => kind !== 'notice' && state !== 'void'),
        [],
      );
      await assert.rejects(desk.say('Hello?'), { code: 'opted_out' });
    }
  });

  test('a worker that was cut off writes nothing; its call is kept, marked late', async () => {
    const bridge = bridgeOf(db);
    const id = (await bridge.arrive(somebody(), 'hello'))!.conversationId;
    const turn = await bridge.start(id);
    await deskOf(db.pools.web, id).take();
    const call = {
      kind: 'agent',
      agent_id: null,
      attempt: 1,
      target: 'https://agent.example.com/',
      http_status: 200,
      outcome: 'reply',
      error_code: null,
      request: '{}',
      response: '{}',
      started_at: new Date(),
      duration_ms: 1,
    } as const;
    assert.deepEqual(await bridge.finish([{ ...reply(turn!, ['Agent.']), exchanges: [call] }]), [null]);
    assert.equal((await bridge.parts(id)).length, 0);
    const kept = await db.admin`select late from exchanges where conversation_id = ${id}`;
    assert.deepEqual([...kept], [{ late: true }]);
  });

  test('an operator is paced like a reply', async () => {
    const bridge = bridgeOf(db);
    const id = (await bridge.arrive(somebody(), 'hello'))!.conversationId;
    const desk = deskOf(db.pools.web, id, { ...POLICY, pacing: true });
    await desk.take();
    for (const words of ['one', 'two', 'three']) await desk.say(words);
    const [one, two, three] = (await bridge.parts(id)).map(({ send_at }) => send_at.getTime());
    assert.ok(two! - one! >= 1_000 && three! - two! >= 1_000, 'faster than the number may');
  });
});
