// What the page of an agent reads, and the conversation with it, on the real product.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Caller, keyHolder, signIn } from '../support/operator.ts';
import { HANG } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { type Line, startWorld, type World } from '../support/world.ts';

let world: World;
let call: Caller;
before(async () => {
  world = await startWorld();
  ({ call } = await signIn(world));
});
after(() => world.stop());

const read = async (path: string) => {
  const { status, json } = await call('GET', path);
  assert.equal(status, 200, JSON.stringify(json));
  return json;
};

/** Somebody who has texted and was answered; gives the conversation's id. */
async function answered(line: Line, text: string): Promise<string> {
  const person = line.person();
  await person.text(text);
  await person.next();
  return (await line.conversation(person)).id as string;
}

describe('the calls of an agent', () => {
  test('come newest first, in pages, lead to their messages, and can be those alone that failed', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => (message === 'fail' ? { status: 500 } : `you said ${message}`));
    await line.agent(() => 'another one answers', { name: 'the other' });
    const ids = [];
    for (const text of ['one', 'two', 'fail']) ids.push(await answered(line, text));
    const calls = async () => (await read(`/v1/agents/${agent.id}/exchanges?limit=200`)).data;
    await until(async () => (await calls()).length === agent.calls.length, { what: 'every call of the agent' });
    const all = await calls();
    assert.deepEqual(
      all.map(({ started_at }: { started_at: string }) => started_at),
      all
        .map(({ started_at }: { started_at: string }) => started_at)
        .toSorted()
        .toReversed(),
    );
    for (const each of all) {
      const path = await read(`/v1/messages/${each.message_id}/path`);
      assert.equal(path.conversation.id, each.conversation_id);
      assert.ok(path.spans.some((span: { exchange: { id: string } | null }) => span.exchange?.id === each.exchange.id));
      assert.match(each.exchange.curl, /curl/);
    }
    let cursor: string | null = null;
    const paged: unknown[] = [];
    do {
      const page: { data: unknown[]; next_cursor: string | null } = await read(
        `/v1/agents/${agent.id}/exchanges?limit=1${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      paged.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor !== null);
    assert.deepEqual(paged, all);
    const failed = (await read(`/v1/agents/${agent.id}/exchanges?outcome=failed`)).data;
    assert.ok(failed.length > 0);
    assert.deepEqual(
      failed,
      all.filter(({ exchange }: { exchange: { outcome: string } }) => exchange.outcome === 'failed'),
    );
    assert.ok(
      failed.every(({ exchange }: { exchange: { error_code: string } }) => exchange.error_code === 'agent_http'),
    );
  });

  test('one that STOP has cut off is none of its failures', async () => {
    const line = await world.line();
    const agent = await line.agent(() => HANG);
    const person = line.person();
    await person.text('tell me all');
    await until(() => agent.calls.length === 1);
    await person.text('STOP');
    const [call] = await until(async () => {
      const { data } = await read(`/v1/agents/${agent.id}/exchanges`);
      return data.length > 0 && data;
    });
    assert.deepEqual([call.exchange.outcome, call.exchange.error_code], ['failed', 'agent_cancelled']);
    assert.deepEqual((await read(`/v1/agents/${agent.id}/exchanges?outcome=failed`)).data, []);
  });

  test('sessions are those that are open, and a page ends where the next begins', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'hello');
    const ids = [];
    for (const text of ['one', 'two', 'three']) ids.push(await answered(line, text));
    const first = await read(`/v1/agents/${agent.id}/sessions?limit=2`);
    const second = await read(`/v1/agents/${agent.id}/sessions?limit=2&cursor=${first.next_cursor}`);
    const sessions = [...first.data, ...second.data];
    assert.deepEqual(
      sessions.map(({ conversation_id }: { conversation_id: string }) => conversation_id),
      ids.toReversed(),
    );
    assert.equal(second.next_cursor, null);
    assert.equal(sessions[0].our_address, line.number);
  });

  test('one that was moved says why, on the page of its conversation too', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'hello');
    const id = await answered(line, 'one');
    const reasonOf = async () => (await read(`/v1/conversations/${id}`)).session.last_failover_reason;
    assert.equal(await reasonOf(), null);
    const other = await line.agent(() => 'hello', { name: 'the other' });
    const [session] = (await read(`/v1/agents/${agent.id}/sessions`)).data;
    assert.equal(session.last_failover_reason, null);
    await world.sql`select failover_session_to_healthy_agent(${session.id})`;
    const [moved] = (await read(`/v1/agents/${other.id}/sessions`)).data;
    assert.deepEqual([moved.id, moved.failovers, moved.last_failover_reason], [session.id, 1, 'moved']);
    assert.equal(await reasonOf(), 'moved');
  });

  test('a cursor of somebody else’s making and an agent that is not there are refused', async () => {
    const agent = await world.agent(() => 'hello');
    for (const path of ['exchanges', 'sessions']) {
      const bad = await call('GET', `/v1/agents/${agent.id}/${path}?cursor=1`);
      assert.deepEqual([bad.status, bad.json.error.code, bad.json.error.param], [422, 'invalid_request', 'cursor']);
    }
    for (const path of ['exchanges', 'sessions', 'health']) {
      const gone = await call('GET', `/v1/agents/01900000-0000-7000-8000-000000000000/${path}`);
      assert.deepEqual([gone.status, gone.json.error.code], [404, 'not_found']);
    }
  });
});

describe('the health of an agent over time', () => {
  test('has what happened in this moment, keeps it when it is over, and a score that changed without a call', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'hello');
    await answered(line, 'one');
    const health = () => read(`/v1/agents/${agent.id}/health`);
    await until(async () => (await health()).points.at(-1).calls >= 1, {
      what: 'the call in the history',
      timeoutMs: 20_000,
    });
    const now = await health();
    assert.equal(now.points.length, 24);
    assert.deepEqual([now.points.at(-1).failures, now.points.at(-1).health_score], [0, 100]);
    assert.ok(now.points.at(-1).p50_ms > 0);
    assert.equal(now.points[0].health_score, null);

    // Ten minutes later, as far as the rows are concerned.
    const { sql } = world;
    // Somebody else has kept the five minutes that have just ended, if they have.
    await sql`delete from agent_health_history`;
    await sql`update agent_call_times set slot = slot - interval '10 minutes' where agent_id = ${agent.id}`;
    await sql`select keep_health_history()`;
    await sql`delete from agent_call_times where agent_id = ${agent.id}`;
    const later = await health();
    const kept = later.points.findIndex(({ calls }: { calls: number }) => calls > 0);
    assert.equal(kept, 21);
    assert.deepEqual(
      [later.points[kept].calls, later.points[kept].p50_ms],
      [now.points.at(-1).calls, now.points.at(-1).p50_ms],
    );
    assert.equal(later.points[kept].health_score, null, 'nobody looked then');
    assert.equal(later.points[22].health_score, 100, 'somebody has looked now');
    // Once more changes nothing, and a score that is another one is kept.
    await sql`select keep_health_history()`;
    assert.deepEqual((await health()).points.slice(0, 23), later.points.slice(0, 23));
    assert.equal((await read(`/v1/agents/${agent.id}/health?window=24h`)).points.length, 288);
  });
});

test('of five minutes that nobody looked at, as while Darkspere did not run, no score is said', async () => {
  const agent = await world.agent(() => 'hello', { type: 'watched' });
  const points = async () => (await read(`/v1/agents/${agent.id}/health`)).points;
  const slots = (await points()).map(({ at }: { at: string }) => at).slice(10, 15);
  const { sql } = world;
  await sql`delete from agent_health_looks`;
  await sql`
    insert into agent_health_history (agent_id, slot, calls, failures, health_score, status)
    values (${agent.id}, ${slots[0]}, 0, 0, 80, 'active')`;
  // Looked at with nothing new, not looked at twice, and looked at again.
  for (const slot of [slots[1], slots[4]]) await sql`insert into agent_health_looks values (${slot})`;
  const after = await points();
  assert.deepEqual(
    slots.map((slot: string) => after.find(({ at }: { at: string }) => at === slot).health_score),
    [80, 80, null, null, 80],
  );
  assert.equal(after.at(-1).health_score, 100);
});

describe('a list of agents', () => {
  test('is searched by name, and counted', async () => {
    const type = 'counted';
    for (const name of ['Ada of numbers', 'ada too', 'Bob %_']) await world.agent(() => 'hello', { name, type });
    const names = async (query: string) =>
      (await read(`/v1/agents?type=${type}&${query}`)).data.map(({ name }: { name: string }) => name);
    assert.deepEqual(await names('name=ADA'), ['Ada of numbers', 'ada too']);
    assert.deepEqual(await names('name=%25_'), ['Bob %_']);
    assert.deepEqual(await names('name=nobody'), []);
    const stats = await read('/v1/agents/stats');
    assert.deepEqual(
      stats.by_type.find((each: { type: string }) => each.type === type),
      { type, total: 3, healthy: 3 },
    );
  });
});

describe('talking to an agent', () => {
  test('is the call that a text makes, goes on in its session, and is no text', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message, conversation_history }) => `${conversation_history.length}: ${message}`);
    const [before] =
      await world.sql`select health_score, response_ms, last_success_at from agent_registry where id = ${agent.id}`;
    const first = await call('POST', `/v1/agents/${agent.id}/chat`, { message: 'hello there' });
    assert.equal(first.status, 200, first.text);
    assert.deepEqual([first.json.outcome, first.json.reply.text, first.json.error], ['reply', '0: hello there', null]);
    assert.ok(first.json.duration_ms > 0);
    const { exchange } = first.json;
    assert.deepEqual([exchange.http_status, exchange.outcome], [200, 'reply']);
    assert.equal(JSON.parse(exchange.request).payload.message, 'hello there');
    assert.match(exchange.curl, /\$\{AGENT_SIGNING_SECRET/);
    assert.ok(!first.text.includes(agent.signingSecret));

    const timestamp = new Date().toISOString();
    const second = await call('POST', `/v1/agents/${agent.id}/chat`, {
      message: 'and now?',
      session_id: first.json.session_id,
      history: [
        { role: 'user', content: 'hello there', timestamp },
        { role: 'assistant', content: '0: hello there', timestamp },
      ],
    });
    assert.deepEqual([second.json.reply.text, second.json.session_id], ['2: and now?', first.json.session_id]);
    assert.deepEqual(
      agent.calls.map(({ payload }) => payload.session_id),
      [first.json.session_id, first.json.session_id],
    );

    // Nothing of it is anywhere where texts are.
    const { sql } = world;
    const [rows] = await sql`
      select (select count(*)::int from agent_sessions where agent_id = ${agent.id}) as sessions,
        (select count(*)::int from turns where agent_id = ${agent.id}) as turns,
        (select count(*)::int from exchanges where agent_id = ${agent.id}) as exchanges,
        (select count(*)::int from agent_call_times where agent_id = ${agent.id}) as times`;
    assert.deepEqual({ ...rows }, { sessions: 0, turns: 0, exchanges: 0, times: 0 });
    const [after] =
      await sql`select health_score, response_ms, last_success_at from agent_registry where id = ${agent.id}`;
    assert.deepEqual(after, before);
  });

  test('an agent that fails is an answer, and says nothing of its health', async () => {
    const agent = await world.agent(() => ({ status: 503, body: 'out of order' }), { type: 'broken' });
    const { status, json } = await call('POST', `/v1/agents/${agent.id}/chat`, { message: 'hello' });
    assert.deepEqual([status, json.outcome, json.reply, json.error.code], [200, 'failed', null, 'agent_busy']);
    assert.deepEqual([json.exchange.http_status, json.exchange.response], [503, 'out of order']);
    const { health_score, consecutive_failures, status: standing } = await read(`/v1/agents/${agent.id}`);
    assert.deepEqual([health_score, consecutive_failures, standing], [100, 0, 'active']);
  });

  test('one that an operator has disabled can be asked, one that has left cannot', async () => {
    const agent = await world.agent(() => 'still here', { type: 'resting' });
    await call('POST', `/v1/agents/${agent.id}/disable`, { reason: 'a holiday' });
    assert.equal(
      (await call('POST', `/v1/agents/${agent.id}/chat`, { message: 'hello' })).json.reply.text,
      'still here',
    );
    await call('POST', `/v1/agents/${agent.id}/deactivate`);
    assert.equal((await call('POST', `/v1/agents/${agent.id}/chat`, { message: 'hello' })).status, 404);
  });

  test('what does not fit is named, and who may only read may not ask', async () => {
    const agent = await world.agent(() => 'hello', { type: 'strict' });
    const path = `/v1/agents/${agent.id}/chat`;
    const entry = { role: 'user', content: 'x', timestamp: new Date().toISOString() };
    for (const [body, status, param] of [
      [{}, 422, 'message'],
      [{ message: '' }, 422, 'message'],
      [{ message: 'x'.repeat(1_601) }, 422, 'message'],
      [{ message: 'a\0b' }, 422, 'message'],
      [{ message: 'x', to: '+15551234567' }, 422, 'to'],
      [{ message: 'x', session_id: 'mine' }, 422, 'session_id'],
      [{ message: 'x', history: [{ ...entry, role: 'system' }] }, 422, 'history.0.role'],
      [{ message: 'x', history: Array(101).fill(entry) }, 422, 'history'],
    ] as const) {
      const answer = await call('POST', path, body);
      assert.deepEqual([answer.status, answer.json.error.param], [status, param], answer.text);
    }
    assert.equal(agent.calls.length, 0);
    const reader = await keyHolder(world, ['read']);
    assert.equal((await reader.call('POST', path, { message: 'x' })).status, 403);
  });

  test('has a limit of its own for everybody who asks', async () => {
    const agent = await world.agent(() => 'hello', { type: 'asked often' });
    const { call: ask } = await keyHolder(world, ['write']);
    const path = `/v1/agents/${agent.id}/chat`;
    const answers = await Promise.all(Array.from({ length: 32 }, () => ask('POST', path, { message: 'hello' })));
    const refused = answers.filter(({ status }) => status === 429);
    assert.equal(refused.length, 2);
    assert.ok(refused.every(({ json, headers }) => json.error.code === 'rate_limited' && headers.get('retry-after')));
    assert.equal((await call('POST', path, { message: 'hello' })).status, 200);
  });

  test('what was asked an hour ago is forgotten', async () => {
    const agent = await world.agent(() => 'hello', { type: 'forgetful' });
    const { sql } = world;
    await sql`
      insert into agent_chats (id, agent_id, session_id, asked_by, message, history)
      values (id_at(clock_timestamp() - interval '2 hours'), ${agent.id}, new_id(), 'somebody', 'old words', '[]')`;
    await sql`select prune_chats()`;
    assert.equal((await sql`select id from agent_chats where message = 'old words'`).length, 0);
  });
});
