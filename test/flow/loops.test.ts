// Machines that answer machines, and floods: held back, told in one go, never lost.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Line } from '../support/line.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

describe('a conversation that goes round too fast', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld({ quietMs: 0 });
  });
  after(() => world.stop());

  const isHeld = (line: Line, whose: string) =>
    until(async () => ((await line.conversation(whose)).held_until as Date | null) !== null, { what: 'a hold' });

  /** A bot at the other end: answers every text with `words`. Returns how to stop it. */
  function bot(line: Line, words: (n: number) => string) {
    const phone = line.person();
    let said = 0;
    let running = true;
    const talk = async () => {
      await phone.text(words(said++));
      while (running) {
        await phone.next(undefined, 60_000).catch(() => {});
        if (running) await phone.text(words(said++));
      }
    };
    const talking = talk();
    return {
      phone,
      said: () => said,
      stop() {
        running = false;
      },
      talking,
    };
  }

  test('two bots are broken at nine answers in half a minute; the texts wait and are answered afterwards', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => `You said: ${message.slice(0, 40)}`);
    const other = bot(line, (n) => `I heard that ${n}`);
    await isHeld(line, other.phone.phone);
    assert.equal(agent.calls.length, 9);
    assert.equal(other.phone.texts().length, 9);
    const { id, holds } = await line.conversation(other.phone);
    assert.equal(holds, 1);
    const [waiting] = await world.sql`
      select state from message_log where conversation_id = ${id} and direction = 'in' order by id desc limit 1`;
    assert.equal(waiting!.state, 'held');
    assert.equal(world.log.filter((entry) => entry.includes('round too fast') && entry.includes(id)).length, 1);

    // Each hold in a row is longer, and less is answered between them: 4, then 2, then one at a time.
    let answered = 9;
    for (const [hold, more] of [
      [2, 4],
      [3, 2],
      [4, 1],
      [5, 1],
    ] as const) {
      await line.letHoldPass(other.phone);
      await until(async () => (await line.conversation(other.phone)).holds === hold, { what: `hold ${hold}` });
      answered += more;
      assert.equal(agent.calls.length, answered);
      const [row] = await world.sql`
        select round(extract(epoch from held_until - clock_timestamp()) / 30) as halves from conversations where id = ${id}`;
      assert.equal(Number(row!.halves), 2 ** (hold - 1));
    }
    other.stop();
    await line.letHoldPass(other.phone);
    await line.story(other.phone);
    await other.talking;
    assert.equal(agent.heard().length, other.phone.texts().length);
  });

  test('the same words for the fifth time are an auto-reply', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'Thank you!');
    const other = bot(line, () => ' I am out of office. ');
    await isHeld(line, other.phone.phone);
    assert.equal(agent.calls.length, 4);
    other.stop();
    await line.letHoldPass(other.phone);
    await line.story(other.phone);
    await other.talking;
  });

  test('pictures without words are no auto-reply, however many', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'A fine one!');
    const ann = line.person();
    for (let n = 1; n <= 6; n++) {
      await ann.text('', { media: [`https://example.test/${n}.jpg`] });
      await until(() => ann.texts().length === n);
    }
    assert.equal(agent.calls.length, 6);
  });

  test('a person who waits ten minutes is trusted again', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => message);
    const other = bot(line, (n) => `n${n}`);
    await isHeld(line, other.phone.phone);
    const { id } = await line.conversation(other.phone);
    other.stop();
    await line.letHoldPass(other.phone);
    await other.talking;
    await line.story(other.phone);
    await world.sql`
      update conversations set held_until = held_until - interval '11 minutes',
        answered_at = array(select t - interval '11 minutes' from unnest(answered_at) t) where id = ${id}`;
    const before = agent.calls.length;
    for (let n = 0; n < 9; n++) {
      await other.phone.text(`again ${n}`);
      await other.phone.next(({ body }) => body === `again ${n}`);
    }
    assert.equal(agent.calls.length, before + 9);
  });

  test('a hold from a clock that was set back since holds nobody', async () => {
    const line = await world.line();
    await line.agent(({ message }) => message);
    const ann = line.person();
    await ann.text('one');
    await ann.next();
    await world.sql`update conversations set holds = 1, held_until = now() + interval '5 hours' where their_address = ${ann.phone}`;
    await ann.text('two');
    assert.equal((await ann.next()).body, 'two');
  });

  test('STOP during a hold ends it; nothing is said when it is over', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => message);
    const other = bot(line, (n) => `n${n}`);
    await isHeld(line, other.phone.phone);
    other.stop();
    const calls = agent.calls.length;
    await other.phone.text('STOP');
    await line.letHoldPass(other.phone);
    await other.talking.catch(() => {});
    await line.story(other.phone);
    assert.equal(agent.calls.length, calls);
  });

  test('of a flood the agent gets the first and the newest texts in one turn; all are stored and answered', async () => {
    const gate = Promise.withResolvers<void>();
    const line = await world.line();
    let calls = 0;
    const agent = await line.agent(async () => {
      if (calls++ === 0) await gate.promise;
      return 'I see.';
    });
    const ann = line.person();
    await ann.text('first');
    await until(() => agent.calls.length === 1);
    for (let from = 0; from < 300; from += 50) {
      const some = await Promise.all(
        Array.from({ length: 50 }, (_, n) => ann.text(`text ${String(from + n).padStart(3, '0')}`)),
      );
      assert.ok(some.every(({ status }) => status === 200));
    }
    gate.resolve();
    const story = await line.story(ann);
    assert.equal(agent.calls.length, 2);
    const lines = agent.calls[1]!.text.split('\n');
    assert.equal(lines.length, 51);
    assert.equal(lines[10], '[250 more texts came here and are left out]');
    const stored = story.messages.filter(({ direction }) => direction === 'in').map(({ body }) => body);
    assert.deepEqual([...lines.slice(0, 10), ...lines.slice(11)], [...stored.slice(1, 11), ...stored.slice(-40)]);
    assert.equal(stored.length, 301);
    const [unanswered] = await world.sql`
      select count(*)::int as n from message_log
      where conversation_id = ${story.conversation.id} and direction = 'in' and state <> 'answered'`;
    assert.equal(unanswered!.n, 0);
    assert.equal(ann.texts().length, 2);
  });
});
