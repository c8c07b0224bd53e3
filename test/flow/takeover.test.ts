// An operator answers by hand: the agent is silent, nothing is lost, and what was said is what the agent is told afterwards.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { closeDeferred } from '../../src/bridge/posts.ts';
import { type Behaviour, HANG, type PostAnswer } from '../support/scripted-agent.ts';
import { deskOf } from '../support/takeover-desk.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const codeOf = ({ status, json }: { status: number; json: PostAnswer }) => `${status} ${json.error?.code}`;
const bodies = (person: { texts(): readonly { body: string }[] }) => person.texts().map(({ body }) => body);

describe('a takeover', { concurrency: 6 }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** Somebody on a line of their own, whose first text is with an agent, and the desk of the operators. */
  async function talking(behaviour: Behaviour = ({ message }) => `Re: ${message}`) {
    const line = await world.line({ quiet_ms: 0 });
    const agent = await line.agent(behaviour);
    const ann = line.person();
    await ann.text('hello');
    await until(() => agent.calls.length > 0);
    const { id } = await line.conversation(ann);
    return { line, agent, ann, id, desk: deskOf(world.database.pools.web, id) };
  }

  const statesOf = async (id: string) =>
    (await world.sql`select state from message_log where conversation_id = ${id} and direction = 'in' order by id`).map(
      ({ state }) => state,
    );
  const stored = (id: string, texts: number) =>
    until(async () => (await statesOf(id)).length === texts, { what: 'the texts in the database' });
  /** Jobs that could still do something: one with another token than the conversation's ends at once. */
  const jobsOf = (id: string, task: 'turn' | 'end-takeover') => world.sql`
    select j.run_at from graphile_worker._private_jobs j join conversations c on c.id::text = j.payload ->> 'c'
    where c.id = ${id} and case ${task}::text
      when 'turn' then (j.payload ->> 't')::int = c.token else j.key = 'takeover:' || c.id end`;

  test('the agent is silent, the operator answers, and the agent then knows what was said', async () => {
    const { line, agent, ann, id, desk } = await talking(() => HANG);
    const taken = await desk.take();
    assert.equal(taken.by, 'Ida');
    assert.equal(Date.parse(taken.until) - Date.parse(taken.since) >= 30 * 60_000, true);
    await until(() => agent.calls[0]!.aborted, { what: 'the end of the call' });
    agent.behave(({ message }) => `Re: ${message}`);
    await ann.text('anybody?');
    await stored(id, 2);
    assert.deepEqual(await statesOf(id), ['with_operator', 'with_operator']);
    assert.deepEqual([...(await jobsOf(id, 'turn'))], []);

    const said = await desk.say('This is Ida.');
    assert.equal((await ann.next()).body, 'This is Ida.');
    assert.deepEqual(await statesOf(id), ['answered', 'answered']);
    const [row] = await world.sql`select kind, direction from message_log where id = ${said.messageId}`;
    assert.deepEqual(row, { kind: 'operator', direction: 'out' });
    await ann.text('good, and now?');
    await stored(id, 3);
    assert.equal((await statesOf(id))[2], 'with_operator');
    assert.equal(agent.calls.length, 1, 'the agent was asked while the operator had it');

    await desk.back();
    assert.equal((await ann.next()).body, 'Re: good, and now?');
    assert.deepEqual(
      agent.calls.at(-1)!.payload.conversation_history.map(({ role, content }) => [role, content]),
      [
        ['user', 'hello'],
        ['user', 'anybody?'],
        ['assistant', 'This is Ida.'],
      ],
    );
    const story = await line.story(ann);
    assert.deepEqual(
      story.turns.map(({ state, error_code, agent_id }) => [state, error_code, agent_id]),
      [
        ['cancelled', 'conversation_taken', null],
        ['replied', null, null],
        ['replied', null, agent.id],
      ],
    );
    assert.equal(story.sessions.length, 1, 'the session did not go on');
    assert.equal(agent.calls[0]!.payload.session_id, agent.calls.at(-1)!.payload.session_id);
    assert.deepEqual(bodies(ann), ['This is Ida.', 'Re: good, and now?']);
  });

  test('an answer that was committed before it goes out, in order before the operator’s', async () => {
    const { line, ann, desk } = await talking();
    await ann.next();
    await desk.take();
    await desk.say('Ida here.');
    await desk.back();
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: hello', 'Ida here.']);
  });

  test('handed back with nothing waiting, the agent answers the next text', async () => {
    const { line, agent, ann, id, desk } = await talking();
    await ann.next();
    await desk.take();
    await desk.back();
    assert.deepEqual([...(await jobsOf(id, 'end-takeover')), ...(await jobsOf(id, 'turn'))], []);
    await ann.text('still there?');
    assert.equal((await ann.next()).body, 'Re: still there?');
    await line.story(ann);
    assert.equal(agent.calls.length, 2);
  });

  test('handed back unanswered, all that waits is asked anew', async () => {
    const { agent, ann, id, desk } = await talking(() => HANG);
    await desk.take();
    await ann.text('anybody?');
    await stored(id, 2);
    agent.behave(({ message }) => `Re: ${message.replace('\n', ' + ')}`);
    await desk.back();
    assert.equal((await ann.next()).body, 'Re: hello + anybody?');
  });

  test('a forgetful operator: it ends by itself, and what waits goes to the agent', async () => {
    const { line, agent, ann, id, desk } = await talking(() => HANG);
    await desk.take();
    const [job] = await jobsOf(id, 'end-takeover');
    const { takeover_until } = await line.conversation(ann);
    assert.deepEqual(job!.run_at, takeover_until, 'nothing will end it');
    agent.behave(() => 'I am back.');
    // Half an hour passes.
    await world.sql`update conversations set takeover_until = clock_timestamp() where id = ${id}`;
    await world.sql`update graphile_worker._private_jobs set run_at = clock_timestamp() where key = ${`takeover:${id}`}`;
    assert.equal((await ann.next()).body, 'I am back.');
    const { conversation } = await line.story(ann);
    assert.deepEqual(
      [conversation.takeover_by, conversation.takeover_since, conversation.takeover_until],
      [null, null, null],
    );
    await assert.rejects(desk.say('Too late.'), { code: 'not_taken_over' });
  });

  test('each act of the operator gives more time, and moves the one job that ends it', async () => {
    const { line, ann, id, desk } = await talking();
    await ann.next();
    const first = await desk.take();
    const again = await desk.take();
    assert.equal(again.since, first.since);
    assert.ok(again.until > first.until);
    await desk.say('A moment.');
    const { takeover_until } = await line.conversation(ann);
    assert.ok(takeover_until > new Date(again.until));
    assert.deepEqual(
      (await jobsOf(id, 'end-takeover')).map(({ run_at }) => run_at),
      [takeover_until],
    );
    await desk.back();
  });

  test('two operators: the second hears who has it, whatever they try', async () => {
    const { line, ann, desk } = await talking();
    await ann.next();
    await desk.take('Ida');
    for (const attempt of [desk.take('Bo'), desk.say('Me too.', { by: 'Bo' }), desk.back('Bo')]) {
      await assert.rejects(attempt, { code: 'conversation_taken', message: /^Ida answers/ });
    }
    await desk.back('Ida');
    await assert.rejects(desk.back('Ida'), { code: 'not_taken_over' });
    await desk.take('Bo');
    await desk.back('Bo');
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: hello']);
  });

  test('a conversation that is not there', async () => {
    const desk = deskOf(world.database.pools.web, crypto.randomUUID());
    for (const attempt of [desk.take(), desk.say('Hello?'), desk.back()])
      await assert.rejects(attempt, { code: 'not_found' });
  });

  test('a double click is one message, side by side and later', async () => {
    const { line, ann, desk } = await talking();
    await ann.next();
    await assert.rejects(desk.say('Early.', { key: 'k1' }), { code: 'not_taken_over' });
    await desk.take();
    const clicks = await Promise.all(Array.from({ length: 10 }, () => desk.say('Once.', { key: 'k1' })));
    await desk.back();
    clicks.push(await desk.say('Once.', { key: 'k1' }));
    assert.equal(clicks.filter(({ isNew }) => isNew).length, 1);
    assert.equal(new Set(clicks.map(({ messageId }) => messageId)).size, 1);
    await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: hello', 'Once.']);
  });

  test('an operator’s words are sent as they are, and never held back for MORE', async () => {
    const { line, ann, id, desk } = await talking();
    await ann.next();
    await world.sql`update phone_numbers set max_segments = 1 where address = ${line.number}`;
    await desk.take();
    await desk.say('2 * 3 * 4, **really** – “yes”');
    await desk.say('word '.repeat(300));
    await assert.rejects(desk.say(' \u200b '), { code: 'invalid_request', param: 'text' });
    await desk.back();
    const { parts } = await line.story(ann);
    assert.equal(bodies(ann)[1], '2 * 3 * 4, **really** - "yes"');
    assert.equal(bodies(ann).slice(2).join(' '), 'word '.repeat(300).trim());
    assert.deepEqual(new Set(parts.slice(1).map(({ kind }) => kind)), new Set(['operator']));
    assert.equal((await world.sql`select more from conversations where id = ${id}`)[0]!.more, null);
  });

  test('STOP: nothing of the operator leaves after it, START lets them go on', async () => {
    const { line, ann, id, desk } = await talking(() => HANG);
    await desk.take();
    await ann.text('STOP');
    await until(async () => (await line.conversation(ann)).session_id === null);
    await assert.rejects(desk.say('Wait!'), { code: 'opted_out' });
    await ann.text('hm');
    await stored(id, 3);
    assert.deepEqual(await statesOf(id), ['cancelled', 'handled', 'refused']);
    await ann.text('START');
    await stored(id, 4);
    await ann.text('sorry');
    await stored(id, 5);
    await desk.say('Welcome back.');
    await until(() => bodies(ann).includes('Welcome back.'));
    assert.equal((await statesOf(id))[4], 'answered');
    await desk.back();
    const { sessions } = await line.story(ann);
    assert.deepEqual(
      sessions.map(({ is_active, end_reason }) => [is_active, end_reason]),
      [
        [false, 'stop'],
        [true, null],
      ],
    );
  });

  test('HELP is answered, RESET begins a new session, and MORE brings the rest of the agent’s answer', async () => {
    const { line, agent, ann, id, desk } = await talking(() => 'word '.repeat(100));
    await world.sql`update phone_numbers set max_segments = 1 where address = ${line.number}`;
    await ann.text('again');
    await until(() => agent.calls.length === 2);
    await until(() => bodies(ann).at(-1)?.endsWith('Reply MORE for the rest.'));
    await desk.take();
    const before = ann.texts().length;
    await ann.text('MORE');
    await until(() => ann.texts().length > before);
    await ann.text('HELP');
    await ann.text('RESET');
    await ann.text('who are you?');
    await until(async () => (await statesOf(id)).at(-1) === 'with_operator');
    await desk.say('Ida.');
    await until(() => bodies(ann).includes('Ida.'));
    agent.behave(() => 'The agent.');
    await desk.back();
    await ann.text('and you?');
    await until(() => bodies(ann).includes('The agent.'));
    assert.deepEqual(
      agent.calls.at(-1)!.payload.conversation_history.map(({ content }) => content),
      ['who are you?', 'Ida.'],
    );
    await line.story(ann);
  });

  test('with busy_policy interrupt or queue nobody is woken, and handing back keeps the policy', async () => {
    for (const busy_policy of ['interrupt', 'queue']) {
      const line = await world.line({ busy_policy, quiet_ms: 0 });
      const agent = await line.agent(() => HANG);
      const ann = line.person();
      await ann.text('one');
      await until(() => agent.calls.length === 1);
      const { id } = await line.conversation(ann);
      const desk = deskOf(world.database.pools.web, id);
      await desk.take();
      await until(() => agent.calls[0]!.aborted);
      agent.behave(({ message }) => `Re: ${message.replace('\n', ' + ')}`);
      await ann.text('two');
      await stored(id, 2);
      assert.deepEqual([...(await jobsOf(id, 'turn'))], []);
      await desk.back();
      await line.story(ann);
      assert.deepEqual(bodies(ann), busy_policy === 'queue' ? ['Re: one', 'Re: two'] : ['Re: one + two']);
    }
  });

  test('a text that an agent put off is the operator’s to answer; the agent’s late answer is refused', async () => {
    const { line, agent, ann, id, desk } = await talking(() => ({ status: 202 }));
    const { turns } = await line.story(ann);
    const { messageId } = agent.calls[0]!;
    await desk.take();
    assert.equal(codeOf(await agent.post(id, { text: 'Done.', in_reply_to: messageId })), '409 conversation_taken');
    assert.equal(await closeDeferred(world.database.pools.worker, turns[0]!.id, false), false, 'told of an outage');
    await desk.say('It is done.');
    await desk.back();
    assert.equal(codeOf(await agent.post(id, { text: 'Done.', in_reply_to: messageId })), '409 turn_closed');
    assert.equal(await closeDeferred(world.database.pools.worker, turns[0]!.id, false), false);
    assert.deepEqual(await statesOf(id), ['answered']);
    await until(() => ann.texts().length === 1);
    assert.deepEqual(bodies(ann), ['It is done.']);
  });

  test('handed back unanswered, a text that was put off is still answered: late, or honestly', async () => {
    const [one, two] = [await talking(() => ({ status: 202 })), await talking(() => ({ status: 202 }))];
    const turns = [(await one.line.story(one.ann)).turns[0]!, (await two.line.story(two.ann)).turns[0]!];
    for (const [n, { desk }] of [one, two].entries()) {
      await desk.take();
      assert.equal(await closeDeferred(world.database.pools.worker, turns[n]!.id, false), false);
      await desk.back();
    }
    const { messageId } = one.agent.calls[0]!;
    assert.equal((await one.agent.post(one.id, { text: 'Done.', in_reply_to: messageId })).status, 201);
    assert.equal((await one.ann.next()).body, 'Done.');
    // The job that found an operator there comes again.
    await world.sql`
      update graphile_worker._private_jobs set run_at = clock_timestamp() where payload ->> 'turn' = ${turns[1]!.id}`;
    assert.match((await two.ann.next()).body, /cannot answer right now/);
    await two.line.story(two.ann);
    assert.equal(two.ann.texts().length, 1);
  });

  test('texts of an agent’s own are refused meanwhile, uncharged', async () => {
    const { line, agent, ann, id, desk } = await talking();
    await ann.next();
    await desk.take();
    const refused = await agent.post(id, { text: 'Reminder.' }, { idempotencyKey: 'r1' });
    assert.equal(codeOf(refused), '409 conversation_taken');
    await desk.back();
    assert.equal((await agent.post(id, { text: 'Reminder.' }, { idempotencyKey: 'r1' })).status, 201);
    const { sessions } = await line.story(ann);
    assert.equal(sessions[0]!.proactive_left, 19);
  });

  test('a worker that comes up, runs its rounds or is told to go on wakes no agent', async () => {
    const { line, agent, ann, id, desk } = await talking(() => HANG);
    await desk.take();
    await until(() => agent.calls[0]!.aborted);
    await world.sql`
      update conversations set last_pending_at = last_pending_at - interval '1 hour', first_pending_at = null where id = ${id}`;
    const [rounds] = await world.sql`select rescue_conversations('5 minutes') as n`;
    assert.equal(rounds!.n, 0);
    const { token } = await line.conversation(ann);
    assert.equal((await world.sql`select give_back(${id}, ${token}, 0) as done`)[0]!.done, false);
    await world.sql`update agent_sessions set last_active_at = now() - interval '2 days' where conversation_id = ${id}`;
    await world.sql`select end_idle_sessions()`;
    assert.equal(
      (await world.sql`select is_active from agent_sessions where conversation_id = ${id}`)[0]!.is_active,
      true,
    );
    // Only a takeover that should be long over, and whose job is gone, is ended by them.
    await world.sql`delete from graphile_worker._private_jobs where key = ${`takeover:${id}`}`;
    await world.sql`update conversations set takeover_until = now() - interval '1 hour' where id = ${id}`;
    agent.behave(() => 'Here again.');
    assert.equal((await world.sql`select rescue_conversations('5 minutes') as n`)[0]!.n, 1);
    assert.equal((await ann.next()).body, 'Here again.');
  });
});
