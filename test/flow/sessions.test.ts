// What an agent is told of the conversation so far, and when it begins anew.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorld, type World } from '../support/world.ts';

let world: World;

describe('sessions', { concurrency: 6 }, () => {
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** A line with an agent that numbers its answers, and somebody who has had `n` of them. */
  async function conversation(n: number) {
    const line = await world.line();
    let count = 0;
    const agent = await line.agent(() => `answer ${count++}`);
    const ann = line.person();
    const say = async (text: string) => {
      await ann.text(text);
      const { body } = await ann.next(({ body }) => body.startsWith('answer'));
      return body;
    };
    for (let i = 0; i < n; i++) await say(`text ${i}`);
    return { line, agent, ann, say, last: () => agent.calls.at(-1)!.payload };
  }

  test('the agent is told the last ten messages, oldest first, without the question itself', async () => {
    const { last, say } = await conversation(7);
    await say('text 7');
    const { conversation_history: history, message } = last();
    assert.equal(message, 'text 7');
    assert.deepEqual(
      history.map(({ role, content }) => `${role}: ${content}`),
      [2, 3, 4, 5, 6].flatMap((n) => [`user: text ${n}`, `assistant: answer ${n}`]),
    );
    const times = history.map(({ timestamp }) => Date.parse(timestamp));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });

  test('the session stays the same from text to text', async () => {
    const { agent } = await conversation(3);
    assert.equal(new Set(agent.calls.map(({ payload }) => payload.session_id)).size, 1);
    assert.equal(new Set(agent.calls.map(({ messageId }) => messageId)).size, 3);
  });

  test('RESET begins anew and says so; the agent never sees it', async () => {
    const { line, agent, ann, last, say } = await conversation(2);
    const before = last().session_id;
    await ann.text('Reset!');
    assert.match((await ann.next()).body, /start over/);
    await say('who am I?');
    assert.notEqual(last().session_id, before);
    assert.deepEqual(last().conversation_history, []);
    assert.equal(agent.calls.length, 3);
    const { sessions } = await line.story(ann);
    assert.deepEqual(
      sessions.map(({ is_active, end_reason }) => [is_active, end_reason]),
      [
        [false, 'reset'],
        [true, null],
      ],
    );
  });

  test('a session that was idle for longer than the number allows is over', async () => {
    const { line, ann, last, say } = await conversation(1);
    const before = last().session_id;
    await world.sql`update phone_numbers set session_idle = '10 minutes' where address = ${line.number}`;
    const { conversation: row } = await line.story(ann);
    const age = (minutes: number) => world.sql`
      update agent_sessions set last_active_at = clock_timestamp() - ${minutes} * interval '1 minute'
      where conversation_id = ${row.id}`;
    await age(9);
    await say('still there?');
    assert.equal(last().session_id, before);
    await line.story(ann);
    await age(11);
    await say('hello again');
    assert.notEqual(last().session_id, before);
    assert.deepEqual(last().conversation_history, []);
    const { sessions } = await line.story(ann);
    assert.deepEqual(
      sessions.map(({ end_reason }) => end_reason),
      ['idle', null],
    );
  });

  test('an agent may end the session with its answer', async () => {
    const { line, agent, ann, last, say } = await conversation(1);
    const before = last().session_id;
    agent.behave(() => ({ text: 'answer and goodbye', endSession: true }));
    assert.equal(await say('bye'), 'answer and goodbye');
    agent.behave(() => 'answer anew');
    await say('hello');
    assert.notEqual(last().session_id, before);
    assert.deepEqual(last().conversation_history, []);
    const { sessions } = await line.story(ann);
    assert.deepEqual(
      sessions.map(({ end_reason }) => end_reason),
      ['agent', null],
    );
  });

  test('a new session knows only what was said in it', async () => {
    const { ann, last, say } = await conversation(1);
    await ann.text('reset');
    await ann.next();
    await say('first');
    await say('second');
    assert.deepEqual(
      last().conversation_history.map(({ content }) => content),
      ['first', 'answer 1'],
    );
  });
});
