// One turn and the agents behind it: failing over, falling back, and never answering twice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FALLBACK_TEXT } from '../../src/bridge/reply.ts';
import { type Behaviour, HANG, rightAnswer } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;

/** Deadlines short enough for a test, long enough for a busy machine. */
const BRISK = {
  DARKSPERE_AGENT_FIRST_BYTE_MS: '1200',
  DARKSPERE_AGENT_TOTAL_MS: '1500',
  DARKSPERE_TURN_MS: '4000',
};

describe('turns', { concurrency: 8 }, () => {
  before(async () => {
    world = await startWorld({ env: BRISK });
  });
  after(() => world.stop());

  /** Two agents and somebody whose session is with the first of them. */
  async function twoAgents() {
    const line = await world.line();
    const first = await line.agent(() => 'From the first.');
    const ann = line.person();
    await ann.text('hello');
    assert.equal((await ann.next()).body, 'From the first.');
    const second = await line.agent(() => 'From the second.');
    return { line, first, second, ann };
  }

  const agentCalls = (story: Awaited<ReturnType<Awaited<ReturnType<World['line']>>['story']>>) =>
    story.exchanges.filter(({ kind }) => kind === 'agent');

  test('when an agent fails another one answers, with the same question and the same history', async () => {
    const { line, first, second, ann } = await twoAgents();
    first.behave(() => ({ status: 500, body: 'stack trace' }));
    await ann.text('are you there?');
    assert.equal((await ann.next()).body, 'From the second.');
    const [failed, answered] = [first.calls[1]!, second.calls[0]!];
    assert.equal(answered.messageId, failed.messageId);
    const { deadline: _one, ...asked } = failed.payload;
    const { deadline: _two, ...askedAgain } = answered.payload;
    assert.deepEqual(askedAgain, asked);
    assert.equal(asked.conversation_history.length, 2);
    const story = await line.story(ann);
    assert.deepEqual(
      agentCalls(story).map(({ agent_id, attempt, outcome, error_code, http_status, late }) => [
        agent_id,
        attempt,
        outcome,
        error_code,
        http_status,
        late,
      ]),
      [
        [first.id, 1, 'reply', null, 200, false],
        [first.id, 1, 'failed', 'agent_http', 500, false],
        [second.id, 2, 'reply', null, 200, false],
      ],
    );
    assert.deepEqual([story.sessions[0]!.agent_id, story.sessions[0]!.failovers], [second.id, 1]);
  });

  test('after a failover the session stays with its new agent, also when the old one is well again', async () => {
    const { first, second, ann } = await twoAgents();
    first.behave(() => ({ status: 500 }));
    await ann.text('are you there?');
    await ann.next();
    first.behave(() => 'I am back.');
    // The old agent looks better than the new one: only the session speaks for staying.
    await world.sql`
      update agent_registry set status = 'active', consecutive_failures = 0, cooling_until = null,
        health_score = case when id = ${first.id} then 100 else 80 end
      where id in (${first.id}, ${second.id})`;
    await world.refreshAgents();
    await ann.text('who is it?');
    assert.equal((await ann.next()).body, 'From the second.');
    assert.equal(second.calls.length, 2);
  });

  test('an agent that hangs is given up at its deadline, and what it says later is dropped', async () => {
    const { line, first, second, ann } = await twoAgents();
    const late = Promise.withResolvers<string>();
    first.behave(() => late.promise);
    await ann.text('are you there?');
    assert.equal((await ann.next()).body, 'From the second.');
    await until(() => first.calls[1]!.aborted);
    late.resolve('Sorry, I was asleep.');
    const story = await line.story(ann);
    assert.equal(second.calls.length, 1);
    assert.deepEqual(
      ann.texts().map(({ body }) => body),
      ['From the first.', 'From the second.'],
    );
    assert.equal(agentCalls(story)[1]!.error_code, 'agent_timeout');
  });

  const broken: Record<string, [Behaviour, string]> = {
    'a web page': [() => ({ body: '<html>Login</html>', headers: { 'content-type': 'text/html' } }), 'agent_contract'],
    null: [() => ({ body: 'null' }), 'agent_contract'],
    nothing: [() => ({ body: '' }), 'agent_contract'],
    'half an answer': [() => ({ body: '{"type":"chat.resp' }), 'agent_contract'],
    'an answer to another question': [
      (_payload, call) => ({ body: { ...rightAnswer(call, { text: 'For Bob.' }), in_reply_to: crypto.randomUUID() } }),
      'agent_contract',
    ],
    'an answer in another session': [
      (payload, call) => {
        const answer = rightAnswer(call, { text: 'For Bob.' });
        return { body: { ...answer, payload: { ...answer.payload, session_id: `${payload.session_id}x` } } };
      },
      'agent_contract',
    ],
    'an object for a text': [
      (payload) => ({ body: { type: 'chat.response', payload: { session_id: payload.session_id, message: {} } } }),
      'agent_contract',
    ],
    'an empty answer': [() => '', 'agent_contract'],
    'blanks only': [() => ' \n\t ', 'agent_contract'],
    'a megabyte': [() => 'x'.repeat(1024 * 1024), 'agent_too_large'],
    'a redirect': [() => ({ status: 302, headers: { location: 'http://169.254.169.254/' } }), 'agent_http'],
    'an error of its own': [
      () => ({ body: { type: 'error', payload: { code: 'no_gpu', message: 'secret detail', retryable: false } } }),
      'agent_said_error',
    ],
  };
  for (const [name, [behaviour, code]] of Object.entries(broken)) {
    test(`${name} never reaches a person`, async () => {
      const line = await world.line();
      const agent = await line.agent(behaviour);
      const ann = line.person();
      await ann.text('hello');
      assert.equal((await ann.next()).body, FALLBACK_TEXT);
      const story = await line.story(ann);
      assert.deepEqual([story.turns[0]!.state, story.turns[0]!.error_code], ['fell_back', code]);
      assert.equal(agentCalls(story)[0]!.error_code, code);
      assert.ok(agentCalls(story).every(({ response }) => response.length <= 2_048));
      assert.equal(ann.texts().length, 1);
      // The same agent is not asked the same again: what it says is wrong, not late.
      assert.equal(agent.calls.length, 1);
    });
  }

  for (const [protocol, status] of [
    ['envelope', 502],
    ['envelope', 504],
    ['openai', 500],
    ['openai', 408],
    ['openai', 529],
  ] as const) {
    test(`${protocol}: ${status} from the only agent passes, and it is asked again`, async () => {
      const line = await world.line();
      const agent = await line.agent((_payload, { text }) => (agent.calls.length < 2 ? { status } : `Back: ${text}`), {
        protocol,
      });
      const ann = line.person();
      await ann.text('hello');
      assert.equal((await ann.next()).body, 'Back: hello');
      assert.equal(agent.calls.length, 2);
    });
  }

  test('an answer in which nothing can be read counts as none', async () => {
    const line = await world.line();
    await line.agent(() => '\u200b\u200b');
    const ann = line.person();
    await ann.text('hello');
    assert.equal((await ann.next()).body, FALLBACK_TEXT);
    assert.equal((await line.story(ann)).turns[0]!.error_code, 'agent_contract');
  });

  test('while nobody can answer the person is told once; afterwards they are answered again', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'Back again.');
    const ann = line.person();
    await agent.down();
    for (const text of ['hello?', 'anybody?', 'HELLO']) {
      await ann.text(text);
      const { turns } = await line.story(ann);
      assert.deepEqual([turns.at(-1)!.state, turns.at(-1)!.error_code], ['fell_back', 'agent_refused']);
    }
    assert.deepEqual(
      ann.texts().map(({ body }) => body),
      [FALLBACK_TEXT],
    );
    await agent.up();
    await ann.text('and now?');
    assert.equal((await ann.next(({ body }) => body !== FALLBACK_TEXT)).body, 'Back again.');
    await line.story(ann);
    // The outage is over: the next one is another.
    await agent.down();
    await ann.text('gone again?');
    await line.story(ann);
    assert.deepEqual(
      ann.texts().map(({ body }) => body),
      [FALLBACK_TEXT, 'Back again.', FALLBACK_TEXT],
    );
  });

  test('an outage that lasts is mentioned again after an hour', async () => {
    const line = await world.line();
    await line.agent(() => ({ status: 500 }));
    const ann = line.person();
    for (const minutes of [59, 61]) {
      await ann.text('hello?');
      const { conversation } = await line.story(ann);
      await world.sql`
        update conversations set outage_told_at = clock_timestamp() - ${minutes} * interval '1 minute'
        where id = ${conversation.id}`;
    }
    assert.equal(ann.texts().length, 1);
    await ann.text('hello?');
    await line.story(ann);
    assert.equal(ann.texts().length, 2);
  });

  test('what was not answered in an outage is what the agent reads next', async () => {
    const line = await world.line();
    const agent = await line.agent(() => ({ status: 500 }));
    const ann = line.person();
    await ann.text('my name is Ann');
    assert.equal((await ann.next()).body, FALLBACK_TEXT);
    agent.behave(() => 'Hello Ann.');
    await ann.text('what is my name?');
    assert.equal((await ann.next()).body, 'Hello Ann.');
    assert.deepEqual(
      agent.calls.at(-1)!.payload.conversation_history.map(({ content }) => content),
      ['my name is Ann'],
    );
  });

  test('with no agent at all the person is told', async () => {
    const line = await world.line();
    const ann = line.person();
    await ann.text('hello');
    assert.equal((await ann.next()).body, FALLBACK_TEXT);
    const { turns } = await line.story(ann);
    assert.deepEqual([turns[0]!.state, turns[0]!.error_code], ['fell_back', 'agent_none']);
  });

  test('only agents that can do what the number requires are asked', async () => {
    const line = await world.line({ required_capabilities: ['pictures', 'German'] });
    const half = await line.agent(() => 'Half.', { capabilities: ['pictures'] });
    await line.agent(() => 'Whole.', { capabilities: ['German', 'pictures', 'more'] });
    const ann = line.person();
    await ann.text('hallo');
    assert.equal((await ann.next()).body, 'Whole.');
    assert.equal(half.calls.length, 0);
  });

  test('a deactivated agent is not asked any more', async () => {
    const { line, first, ann } = await twoAgents();
    await world.sql`update agent_registry set status = 'deactivated' where id = ${first.id}`;
    await world.refreshAgents();
    await ann.text('hello');
    assert.equal((await ann.next()).body, 'From the second.');
    assert.equal(first.calls.length, 1);
    assert.equal((await line.story(ann)).sessions[0]!.failovers, 1);
  });

  test('STOP ends the running call, and what the agent was about to say is never sent', async () => {
    const line = await world.line();
    const gate = Promise.withResolvers<string>();
    const agent = await line.agent(() => gate.promise);
    const ann = line.person();
    await ann.text('tell me a long story');
    await until(() => agent.calls.length === 1);
    await ann.text('STOP');
    await until(() => agent.calls[0]!.aborted);
    gate.resolve('Once upon a time');
    const story = await line.story(ann);
    assert.equal(story.turns[0]!.state, 'cancelled');
    assert.ok(ann.texts().every(({ body }) => !body.includes('Once upon a time')));
    assert.deepEqual(
      agentCalls(story).map(({ error_code, late }) => [error_code, late]),
      [['agent_cancelled', true]],
    );
  });

  test('an agent that never answers anybody holds nobody else up', async () => {
    const line = await world.line();
    await line.agent(() => HANG);
    const people = Array.from({ length: 5 }, () => line.person());
    await Promise.all(people.map((person) => person.text('hello')));
    for (const person of people) assert.equal((await person.next()).body, FALLBACK_TEXT);
  });
});

test('an agent that is down for three seconds costs the person a wait, not an answer', async () => {
  const patient = await startWorld({ env: { DARKSPERE_TURN_MS: '30000' } });
  try {
    const line = await patient.line();
    const agent = await line.agent(() => 'Here I am.');
    const ann = line.person();
    await agent.down();
    await ann.text('hello?');
    const [{ id }] = [await line.conversation(ann)];
    await until(async () => (await patient.sql`select 1 from turns where conversation_id = ${id}`).length);
    // Long enough that the first tries have failed; nothing is proved by the length of it.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await agent.up();
    assert.equal((await ann.next(undefined, 20_000)).body, 'Here I am.');
    const { exchanges } = await line.story(ann);
    const codes = exchanges.filter(({ kind }) => kind === 'agent').map(({ error_code }) => error_code);
    assert.equal(codes[0], 'agent_refused');
    assert.equal(codes.at(-1), null);
    assert.equal(ann.texts().length, 1);
  } finally {
    await patient.stop();
  }
});
