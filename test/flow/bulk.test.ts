// Texts of agents' own under pacing, through the whole bridge: refused when too many wait, and never in a circle of locks.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { postMessage } from '../../src/bridge/posts.ts';
import type { Turn } from '../../src/bridge/store.ts';
import { bridgeOf, reply, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const NUMBERS = Array.from({ length: 4 }, (_, n) => `+1555000111${n}`);

describe('a number whose texts wait for ten hours', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ env: { DARKSPERE_PACING: 'on' } });
  });
  after(() => world.stop());

  test('takes no more of an agent’s own; the agent hears when, is charged nothing, and may use its key again', async () => {
    // A segment takes 1,000 s, a post 10,000: the fourth leaves in less than ten hours, the fifth in more.
    const line = await world.line({ segments_per_second: 0.001, max_segments: 20 });
    const agent = await line.agent(() => 'Answer.');
    const ann = line.person();
    await ann.text('hello');
    await ann.next();
    const id = agent.calls[0]!.payload.conversation_id;
    const tenSegments = 'word '.repeat(300);
    for (let n = 0; n < 4; n++) assert.equal((await agent.post(id, { text: tenSegments })).status, 201);

    const left = async () =>
      (await world.sql`select proactive_left from agent_sessions where conversation_id = ${id}`)[0];
    const untouched = await left();
    const post = () =>
      fetch(`${world.urls.gateway}/v1/conversations/${id}/messages`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${agent.apiKey}`,
          'idempotency-key': 'news',
        },
        body: JSON.stringify({ text: tenSegments }),
      });
    const refused = await post();
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    assert.deepEqual([refused.status, error.code], [429, 'sender_busy']);
    const freeAt = Date.parse(/after (\S+Z)/.exec(error.message)![1]!);
    // One segment for the answer, forty in line, less ten hours: 5,000 s.
    assert.ok(freeAt > Date.now() + 4_000_000 && freeAt < Date.now() + 5_000_000, error.message);
    assert.ok(Math.abs(Number(refused.headers.get('retry-after')) * 1_000 - (freeAt - Date.now())) < 5_000);
    assert.deepEqual(await left(), untouched);

    // Answers go on: they pass all of it, also what waits for the same person.
    await world.sql`update sender_pacing set replies_until = now() where sender = ${line.number}`;
    await ann.text('still there?');
    const replies = await until(async () => {
      const rows = await world.sql<{ is_soon: boolean }[]>`
        select send_at < now() + interval '1 hour' as is_soon from outbound_parts
        where conversation_id = ${id} and kind = 'reply'`;
      return rows.length === 2 && rows;
    });
    assert.ok(replies.every(({ is_soon }) => is_soon));
    assert.equal((await ann.next()).body, 'Answer.');

    await world.sql`update sender_pacing set bulk_until = now() where sender = ${line.number}`;
    assert.equal((await post()).status, 201);
  });
});

describe('turns, keywords, posts and sends of one brand at once', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase({ web: 6, worker: 10, admin: 2 });
  });
  after(() => db.drop());

  test('wait for each other, never in a circle', async () => {
    const { admin, pools } = db;
    await admin`insert into brands (name, daily_segments) values ('brand', 1000000)`;
    await admin`
      insert into campaigns (name, brand_id, segments_per_minute)
      select t.name, brands.id, 1000000 from brands, unnest(array['one', 'two']) t (name)`;
    await admin`
      insert into phone_numbers (address, segments_per_second, campaign_id)
      select address, 1000000, (select id from campaigns where name = case when n % 2 = 0 then 'one' else 'two' end)
      from unnest(${NUMBERS}::text[]) with ordinality t (address, n)`;
    const [agent] = await admin<{ id: string }[]>`
      insert into agent_registry (name, endpoint_url, api_key_hash, secrets) values ('a', 'http://a', 'a', 'a') returning id`;
    const bridge = bridgeOf(db, { pacing: true });
    const people = Array.from({ length: 24 }, (_, n) => ({ phone: somebody(), to: NUMBERS[n % NUMBERS.length]! }));

    for (let round = 0; round < 6; round++) {
      const turns: Turn[] = [];
      for (const { phone, to } of people) {
        const taken = await bridge.arrive(phone, `hello ${round}`, { to });
        turns.push((await bridge.start(taken!.conversationId))!);
      }
      const conversations = turns.map((turn) => turn.conversationId);
      await admin`
        update agent_sessions set agent_id = ${agent!.id}, proactive_left = 20 where conversation_id = any (${conversations})`;
      const queued = async () =>
        (await admin<{ id: string }[]>`select id from outbound_parts where state = 'queued' order by random()`).map(
          ({ id }) => id,
        );
      const waiting = await queued();
      const half = turns.length / 2;
      const post = (conversationId: string) =>
        postMessage(
          pools.web,
          { agentId: agent!.id, conversationId, inReplyTo: null, text: 'news', mediaUrls: [], idempotencyKey: null },
          { optOutScope: null, pacing: true, maxSegments: 10 },
        );
      await Promise.all([
        bridge.finish(turns.slice(0, half).map((turn) => reply(turn, ['a', 'b']))),
        bridge.finish(
          turns
            .slice(half)
            .toReversed()
            .map((turn) => reply(turn, ['a', 'b'])),
        ),
        bridge.claim(waiting.slice(0, waiting.length / 2)),
        bridge.claim(waiting.slice(waiting.length / 2)),
        ...conversations.map(post),
        // Each of them once: who is answered too often is held.
        ...people.slice(4 * round, 4 * round + 4).map(({ phone, to }) => bridge.keyword(phone, 'HELP', { to })),
      ]);
      await Promise.all([...conversations.toReversed().map(post), bridge.claim(await queued())]);
    }

    const [found] = await admin<{ bulk: number; taken: number }[]>`
      select count(*)::int as bulk, count(*) filter (where state = 'sending')::int as taken
      from outbound_parts where kind = 'proactive'`;
    assert.equal(found!.bulk, people.length * 12);
    assert.ok(found!.taken > 0, 'no bulk was claimed beside the rest');
    await admin`select pg_stat_force_next_flush()`.catch(() => {});
    const [stats] = await admin<{ deadlocks: number }[]>`
      select deadlocks from pg_stat_database where datname = current_database()`;
    assert.equal(stats!.deadlocks, 0);
  });
});
