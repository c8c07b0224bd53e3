// Several workers, dead workers and workers that think they are alone: whatever they do, each text is answered once, and
// no conversation keeps another one waiting. What another process would do is done here by hand.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FALLBACK_TEXT } from '../../src/bridge/reply.ts';
import { finishTurns, giveBack, startTurns, type Turn, type TurnEnd, type TurnJob } from '../../src/bridge/store.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const GATEWAY_ONLY = ['gateway', 'agent-registration'] as const;

/** What another worker does when it takes the conversation: null when it may not. */
async function start(world: World, job: TurnJob): Promise<Turn | null> {
  const [begun] = await startTurns(world.database.pools.worker, [job], { quietMs: 0, maxTexts: 50 });
  return begun?.kind === 'turn' ? begun.turn : null;
}

/** What another worker does when its agent has answered: null when the answer came too late. */
async function finish(world: World, turn: Turn, text: string) {
  const end: TurnEnd = {
    conversation_id: turn.conversationId,
    turn_id: turn.turnId,
    session_id: turn.sessionId,
    epoch: turn.epoch,
    state: 'replied',
    agent_id: null,
    attempts: 1,
    error_code: null,
    kind: 'reply',
    body: text,
    parts: [{ text, segments: 1 }],
    more: null,
    end_session: false,
    deferred_until: null,
    exchanges: [],
  };
  const [ended] = await finishTurns(world.database.pools.worker, [end], { pacing: false });
  return ended && { pending: ended.pending };
}

describe('a worker and its rivals', { concurrency: 6 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** A text whose turn the real worker holds: its agent answers when the test says so. */
  async function held() {
    const line = await world.line();
    const answers = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    let calls = 0;
    const agent = await line.agent(() => answers[calls++]!.promise);
    const ann = line.person();
    await ann.text('hello');
    await until(() => agent.calls.length === 1);
    const { id, token } = await line.conversation(ann);
    return { line, agent, ann, answers, job: { conversationId: id as string, token: token as number } };
  }

  test('the answer of a turn whose job came to another worker too is dropped and kept as late', async () => {
    const { line, agent, ann, answers, job } = await held();
    assert.equal(await start(world, job), null);
    await until(() => agent.calls.length === 2);
    answers[0]!.resolve('From the turn that lost.');
    await until(
      async () => (await world.sql`select 1 from exchanges where conversation_id = ${job.conversationId}`).length,
    );
    answers[1]!.resolve('From the turn after it.');
    assert.equal((await ann.next()).body, 'From the turn after it.');
    const story = await line.story(ann);
    assert.equal(ann.texts().length, 1);
    assert.deepEqual(
      story.turns.map(({ state }) => state),
      ['lost', 'replied'],
    );
    assert.deepEqual(
      story.exchanges.filter(({ kind }) => kind === 'agent').map(({ late, outcome }) => [late, outcome]),
      [
        [true, 'reply'],
        [false, 'reply'],
      ],
    );
  });

  test('a conversation given back is answered by a new turn, and the old answer is dropped', async () => {
    const { line, agent, ann, answers, job } = await held();
    assert.equal(await giveBack(world.database.pools.worker, job, 0), true);
    assert.equal(await giveBack(world.database.pools.worker, job, 0), false);
    await until(() => agent.calls.length === 2);
    answers[0]!.resolve('Old.');
    answers[1]!.resolve('New.');
    assert.equal((await ann.next()).body, 'New.');
    const { turns } = await line.story(ann);
    assert.deepEqual(
      turns.map(({ state }) => state),
      ['lost', 'replied'],
    );
    assert.deepEqual(agent.heard(), ['hello', 'hello']);
    // The same question: its agent can recognise the repeat.
    assert.equal(agent.calls[0]!.messageId, agent.calls[1]!.messageId);
    assert.equal(ann.texts().length, 1);
  });

  test('a job with an old token can start nothing', async () => {
    const { ann, answers, job } = await held();
    assert.equal(await start(world, { ...job, token: job.token - 1 }), null);
    answers[0]!.resolve('Answered.');
    assert.equal((await ann.next()).body, 'Answered.');
    assert.equal(await start(world, job), null);
  });
});

test('a worker that comes back after others have taken its texts can write nothing, and leaves them their job', async () => {
  const world = await startWorld({ parts: GATEWAY_ONLY });
  try {
    const line = await world.line();
    const ann = line.person();
    await ann.text('hello');
    const first = await line.conversation(ann);
    const job = { conversationId: first.id as string, token: first.token as number };
    const turn = await start(world, job);
    assert.equal(await start(world, job), null);
    // The job that both had is ended by whoever of them is first; the texts have another one by then.
    const { token } = await line.conversation(ann);
    assert.notEqual(token, job.token);
    assert.deepEqual(
      (await world.sql`select payload from graphile_worker._private_jobs where payload ->> 'c' = ${job.conversationId}`)
        .map(({ payload }) => payload.t)
        .toSorted(),
      [job.token, token],
    );
    assert.equal(await finish(world, turn!, 'Too late.'), null);
    const anew = await start(world, { ...job, token });
    assert.deepEqual(await finish(world, anew!, 'Just right.'), { pending: false });
    // As after a commit whose answer got lost: it stands, and nothing more is said.
    assert.deepEqual(await finish(world, anew!, 'Twice.'), { pending: false });
    assert.equal(await finish(world, turn!, 'Never heard.'), null);
    const parts = await world.sql`select body from outbound_parts where conversation_id = ${job.conversationId}`;
    assert.deepEqual(
      parts.map(({ body }) => body),
      ['Just right.'],
    );
  } finally {
    await world.stop();
  }
});

test('texts that break every worker are given up, and the conversation goes on', async () => {
  const world = await startWorld({ parts: GATEWAY_ONLY });
  try {
    const line = await world.line();
    const agent = await line.agent(() => 'Fine.');
    const ann = line.person();
    await ann.text('poison');
    const startIt = async () => {
      const { id, token } = await line.conversation(ann);
      return start(world, { conversationId: id, token });
    };
    // Ten workers die over it.
    for (let death = 1; death <= 10; death++) {
      assert.equal((await startIt())?.tries, death);
      assert.equal(await startIt(), null);
    }
    await world.runtime(['worker']);
    assert.equal((await ann.next()).body, FALLBACK_TEXT);
    assert.equal(agent.calls.length, 0);
    await ann.text('something else');
    assert.equal((await ann.next()).body, 'Fine.');
    const { turns } = await line.story(ann);
    assert.deepEqual(
      turns.map(({ state }) => state),
      [...Array(10).fill('lost'), 'fell_back', 'replied'],
    );
    assert.equal(turns[10]!.error_code, 'internal_error');
  } finally {
    await world.stop();
  }
});

test('somebody who never stops gives the only slot back to others', async () => {
  const world = await startWorld({ env: { DARKSPERE_CONCURRENCY: '1', DARKSPERE_QUIET_MS: '0' } });
  try {
    const line = await world.line();
    const [ann, bob] = [line.person(), line.person()];
    let [said, chatting] = [0, true];
    const agent = await line.agent(async ({ message }) => {
      // There is always another text before this one is answered.
      if (message.startsWith('chat') && chatting) await ann.text(`chat ${++said}`);
      return 'I see.';
    });
    await ann.text('chat 0');
    await until(() => said > 2);
    await bob.text('may I?');
    await bob.next(undefined, 20_000);
    chatting = false;
    await until(async () => (await line.conversation(ann)).held_until !== null, { what: 'a hold' });
    await line.letHoldPass(ann);
    const { turns } = await line.story(ann);
    assert.ok(turns.every(({ state }) => state === 'replied'));
    const heard = agent.heard().filter((text) => text !== 'may I?');
    assert.deepEqual(
      heard.flatMap((text) => text.split('\n')),
      Array.from({ length: said + 1 }, (_, n) => `chat ${n}`),
    );
  } finally {
    await world.stop();
  }
});

test('where texts wait for a worker, those with priority go first', async () => {
  const world = await startWorld({ parts: GATEWAY_ONLY });
  try {
    const line = await world.line();
    const agent = await line.agent(() => 'Your turn.');
    const people = { plain: line.person(), important: line.person(), urgent: line.person() };
    for (const person of Object.values(people)) await person.text('RESET');
    for (const [name, priority] of [
      ['important', 1],
      ['urgent', 2],
    ] as const) {
      const { id } = await line.conversation(people[name]);
      await world.sql`update conversations set priority = ${priority} where id = ${id}`;
    }
    for (const [name, person] of Object.entries(people)) await person.text(name);
    await world.runtime(['worker'], { DARKSPERE_CONCURRENCY: '1' });
    await until(() => agent.calls.length === 3);
    assert.deepEqual(agent.heard(), ['urgent', 'important', 'plain']);
  } finally {
    await world.stop();
  }
});

test('two workers on one database answer every text once', async () => {
  const world = await startWorld();
  try {
    await world.runtime(['worker']);
    const line = await world.line();
    const agent = await line.agent(({ message }) => `Re: ${message}`);
    const people = Array.from({ length: 30 }, () => line.person());
    await Promise.all(people.map((person, n) => person.text(`text ${n}`)));
    for (const [n, person] of people.entries()) assert.equal((await person.next()).body, `Re: text ${n}`);
    for (const person of people) await line.story(person);
    assert.equal(agent.calls.length, 30);
    assert.ok(people.every((person) => person.texts().length === 1));
  } finally {
    await world.stop();
  }
});
