// A turn asked again: what it was told then, nothing that came since; nothing written, nothing sent, unless somebody means it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Replay as Shape } from '../../src/http/contract.ts';
import { findReplay, type Replay, requestReplay, sendReplay } from '../../src/inbox/replays.ts';
import { takeOver } from '../../src/inbox/takeover.ts';
import { bridgeOf, somebody } from '../support/bridge.ts';
import { freshDatabase } from '../support/database.ts';
import { type Answer, type Caller, keyHolder } from '../support/operator.ts';
import { type Behaviour, HANG, type Payload } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

/** What the bridge tells the console is what the contract promises: checked by the compiler. */
const asPromised = (replay: Replay): Shape => replay;

const POLICY = { optOutScope: null, pacing: false, takeoverMinutes: 30, carrierIsReal: false };
const bodies = (person: { texts(): readonly { body: string }[] }) => person.texts().map(({ body }) => body);
const codeOf = ({ status, json }: Answer) => `${status} ${json.error?.code}`;

describe('a replay', { concurrency: 4 }, () => {
  let world: World;
  let operator: Caller;
  before(async () => {
    world = await startWorld();
    operator = (await keyHolder(world, ['read', 'write'])).call;
  });
  after(() => world.stop());

  /** Somebody whose first two texts were answered by an agent. */
  async function answered(behaviour: Behaviour = ({ message }) => `Re: ${message}`) {
    const line = await world.line({ quiet_ms: 0 });
    const agent = await line.agent(behaviour);
    const ann = line.person();
    for (const words of ['one', 'two']) {
      await ann.text(words);
      await line.story(ann);
    }
    const { turns, conversation } = await line.story(ann);
    return { line, agent, ann, id: conversation.id as string, turns: turns.map((turn) => turn.id as string) };
  }
  const reader = () => ({ sql: world.database.pools.console, optOutScope: null, quietMs: 0 });
  const ended = async (id: string): Promise<Shape> =>
    until(
      async () => {
        const replay = await findReplay(reader(), id);
        return replay && ['answered', 'failed'].includes(replay.state) ? asPromised(replay) : null;
      },
      { what: 'the end of a replay' },
    );
  const ask = async (turn: string, body: object = {}): Promise<Shape> => {
    const answer = await operator('POST', `/v1/turns/${turn}/replays`, body);
    assert.equal(answer.status, 202, answer.text);
    return ended(answer.json.id);
  };

  test('asks what was asked then, with the history of then, under an id of its own, and says that it is a replay', async () => {
    const { line, agent, ann, turns } = await answered();
    const before = await line.story(ann);
    const health = await world.sql`select * from agent_registry where id = ${agent.id}`;
    const first = await ask(turns[0]!);
    const second = await ask(turns[1]!);
    const [, , asked, askedLater] = agent.calls as unknown as {
      payload: Payload & { replay?: boolean };
      messageId: string;
    }[];
    assert.deepEqual([asked!.payload.replay, asked!.messageId], [true, first.id]);
    assert.equal('replay' in agent.calls[0]!.payload, false);
    assert.deepEqual([asked!.payload.message, asked!.payload.conversation_history], ['one', []]);
    assert.deepEqual(
      askedLater!.payload.conversation_history.map(({ content }) => content),
      ['one', 'Re: one'],
    );
    assert.equal(asked!.payload.session_id, agent.calls[0]!.payload.session_id);
    assert.deepEqual(
      [second.state, second.reply, second.is_edited, second.agent.id, second.error_code, second.sent_message_id],
      ['answered', { text: 'Re: two', segments: 1, media_urls: [] }, false, agent.id, null, null],
    );
    assert.equal(second.text, 'two');
    assert.match(second.exchange!.request, /"replay":true/);
    assert.match(second.exchange!.curl, /^body=/);
    assert.ok(second.duration_ms! > 0);
    const { data } = (await operator('GET', `/v1/turns/${turns[1]!}/replays`)).json;
    assert.deepEqual(data, [second]);
    assert.deepEqual((await operator('GET', `/v1/replays/${first.id}`)).json, first);

    // Nothing else has changed.
    const afterwards = await line.story(ann);
    assert.deepEqual(afterwards.conversation, before.conversation);
    for (const kind of ['messages', 'turns', 'parts', 'sessions'] as const)
      assert.deepEqual(afterwards[kind], before[kind], kind);
    assert.equal(afterwards.exchanges.filter(({ replay_id }) => replay_id === null).length, before.exchanges.length);
    assert.deepEqual(
      (await world.sql`select * from agent_registry where id = ${agent.id}`).map(({ health_score }) => health_score),
      health.map(({ health_score }) => health_score),
    );
    assert.deepEqual(bodies(ann), ['Re: one', 'Re: two']);
  });

  test('with other words, and of another agent', async () => {
    const { line, agent, turns } = await answered();
    const other = await line.agent(({ message }) => `Other: ${message}`, { name: 'Other', type: 'another type' });
    const replay = await ask(turns[0]!, { text: 'three', agent_id: other.id });
    assert.deepEqual([replay.text, replay.is_edited, replay.agent], ['three', true, { id: other.id, name: 'Other' }]);
    assert.equal(replay.reply!.text, 'Other: three');
    assert.deepEqual(other.heard(), ['three']);
    assert.equal(agent.calls.length, 2);
  });

  test('of a burst asks all of it, pictures included', async () => {
    const line = await world.line({ quiet_ms: 500 });
    const agent = await line.agent(() => 'Seen.');
    const ann = line.person();
    await ann.text('look', { media: ['https://example.com/a.jpg'] });
    await ann.text('at this');
    const { turns } = await line.story(ann);
    const replay = await ask(turns[0]!.id);
    assert.equal(replay.text, 'look\nat this');
    const [asked, again] = agent.calls.map(({ payload }) => payload.media.map(({ url }) => url.split('?')[0]));
    assert.deepEqual([asked!.length, again], [1, asked]);
  });

  test('says where the pictures are that would be sent, also when it is nothing but pictures', async () => {
    const { agent, ann, turns } = await answered();
    const [one, two] = ['https://cdn.example.com/one.jpg', 'https://cdn.example.com/two.jpg'];
    agent.behave(() => ({ text: '\u200b', media: [one!, two!] }));
    const replay = await ask(turns[1]!);
    assert.deepEqual(replay.reply, { text: '', segments: 1, media_urls: [one, two] });
    await sendReplay(world.database.pools.web, { replayId: replay.id, by: 'Ida' }, POLICY);
    assert.deepEqual((await ann.next(({ mediaUrls }) => mediaUrls.length > 0)).mediaUrls, [one, two]);
  });

  test('an agent that fails, defers or says nothing: the replay failed, with its call; its health is as it was', async () => {
    const { agent, turns } = await answered();
    for (const [behaviour, code] of [
      [() => ({ status: 500 }), 'agent_http'],
      [() => ({ status: 202 }), 'agent_deferred'],
      [() => ({ body: 'no JSON' }), 'agent_contract'],
      [() => '\u200b', 'agent_contract'],
    ] as readonly [Behaviour, string][]) {
      agent.behave(behaviour);
      const replay = await ask(turns[0]!);
      assert.deepEqual([replay.state, replay.error_code, replay.reply], ['failed', code, null]);
      assert.equal(replay.exchange!.kind, 'agent');
      assert.equal(codeOf(await operator('POST', `/v1/replays/${replay.id}/send`, {})), '422 invalid_request');
      await assert.rejects(sendReplay(world.database.pools.web, { replayId: replay.id, by: 'Ida' }, POLICY), {
        code: 'conflict',
      });
    }
    const [row] = await world.sql`
      select health_score, consecutive_failures, cooling_until from agent_registry where id = ${agent.id}`;
    assert.deepEqual(row, { health_score: 100, consecutive_failures: 0, cooling_until: null });
    // What it posts later for a replay that it put off reaches nobody.
    const [{ conversation_id, messageId }] = agent.calls
      .slice(3, 4)
      .map((call) => ({ conversation_id: call.payload.conversation_id, messageId: call.messageId })) as [
      { conversation_id: string; messageId: string },
    ];
    assert.equal((await agent.post(conversation_id, { text: 'Late.', in_reply_to: messageId })).status, 409);
  });

  test('an answer is sent once, as an operator’s words, and with a real carrier only with the person’s number', async () => {
    const { line, ann, agent, turns } = await answered();
    agent.behave(() => '**Sorry**, it is 5.');
    const replay = await ask(turns[1]!);
    const send = (body: object) => operator('POST', `/v1/replays/${replay.id}/send`, body);
    for (const body of [{}, { confirm: '' }, { confirm: line.number }, { confirm: 'yes' }]) {
      const refused = await send(body);
      assert.deepEqual([codeOf(refused), refused.json.error.param], ['422 invalid_request', 'confirm']);
      assert.ok(!refused.text.includes(ann.phone), 'the error says what must be typed');
    }
    const clicks = await Promise.all([1, 2, 3].map(() => send({ confirm: ann.phone })));
    assert.deepEqual(clicks.map(({ status }) => status).toSorted(), [202, 409, 409]);
    const { json } = clicks.find(({ status }) => status === 202)!;
    const { messages, turns: after } = await line.story(ann);
    assert.deepEqual(bodies(ann), ['Re: one', 'Re: two', 'Sorry, it is 5.']);
    const sent = messages.at(-1)!;
    assert.deepEqual([sent.id, sent.kind, sent.turn_id], [json.id, 'operator', null]);
    assert.equal(after.length, 2, 'it counts as a turn');
    assert.equal((await findReplay(reader(), replay.id))!.sent_message_id, json.id);
    await ann.text('thanks');
    await until(() => agent.calls.length === 4);
    assert.equal(agent.calls[3]!.payload.conversation_history.at(-1)!.content, 'Sorry, it is 5.');
  });

  test('sending leaves what waits to the agent; who has taken the conversation over answers it with that', async () => {
    const { line, ann, agent, id, turns } = await answered();
    const { web } = world.database.pools;
    const replay = async () => ({ replayId: (await ask(turns[0]!)).id, by: 'Ida' });
    const [one, two] = [await replay(), await replay()];
    agent.behave(() => HANG);
    await ann.text('three');
    await until(() => agent.heard().at(-1) === 'three');
    await sendReplay(web, one, POLICY);
    const waiting = async () => {
      const { last_seq, done_seq } = await line.conversation(ann);
      return last_seq - done_seq;
    };
    assert.equal(await waiting(), 1);
    await takeOver(web, { conversationId: id, by: 'Bo' }, POLICY);
    await assert.rejects(sendReplay(web, two, POLICY), { code: 'conversation_taken' });
    await sendReplay(web, { ...two, by: 'Bo' }, POLICY);
    assert.equal(await waiting(), 0);
    await ann.text('STOP');
    await until(async () => (await line.conversation(ann)).session_id === null);
    await assert.rejects(sendReplay(web, await replayOf(turns[0]!), POLICY), { code: 'opted_out' });

    async function replayOf(turn: string) {
      agent.behave(() => 'Nobody hears this.');
      return { replayId: (await ask(turn)).id, by: 'Bo' };
    }
  });

  test('a turn that nobody could answer is asked of whoever is there now', async () => {
    const line = await world.line({ quiet_ms: 0 });
    const ann = line.person();
    await ann.text('anybody?');
    const { turns } = await line.story(ann);
    assert.equal(turns[0]!.state, 'fell_back');
    const nobody = await operator('POST', `/v1/turns/${turns[0]!.id}/replays`, {});
    assert.equal(codeOf(nobody), '503 agent_none');
    await line.agent(({ message }) => `Re: ${message}`);
    assert.equal((await ask(turns[0]!.id)).reply!.text, 'Re: anybody?');
  });

  test('what is not there, or not well said, is refused', async () => {
    const { turns } = await answered();
    const path = `/v1/turns/${turns[0]!}/replays`;
    assert.equal(codeOf(await operator('POST', `/v1/turns/${crypto.randomUUID()}/replays`, {})), '404 not_found');
    assert.equal(codeOf(await operator('GET', `/v1/replays/${crypto.randomUUID()}`)), '404 not_found');
    assert.equal(codeOf(await operator('POST', `/v1/replays/${crypto.randomUUID()}/send`, {})), '404 not_found');
    for (const [body, param] of [
      [{ agent_id: crypto.randomUUID() }, 'agent_id'],
      [{ text: '' }, 'text'],
      [{ text: 'a\0b' }, 'text'],
      [{ words: 'x' }, 'words'],
    ] as const) {
      const refused = await operator('POST', path, body);
      assert.deepEqual([codeOf(refused), refused.json.error.param], ['422 invalid_request', param]);
    }
    assert.deepEqual((await operator('GET', path)).json, { data: [] });
  });

  test('is forgotten with its call', async () => {
    const { turns } = await answered();
    const { id } = await ask(turns[0]!);
    await world.sql`select prune_replays()`;
    assert.ok(await findReplay(reader(), id));
    await world.sql`update replays set id = id_at(now() - interval '3 months') where id = ${id}`;
    assert.equal((await world.sql`select prune_replays() as n`)[0]!.n, 1);
  });
});

describe('a replay whose worker goes', () => {
  test('is taken up by another one, under the same id', async () => {
    const world = await startWorld({ parts: ['gateway', 'agent-registration'] });
    try {
      const first = await world.runtime(['worker']);
      const line = await world.line({ quiet_ms: 0 });
      const agent = await line.agent(() => 'Then.');
      const ann = line.person();
      await ann.text('hello');
      const { turns } = await line.story(ann);
      agent.behave(() => HANG);
      const replayId = await requestReplay(world.database.pools.web, { turnId: turns[0]!.id, by: 'Ida' });
      await until(() => agent.calls.length === 2);
      await first.stop();
      agent.behave(() => 'Now.');
      await world.runtime(['worker']);
      const reader = { sql: world.database.pools.console, optOutScope: null, quietMs: 0 };
      const replay = await until(
        async () => {
          const found = await findReplay(reader, replayId);
          return found?.state === 'answered' ? found : null;
        },
        { timeoutMs: 30_000 },
      );
      assert.equal(replay.reply!.text, 'Now.');
      assert.deepEqual(
        agent.calls.slice(1).map(({ messageId }) => messageId),
        [replayId, replayId],
      );
    } finally {
      await world.stop();
    }
  });

  test('is begun three times at most, and a worker that was presumed dead ends nothing', async () => {
    const db = await freshDatabase();
    try {
      const bridge = bridgeOf(db);
      const conversation = await bridge.answered(somebody(), ['Hello.']);
      await db.admin`
        insert into agent_registry (name, endpoint_url, api_key_hash, secrets) values ('Any', 'https://example.com/', '', '')`;
      const [turn] = await db.admin<{ id: string }[]>`select id from turns where conversation_id = ${conversation}`;
      const id = await requestReplay(db.pools.web, { turnId: turn!.id, by: 'Ida' });
      const { worker } = db.pools;
      const starts: (number | null)[] = [];
      for (let n = 0; n < 4; n++) {
        starts.push((await worker<{ attempt: number }[]>`select attempt from start_replay(${id})`)[0]?.attempt ?? null);
        if (n !== 1) continue;
        const [late] = await worker`select finish_replay(${id}, 1, 'Late.', '{}', 1, null, 1, '[]') as is_taken`;
        assert.equal(late!.is_taken, false);
      }
      assert.deepEqual(starts, [1, 2, 3, null]);
      const replay = await findReplay({ sql: db.pools.console, optOutScope: null, quietMs: 0 }, id);
      assert.deepEqual([replay!.state, replay!.error_code, replay!.reply], ['failed', 'internal_error', null]);
      assert.equal((await worker`select 1 from start_replay(${id})`).length, 0);
    } finally {
      await db.drop();
    }
  });
});
