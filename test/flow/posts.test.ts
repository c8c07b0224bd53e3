// What agents post by themselves: late answers to a turn they answered with 202, and texts of their own.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { closeDeferred } from '../../src/bridge/posts.ts';
import { FALLBACK_TEXT } from '../../src/bridge/reply.ts';
import { jobCatalogue } from '../../src/jobs/catalogue.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { call, keyHolder } from '../support/operator.ts';
import type { Behaviour, PostAnswer } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

let world: World;

const codeOf = ({ status, json }: { status: number; json: PostAnswer }) => `${status} ${json.error?.code}`;

describe('posts', { concurrency: 6 }, () => {
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  /** Somebody who has just had an answer, and the conversation's id as the agent knows it. */
  async function answered(behaviour: Behaviour = () => 'Answer.') {
    const line = await world.line();
    const agent = await line.agent(behaviour);
    const ann = line.person();
    await ann.text('hello');
    await ann.next();
    return { line, agent, ann, id: agent.calls[0]!.payload.conversation_id };
  }

  /** Somebody whose text the agent has put off with a 202. */
  async function deferred() {
    const line = await world.line();
    const agent = await line.agent(() => ({ status: 202 }));
    const ann = line.person();
    await ann.text('think about it');
    const { turns } = await line.story(ann);
    assert.equal(turns[0]!.state, 'deferred');
    const { payload, messageId } = agent.calls[0]!;
    return { line, agent, ann, id: payload.conversation_id, messageId, turnId: turns[0]!.id as string };
  }

  test('202 now, the answer later: the person gets it once, and the turn is answered', async () => {
    const { line, agent, ann, id, messageId } = await deferred();
    const posted = await agent.post(id, { text: '**Done** thinking.', in_reply_to: messageId });
    assert.equal(posted.status, 201);
    assert.equal((await ann.next()).body, 'Done thinking.');
    const again = await agent.post(id, { text: 'Wait, there is more.', in_reply_to: messageId });
    assert.equal(codeOf(again), '409 turn_closed');
    const story = await line.story(ann);
    assert.deepEqual([story.turns[0]!.state, story.turns[0]!.reply_id], ['replied', posted.json.id]);
    assert.equal(ann.texts().length, 1);
  });

  test('one that never comes is counted, once, as a turn that fell back and as a failure of its agent', async () => {
    const { agent, turnId } = await deferred();
    const metrics = createMetrics();
    const nobody = {} as never;
    const failures: string[] = [];
    const { work } = jobCatalogue({
      ...{ sql: world.database.pools.worker, logger: pino({ enabled: false }), metrics, prober: null, pacing: false },
      ...{ mailbox: nobody, replays: nobody, chats: nobody, stagedProbes: nobody, outbound: nobody, settle: nobody },
      sessionEvents: nobody,
      health: {
        recordSuccess: () => assert.fail('it never came'),
        recordFailure: (agentId, category) => void failures.push(`${agentId} ${category}`),
      },
    });
    for (let n = 0; n < 2; n++) await work['close-deferred']!({ turn: turnId }, {} as never);
    const { values } = await metrics.turns.get();
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.state, value]),
      [['fell_back', 1]],
    );
    assert.deepEqual(failures, [`${agent.id} timeout`]);
  });

  test('an agent that says 202 has succeeded when its answer comes, and not before', async () => {
    const { agent, id, messageId } = await deferred();
    const health = async () => {
      const [row] = await world.sql`
        select consecutive_failures, last_success_at is not null as succeeded from agent_registry where id = ${agent.id}`;
      return { ...row };
    };
    await world.sql`update agent_registry set consecutive_failures = 2, success_rate = 0.8 where id = ${agent.id}`;
    await world.refreshAgents();
    assert.deepEqual(await health(), { consecutive_failures: 2, succeeded: false });
    await agent.post(id, { text: 'Done.', in_reply_to: messageId });
    await until(async () => (await health()).succeeded, { what: 'the success' });
    assert.deepEqual(await health(), { consecutive_failures: 0, succeeded: true });
  });

  test('a late answer is part of what the agent is told next', async () => {
    const { agent, ann, id, messageId } = await deferred();
    await agent.post(id, { text: 'Forty-two.', in_reply_to: messageId });
    await ann.next();
    agent.behave(() => 'As I said.');
    await ann.text('what was it?');
    await ann.next();
    assert.deepEqual(
      agent.calls[1]!.payload.conversation_history.map(({ content }) => content),
      ['think about it', 'Forty-two.'],
    );
  });

  test('an answer posted in the same moment as the 202 is not refused', async () => {
    const line = await world.line();
    const posted = Promise.withResolvers<{ status: number }>();
    const agent = await line.agent(({ conversation_id }, { messageId }) => {
      agent.post(conversation_id, { text: 'Quick after all.', in_reply_to: messageId }).then(posted.resolve);
      return { status: 202, delayMs: 200 };
    });
    const ann = line.person();
    await ann.text('think about it');
    assert.equal((await posted.promise).status, 201);
    assert.equal((await ann.next()).body, 'Quick after all.');
  });

  test('a text put off and never answered ends in one honest text', async () => {
    const { line, agent, ann, id, messageId, turnId } = await deferred();
    const close = () => closeDeferred(world.database.pools.worker, turnId, false);
    assert.equal(await close(), true);
    assert.equal(await close(), false);
    assert.equal((await ann.next()).body, FALLBACK_TEXT);
    const late = await agent.post(id, { text: 'Here I am.', in_reply_to: messageId });
    assert.equal(codeOf(late), '409 turn_closed');
    const { turns } = await line.story(ann);
    assert.deepEqual([turns[0]!.state, turns[0]!.error_code], ['fell_back', 'agent_timeout']);
    assert.equal(ann.texts().length, 1);
  });

  test('the end of the time for an answer is a job that is there from the start', async () => {
    const { turnId } = await deferred();
    const jobs = await world.sql`
      select run_at - now() between '9 minutes' and '10 minutes' as in_time from graphile_worker._private_jobs
      where payload ->> 'turn' = ${turnId}`;
    assert.deepEqual(
      jobs.map(({ in_time }) => in_time),
      [true],
    );
  });

  test('who was told of the outage is not told again when a later text is put off in vain', async () => {
    const line = await world.line();
    const agent = await line.agent(() => ({ status: 500 }));
    const ann = line.person();
    await ann.text('anybody?');
    assert.equal((await ann.next()).body, FALLBACK_TEXT);
    agent.behave(() => ({ status: 202 }));
    await ann.text('hello?');
    const { turns } = await line.story(ann);
    assert.equal(turns[1]!.state, 'deferred');
    await closeDeferred(world.database.pools.worker, turns[1]!.id, false);
    await line.story(ann);
    assert.equal(ann.texts().length, 1);
  });

  test('while one text is put off the next is answered, and both answers arrive', async () => {
    const { agent, ann, id, messageId } = await deferred();
    agent.behave(() => 'That one is easy.');
    await ann.text('and one plus one?');
    assert.equal((await ann.next()).body, 'That one is easy.');
    assert.equal((await agent.post(id, { text: 'Done thinking.', in_reply_to: messageId })).status, 201);
    assert.equal((await ann.next()).body, 'Done thinking.');
  });

  test('an agent may text twenty times by itself, and not once more', async () => {
    const { line, agent, ann, id } = await answered();
    for (let n = 1; n <= 20; n++) assert.equal((await agent.post(id, { text: `Reminder ${n}` })).status, 201);
    assert.equal(codeOf(await agent.post(id, { text: 'Reminder 21' })), '429 send_budget_spent');
    await line.story(ann);
    const said = ann.texts().map(({ body }) => body);
    assert.deepEqual(said, ['Answer.', ...Array.from({ length: 20 }, (_, n) => `Reminder ${n + 1}`)]);
  });

  test('a post of another agent looks like one to a conversation that is not there', async () => {
    const { line, agent, ann, id } = await answered();
    const stranger = await line.agent(() => 'Never asked.');
    const foreign = await stranger.post(id, { text: 'Buy my things.' });
    const missing = await agent.post(crypto.randomUUID(), { text: 'Hello?' });
    const senseless = await agent.post('not-an-id', { text: 'Hello?' });
    for (const answer of [foreign, missing, senseless]) {
      assert.equal(answer.status, 404);
      const { trace_id: _traceId, ...error } = answer.json.error as Record<string, unknown>;
      const { trace_id: _other, ...expected } = missing.json.error as Record<string, unknown>;
      assert.deepEqual(error, expected);
    }
    await line.story(ann);
    assert.equal(ann.texts().length, 1);
  });

  test('another agent cannot answer a turn that was put off', async () => {
    const { line, agent, ann, id, messageId } = await deferred();
    const stranger = await line.agent(() => 'Never asked.');
    assert.equal((await stranger.post(id, { text: 'Me first!', in_reply_to: messageId })).status, 404);
    assert.equal((await agent.post(id, { text: 'Mine.', in_reply_to: messageId })).status, 201);
    assert.equal((await ann.next()).body, 'Mine.');
  });

  test('one Idempotency-Key is one text, at once, later and side by side', async () => {
    const { line, agent, ann, id } = await answered();
    const post = () => agent.post(id, { text: 'Only once.' }, { idempotencyKey: 'reminder-1' });
    const answers = [...(await Promise.all(Array.from({ length: 10 }, post))), await post()];
    assert.deepEqual(new Set(answers.map(({ json }) => json.id)).size, 1);
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [...Array(10).fill(200), 201]);
    assert.equal((await agent.post(id, { text: 'Another.' }, { idempotencyKey: 'reminder-2' })).status, 201);
    await line.story(ann);
    assert.deepEqual(
      ann.texts().map(({ body }) => body),
      ['Answer.', 'Only once.', 'Another.'],
    );
  });

  test('an Idempotency-Key with other words is refused, for agents and for operators', async () => {
    const { line, agent, ann, id } = await answered();
    const once = { idempotencyKey: 'reminder-1' };
    assert.equal((await agent.post(id, { text: 'Only once.' }, once)).status, 201);
    assert.equal(codeOf(await agent.post(id, { text: 'Something else.' }, once)), '422 idempotency_key_reused');
    assert.equal((await agent.post(id, { text: 'Only once.' }, once)).status, 200);
    await line.story(ann);
    const { key } = await keyHolder(world, ['write']);
    const act = (path: string, body: object) => {
      const headers = { authorization: `Bearer ${key}`, 'idempotency-key': 'by-hand' };
      return call(world.urls.gateway!, 'POST', `/v1/conversations/${id}/${path}`, body, headers);
    };
    const say = (text: string) => act('messages', { text });
    assert.equal((await act('takeover', {})).status, 200);
    assert.equal((await say('By hand.')).status, 201);
    assert.equal(codeOf(await say('In other words.')), '422 idempotency_key_reused');
    assert.equal((await say('By hand.')).status, 200);
  });

  test('a taken post stays taken: its repeat hears so although the session is over meanwhile', async () => {
    const { line, agent, ann, id } = await answered();
    const post = () => agent.post(id, { text: 'Only once.' }, { idempotencyKey: 'reminder-1' });
    const first = await post();
    assert.equal(first.status, 201);
    await ann.next();
    await ann.text('RESET');
    await line.story(ann);
    const again = await post();
    assert.deepEqual([again.status, again.json.id], [200, first.json.id]);
    assert.equal(codeOf(await agent.post(id, { text: 'Another.' })), '404 not_found');
  });

  test('a refused post gives its Idempotency-Key back', async () => {
    const { agent, ann, id, messageId, turnId } = await deferred();
    const post = () => agent.post(id, { text: 'Late.', in_reply_to: messageId }, { idempotencyKey: 'late-1' });
    await closeDeferred(world.database.pools.worker, turnId, false);
    await ann.next();
    assert.equal(codeOf(await post()), '409 turn_closed');
    assert.equal(codeOf(await post()), '409 turn_closed');
  });

  test('nothing is sent to somebody who texted STOP, and the agent hears why', async () => {
    const [one, two] = [await answered(), await deferred()];
    await one.ann.text('STOP');
    await two.ann.text('STOP');
    await until(() => one.ann.texts().length === 2 && two.ann.texts().length === 1);
    assert.equal(codeOf(await one.agent.post(one.id, { text: 'Come back!' })), '409 opted_out');
    const late = await two.agent.post(two.id, { text: 'Done thinking.', in_reply_to: two.messageId });
    assert.equal(late.status, 409);
    const stories = [await one.line.story(one.ann), await two.line.story(two.ann)];
    assert.deepEqual(
      stories.map(({ parts }) => parts.filter(({ kind }) => kind !== 'notice').length),
      [1, 0],
    );
  });

  test('a post keeps to the budget of the number', async () => {
    const line = await world.line({ max_segments: 1 });
    const agent = await line.agent(() => 'Answer.');
    const ann = line.person();
    await ann.text('hello');
    await ann.next();
    await agent.post(agent.calls[0]!.payload.conversation_id, { text: 'word '.repeat(100) });
    assert.ok((await ann.next()).body.length <= 160);
  });

  for (const [name, body, param] of [
    ['an unknown field', { text: 'hi', to: '+15550209999' }, 'to'],
    ['NUL', { text: 'a\0b' }, 'text'],
    ['half a surrogate pair', { text: 'a\ud800' }, 'text'],
    ['an empty text', { text: '' }, 'text'],
    ['no text', {}, 'text'],
    ['an object for a text', { text: { $ne: null } }, 'text'],
    ['a text of 20,001 characters', { text: 'x'.repeat(20_001) }, 'text'],
    ['a turn that is no id', { text: 'hi', in_reply_to: '1 or 1=1' }, 'in_reply_to'],
    ['media over plain http', { text: 'hi', media: ['http://example.com/a.png'] }, 'media.0'],
  ] as const) {
    test(`422 that names the field: ${name}`, async () => {
      const { agent, ann, line, id } = await answered();
      const refused = await agent.post(id, body);
      assert.deepEqual(
        [refused.status, refused.json.error?.code, refused.json.error?.param],
        [422, 'invalid_request', param],
      );
      await line.story(ann);
      assert.equal(ann.texts().length, 1);
    });
  }

  test('a body that is no object, no JSON or poisoned is refused without a 500', async () => {
    const { agent, id } = await answered();
    const send = (body: string, type = 'application/json') =>
      fetch(`${world.urls.gateway}/v1/conversations/${id}/messages`, {
        method: 'POST',
        headers: { 'content-type': type, authorization: `Bearer ${agent.apiKey}` },
        body,
      }).then(({ status }) => status);
    assert.deepEqual(
      [
        await send('null'),
        await send('[]'),
        await send('{"text":'),
        await send('{"text":"hi","__proto__":{"to":"x"}}'),
        await send('{"text":"hi"}', 'text/plain'),
        await send(`{"text":${'['.repeat(20_000)}${']'.repeat(20_000)}}`),
        await send(`{"text":"${'x'.repeat(70_000)}"}`),
      ],
      [422, 422, 400, 400, 415, 422, 413],
    );
  });

  test('a post without a key, or with a wrong one, is not let in', async () => {
    const { agent, id } = await answered();
    assert.equal(codeOf(await agent.post(id, { text: 'hi' }, { key: null })), '401 unauthenticated');
    assert.equal(codeOf(await agent.post(id, { text: 'hi' }, { key: 'dsp_agent_wrong' })), '401 agent_key_invalid');
    assert.equal(codeOf(await agent.post(id, { text: 'hi' }, { key: agent.signingSecret })), '401 agent_key_invalid');
    await world.sql`update agent_registry set status = 'deactivated' where id = ${agent.id}`;
    assert.equal(codeOf(await agent.post(id, { text: 'hi' })), '403 agent_deactivated');
  });
});
