// Texts that come while an answer is in the making, and people who wait long: the policies of a number.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Behaviour, HANG } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

/** Answers each call when the test says so, with what it was asked. */
function byHand() {
  const gates: PromiseWithResolvers<void>[] = [];
  const gate = (n: number) => (gates[n] ??= Promise.withResolvers<void>());
  let calls = 0;
  const behaviour: Behaviour = async ({ message }) => {
    await gate(calls++).promise;
    return `Re: ${message.replaceAll('\n', ' + ')}`;
  };
  return { behaviour, answer: (call: number) => gate(call).resolve() };
}

describe('a text during a turn', { concurrency: 6 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  const bodies = (person: { texts(): readonly { body: string }[] }) => person.texts().map(({ body }) => body);

  /** Somebody has written, and their agent answers when the test says so. */
  async function asked(first: string, settings: Parameters<World['line']>[0] = {}) {
    const line = await world.line(settings);
    const { behaviour, answer } = byHand();
    const agent = await line.agent(behaviour);
    const ann = line.person();
    await ann.text(first);
    await until(() => agent.calls.length === 1);
    return { line, agent, ann, answer };
  }

  test('collect: the next turn takes all that came meanwhile', async () => {
    const { line, agent, ann, answer } = await asked('one');
    await ann.text('two');
    await ann.text('three');
    answer(0);
    await until(() => agent.calls.length === 2);
    answer(1);
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: one', 'Re: two + three']);
  });

  test('interrupt: the running call is cancelled and made anew with everything', async () => {
    const { line, agent, ann, answer } = await asked('a table for two', { busy_policy: 'interrupt' });
    await ann.text('no, for three');
    await until(() => agent.calls.length === 2);
    await until(() => agent.calls[0]!.aborted, { what: 'the end of the first call' });
    answer(1);
    const story = await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: a table for two + no, for three']);
    assert.deepEqual(
      story.turns.map(({ state, error_code }) => [state, error_code]),
      [
        ['cancelled', 'agent_cancelled'],
        ['replied', null],
      ],
    );
    // Another question is another message to the agent.
    assert.notEqual(agent.calls[0]!.messageId, agent.calls[1]!.messageId);
    assert.deepEqual([story.conversation.interrupts, story.conversation.attempts], [0, 0]);
    const states =
      await world.sql`select state from message_log where conversation_id = ${story.conversation.id} and direction = 'in'`;
    assert.deepEqual([...states], [{ state: 'answered' }, { state: 'answered' }]);
  });

  test('interrupt: somebody who never stops typing is answered after the third time', async () => {
    const line = await world.line({ busy_policy: 'interrupt' });
    const { behaviour, answer } = byHand();
    const agent = await line.agent(behaviour);
    const ann = line.person();
    await ann.text('0');
    for (let n = 1; n <= 3; n++) {
      await until(() => agent.calls.length === n);
      await ann.text(String(n));
    }
    await until(() => agent.calls.length === 4);
    await ann.text('4');
    answer(3);
    assert.equal((await ann.next()).body, 'Re: 0 + 1 + 2 + 3');
    await until(() => agent.calls.length === 5);
    answer(4);
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: 0 + 1 + 2 + 3', 'Re: 4']);
  });

  test('interrupt: a text that comes with the answer is answered next, and nothing is said twice', async () => {
    const line = await world.line({ busy_policy: 'interrupt', quiet_ms: 0 });
    const agent = await line.agent(({ message }) => `Re: ${message.replaceAll('\n', ' + ')}`);
    const ann = line.person();
    // Nine answers in half a minute would be a machine's.
    for (let n = 0; n < 4; n++) {
      await ann.text(`${n}a`);
      await ann.text(`${n}b`);
      await line.story(ann);
    }
    const answered = bodies(ann).flatMap((body) => body.slice(4).split(' + '));
    assert.deepEqual(answered, Array.from({ length: 4 }, (_, n) => [`${n}a`, `${n}b`]).flat());
    assert.ok(agent.calls.length >= 4);
  });

  test('what is said in pieces behind a slow answer is one turn, like any other burst', async () => {
    const { line, agent, ann, answer } = await asked('one', { quiet_ms: 2000 });
    await ann.text('two');
    // The answer takes longer than a burst ever may.
    const { id } = await line.conversation(ann);
    await world.sql`update conversations set first_pending_at = first_pending_at - interval '10 seconds' where id = ${id}`;
    answer(0);
    await ann.next();
    await ann.text('three');
    await until(() => agent.calls.length === 2);
    answer(1);
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: one', 'Re: two + three']);
  });

  test('queue: after a hold, too, what comes during an answer has turns of its own', async () => {
    const { line, agent, ann, answer } = await asked('one', { busy_policy: 'queue' });
    const { id } = await line.conversation(ann);
    // It was held while this text waited.
    await world.sql`update conversations set held_until = clock_timestamp() where id = ${id}`;
    await ann.text('two');
    await ann.text('three');
    for (const n of [0, 1, 2]) {
      await until(() => agent.calls.length === n + 1);
      answer(n);
    }
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: one', 'Re: two', 'Re: three']);
  });

  test('queue: every text has an answer of its own, in order', async () => {
    const line = await world.line({ busy_policy: 'queue', quiet_ms: 5000 });
    const agent = await line.agent(({ message }) => `Re: ${message}`);
    const ann = line.person();
    for (const text of ['one', 'two', 'three', 'four']) await ann.text(text);
    await line.story(ann);
    assert.deepEqual(agent.heard(), ['one', 'two', 'three', 'four']);
    assert.deepEqual(bodies(ann), ['Re: one', 'Re: two', 'Re: three', 'Re: four']);
  });

  test('an unknown policy is refused by the database', async () => {
    await assert.rejects(world.line({ busy_policy: 'panic' }), /busy_policy/);
  });

  test('who waits longer than hold_ms is told so once, before the answer', async () => {
    const line = await world.line({ hold_ms: 1000, hold_text: 'A moment.' });
    const { behaviour, answer } = byHand();
    await line.agent(behaviour);
    const ann = line.person();
    await ann.text('something hard');
    assert.equal((await ann.next()).body, 'A moment.');
    answer(0);
    assert.equal((await ann.next()).body, 'Re: something hard');
    // Answered at once: nothing to be told.
    answer(1);
    await ann.text('something easy');
    assert.equal((await ann.next()).body, 'Re: something easy');
    const story = await line.story(ann);
    assert.deepEqual(
      story.messages.filter(({ direction }) => direction === 'out').map(({ kind }) => kind),
      ['holding', 'reply', 'reply'],
    );
  });

  test('a holding text is not told again when the turn is made anew, nor to the agent', async () => {
    const line = await world.line({ hold_ms: 1000, hold_text: 'A moment.', busy_policy: 'interrupt' });
    const { behaviour, answer } = byHand();
    const agent = await line.agent(behaviour);
    const ann = line.person();
    await ann.text('one');
    assert.equal((await ann.next()).body, 'A moment.');
    await ann.text('two');
    await until(() => agent.calls.length === 2);
    const { id, hold_told_seq } = await line.conversation(ann);
    const tell = (turn: unknown, epoch: unknown) =>
      world.sql`select tell_to_wait(${id}, ${turn as string}, ${epoch as number}, 'A moment.', '[{"text":"A moment.","segments":1}]', false) as part`;
    const { running_turn, epoch } = await line.conversation(ann);
    assert.deepEqual([...(await tell(running_turn, epoch))], [{ part: null }]);
    assert.equal(hold_told_seq, 1);
    answer(1);
    assert.equal((await ann.next()).body, 'Re: one + two');
    assert.deepEqual([...(await tell(running_turn, epoch))], [{ part: null }], 'not after the answer either');
    answer(2);
    await ann.text('three');
    await ann.next();
    assert.ok(agent.calls.at(-1)!.payload.conversation_history.every(({ content }) => content !== 'A moment.'));
    assert.deepEqual(bodies(ann), ['A moment.', 'Re: one + two', 'Re: three']);
  });

  test('STOP ends a turn that was interrupted and held', async () => {
    const line = await world.line({ busy_policy: 'interrupt' });
    const agent = await line.agent(() => HANG);
    const ann = line.person();
    await ann.text('one');
    await until(() => agent.calls.length === 1);
    await ann.text('two');
    await until(() => agent.calls.length === 2);
    await ann.text('STOP');
    await until(() => agent.calls[1]!.aborted);
    await line.story(ann);
    assert.deepEqual(
      bodies(ann).filter((body) => body.startsWith('Re:')),
      [],
    );
  });
});
