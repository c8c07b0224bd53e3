// Agents that ask for it are told when a session becomes theirs and when it is over; nothing else depends on it.
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { verifyWebhook } from '../../src/security/standard-webhooks.ts';
import { type Act, HANG, type ScriptedAgent } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

const ASKS = { metadata: { session_events: true } };

describe('session.start and session.end', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** What an agent was told of, shortly. */
  const told = ({ notices }: ScriptedAgent) =>
    notices.map(({ type, payload }) => (type === 'session.end' ? `end: ${payload.reason}` : 'start'));
  const tells = (agent: ScriptedAgent, expected: readonly string[]) =>
    until(() => agent.notices.length >= expected.length, { what: `${expected.join(', ')} at the agent` }).then(() =>
      assert.deepEqual(told(agent), expected),
    );

  /** Counts the jobs for an agent as they are added: those that are done are gone from the table. */
  async function countJobs(t: TestContext): Promise<(agent: ScriptedAgent) => Promise<number>> {
    await world.sql.unsafe(`
      create table added_jobs (payload json);
      create function note_job() returns trigger language plpgsql security definer set search_path = public as $$
        begin insert into added_jobs values (new.payload); return null; end $$;
      create trigger note_job after insert on graphile_worker._private_jobs for each row execute function note_job()`);
    t.after(() => world.sql.unsafe('drop function note_job cascade; drop table added_jobs'));
    return async ({ id }) => {
      const [row] = await world.sql<{ n: number }[]>`
        select count(*)::int as n from added_jobs where payload ->> 'agent' = ${id} and payload ->> 'session' is not null`;
      return row!.n;
    };
  }

  async function say(line: Line, person: ReturnType<Line['person']>, text: string): Promise<string> {
    const before = person.texts().length;
    await person.text(text);
    await line.story(person);
    return person
      .texts()
      .slice(before)
      .map(({ body }) => body)
      .join('\n');
  }

  test('a session starts with the first text, not with the second, and ends when its agent ends it', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => ({ text: message, endSession: message === 'bye' }), ASKS);
    const person = line.person();
    await say(line, person, 'hello');
    await tells(agent, ['start']);
    await say(line, person, 'still there?');
    await say(line, person, 'bye');
    await tells(agent, ['start', 'end: agent']);

    const [start, end] = agent.notices as [(typeof agent.notices)[0], (typeof agent.notices)[0]];
    const { sessions, conversation } = await line.story(person);
    const [session] = sessions;
    const about = {
      session_id: agent.calls[0]!.payload.session_id,
      conversation_id: agent.calls[0]!.payload.conversation_id,
      channel: 'sms',
      started_at: session!.started_at.toISOString(),
    };
    assert.deepEqual(start.payload, about);
    assert.deepEqual(end.payload, { ...about, ended_at: session!.ended_at.toISOString(), reason: 'agent' });
    assert.equal(conversation.id, about.conversation_id);
    assert.ok(!`${start.body}${end.body}`.includes(person.phone.slice(1)), 'no number of the person');
    for (const { headers, body, messageId } of [start, end]) {
      assert.equal(verifyWebhook(agent.signingSecret, headers, body, new Date()), 'valid');
      assert.equal(headers['webhook-id'], messageId);
    }
  });

  test('one that is ended with its first answer starts before it ends', async () => {
    const line = await world.line();
    const agent = await line.agent(() => ({ text: 'Wrong number.', endSession: true }), ASKS);
    for (let n = 0; n < 3; n++) await say(line, line.person(), 'hello');
    await until(() => agent.notices.length === 6);
    const bySession = Map.groupBy(agent.notices, ({ payload }) => payload.session_id);
    assert.equal(bySession.size, 3);
    for (const notices of bySession.values())
      assert.deepEqual(
        notices.map(({ type }) => type),
        ['session.start', 'session.end'],
      );
  });

  for (const [reason, word] of [
    ['stopped', 'STOP'],
    ['reset', 'RESET'],
  ] as const)
    test(`it ends with ${word}`, async () => {
      const line = await world.line();
      const agent = await line.agent(({ message }) => message, ASKS);
      const person = line.person();
      await say(line, person, 'hello');
      await person.text(word);
      await tells(agent, ['start', `end: ${reason}`]);
    });

  test('it ends when it was idle for too long, by itself or with the next text', async () => {
    const line = await world.line({ session_idle: '10 minutes' });
    const agent = await line.agent(({ message }) => message, ASKS);
    const person = line.person();
    const letPass = async () => {
      const { id } = await line.conversation(person);
      await world.sql`
        update agent_sessions set last_active_at = last_active_at - interval '11 minutes' where conversation_id = ${id}`;
    };
    await say(line, person, 'hello');
    await letPass();
    await world.sql`select end_idle_sessions()`;
    await tells(agent, ['start', 'end: idle']);
    await say(line, person, 'again');
    await tells(agent, ['start', 'end: idle', 'start']);
    await letPass();
    await say(line, person, 'and again');
    await until(() => agent.notices.length === 5);
    assert.deepEqual(told(agent).toSorted(), ['end: idle', 'end: idle', 'start', 'start', 'start']);
    assert.equal(new Set(agent.notices.map(({ payload }) => payload.session_id)).size, 3);
  });

  test('with a failover it ends at the old agent and starts at the new one', async () => {
    const line = await world.line();
    const old = await line.agent(({ message }) => message, ASKS);
    const person = line.person();
    await say(line, person, 'hello');
    const next = await line.agent(({ message }) => message, ASKS);
    old.behave(() => ({ status: 500 }));
    await say(line, person, 'are you well?');
    await Promise.all([tells(old, ['start', 'end: moved']), tells(next, ['start'])]);
    assert.deepEqual(next.notices[0]!.payload, old.notices[0]!.payload);
    // An operator moves it back.
    const { sessions } = await line.story(person);
    await world.sql`
      update agent_registry set status = 'active', health_score = 100, consecutive_failures = 0, cooling_until = null
      where id = ${old.id}`;
    const [moved] = await world.sql`select * from failover_session_to_healthy_agent(${sessions[0]!.id})`;
    assert.equal(moved!.new_agent, old.id);
    await Promise.all([tells(old, ['start', 'end: moved', 'start']), tells(next, ['start', 'end: moved'])]);
  });

  test('an agent that cannot be reached misses its end, and the new one hears of the start', async () => {
    const line = await world.line();
    const old = await line.agent(({ message }) => message, ASKS);
    const person = line.person();
    await say(line, person, 'hello');
    await tells(old, ['start']);
    const next = await line.agent(({ message }) => message, ASKS);
    await old.down();
    assert.equal(await say(line, person, 'anybody?'), 'anybody?');
    await tells(next, ['start']);
    await until(() => world.log.some((entry) => entry.includes(old.id) && entry.includes('could not be told')));
    assert.deepEqual(told(old), ['start']);
  });

  test('the person’s choice moves it', async () => {
    const line = await world.line();
    const ada = await line.agent(({ message }) => message, { name: 'Ada', ...ASKS });
    const person = line.person();
    await say(line, person, 'hello');
    const grace = await line.agent(({ message }) => message, { name: 'Grace', ...ASKS });
    await person.text('USE Grace');
    await Promise.all([tells(ada, ['start', 'end: moved']), tells(grace, ['start'])]);
    await person.text('USE Grace');
    const newcomer = line.person();
    await newcomer.text('USE Grace');
    await tells(grace, ['start', 'start']);
  });

  test('for an agent that did not ask, or not over the envelope, or not yet, no job is added', async (t) => {
    const jobsFor = await countJobs(t);
    const whole = async (agent: ScriptedAgent, line: Line) => {
      const person = line.person();
      assert.equal(await say(line, person, 'hello'), 'Hello.');
      await person.text('STOP');
      await line.story(person);
      return jobsFor(agent);
    };
    const silent: { metadata?: Record<string, unknown>; protocol?: 'openai' }[] = [
      {},
      { metadata: { session_events: false } },
      { ...ASKS, protocol: 'openai' },
    ];
    for (const options of silent) {
      const line = await world.line();
      const agent = await line.agent(() => 'Hello.', options);
      assert.equal(await whole(agent, line), 0, JSON.stringify(options));
    }

    const line = await world.line();
    const agent = await line.agent(() => 'Hello.');
    assert.equal(await whole(agent, line), 0);
    const change = (metadata: object) =>
      fetch(`${world.urls.agentRegistration}/api/agents/${agent.id}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${agent.apiKey}` },
        body: JSON.stringify({ metadata }),
      });
    const refused = await change({ session_events: 'yes' });
    assert.equal(refused.status, 422);
    assert.equal(((await refused.json()) as { error: { param: string } }).error.param, 'metadata.session_events');
    assert.equal((await change({ session_events: true })).status, 200);
    assert.equal(await whole(agent, line), 2);
    await tells(agent, ['start', 'end: stopped']);
    assert.equal((await change({})).status, 200);
    assert.equal(await whole(agent, line), 2);
  });

  test('one that an operator has disabled, or that was deactivated, is told nothing', async () => {
    for (const change of [{ disabled_at: new Date() }, { status: 'deactivated' }]) {
      const line = await world.line();
      const gone = await line.agent(({ message }) => message, ASKS);
      const person = line.person();
      await say(line, person, 'hello');
      await tells(gone, ['start']);
      const next = await line.agent(({ message }) => message, ASKS);
      await world.sql`update agent_registry set ${world.sql(change)} where id = ${gone.id}`;
      await world.refreshAgents();
      await say(line, person, 'still there?');
      await tells(next, ['start']);
      const { sessions } = await line.story(person);
      const [row] = await world.sql<{ n: number }[]>`
        select count(*)::int as n from graphile_worker._private_jobs where payload ->> 'session' = ${sessions[0]!.id}`;
      assert.equal(row!.n, 0);
      assert.deepEqual(told(gone), ['start']);
    }
  });

  const bad: Readonly<Record<string, () => Act | Promise<never>>> = {
    hangs: () => HANG,
    'answers 500': () => ({ status: 500, body: 'no' }),
    'answers more than is read': () => ({ body: 'x'.repeat(200_000) }),
  };
  for (const [what, onSession] of Object.entries(bad))
    test(`one that ${what} when it is told answers texts as ever, and is as healthy`, async () => {
      const line = await world.line();
      const agent = await line.agent(({ message }) => message, { ...ASKS, onSession, maxConcurrentSessions: 1 });
      const people = Array.from({ length: 6 }, () => line.person());
      for (const person of people) assert.equal(await say(line, person, 'one'), 'one');
      await until(() => agent.notices.length >= 4, { what: 'the agent to be told' });
      for (const person of people) assert.equal(await say(line, person, 'two'), 'two');
      const [standing] = await world.sql`
        select status, health_score, circuit, consecutive_failures, probe_failures, cooling_until from agent_registry
        where id = ${agent.id}`;
      assert.deepEqual(
        { ...standing },
        {
          status: 'active',
          health_score: 100,
          circuit: 'closed',
          consecutive_failures: 0,
          probe_failures: 0,
          cooling_until: null,
        },
      );
      const exchanges = (await Promise.all(people.map((person) => line.story(person)))).flatMap((one) => one.exchanges);
      const calls = exchanges.filter(({ agent_id }) => agent_id === agent.id);
      assert.equal(calls.length, 12, 'it was asked twelve times and nothing else is kept of it');
    });
});
