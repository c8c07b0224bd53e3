// The list of conversations against what it should be, read the slow way; and pages that stay whole while texts arrive.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { type Bounds, type ListQuery, listConversations } from '../../src/inbox/conversation-list.ts';
import type { Reader } from '../../src/inbox/reader.ts';
import { bridgeOf, OURS, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { inboxOf } from '../support/inbox.ts';
import { runs } from '../support/property.ts';

type Look = { readonly between?: () => Promise<void>; readonly bounds?: Bounds };

async function everyPage(reader: Reader, query: Omit<ListQuery, 'cursor'>, { between, bounds }: Look = {}) {
  const pages: string[][] = [];
  let cursor: string | null | undefined;
  do {
    const page = await listConversations(reader, { ...query, cursor: cursor ?? undefined }, bounds);
    assert.ok(page.data.length <= query.limit);
    pages.push(page.data.map((conversation) => conversation.id));
    cursor = page.next_cursor;
    await between?.();
    if (page.data.length < query.limit) assert.equal(page.next_cursor === null, page.searched_back_to === null);
  } while (cursor !== null);
  return pages;
}

describe('the list of conversations', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  /** A database of its own would take longer than all the rest. */
  const clear = () =>
    db.admin`truncate messages, conversations, contacts, message_words, conversation_activity, turns, outbound_parts, consents,
      agent_sessions, graphile_worker._private_jobs`;

  /** Newest activity first, the obvious way. */
  const naive = async (condition: string = 'true') =>
    (
      await db.admin.unsafe(`
        select c.id from conversations c join (select conversation_id, max(id::text) as last from messages group by 1) m
          on m.conversation_id = c.id where ${condition} order by m.last desc`)
    ).map((row) => row.id as string);

  it('is the order of the newest messages, whatever of it is indexed and however it is cut into pages', async () => {
    const inbox = inboxOf(db);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(7), fc.nat(6)), { minLength: 1, maxLength: 40 }),
        fc.nat(40),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 50 }),
        async (moments, indexedAfter, limit, looked) => {
          await clear();
          const ids: string[] = [];
          for (let n = 0; n <= Math.max(...moments.map(([who]) => who)); n++) ids.push(await inbox.conversation());
          const said = moments.map(([who, minutes]) => ({ conversation: ids[who]!, minutes: minutes * 3 }));
          await inbox.say(said.slice(0, indexedAfter));
          await inbox.index();
          // Late, and older than what is indexed: never, for the job keeps a minute away; so only newer ones here.
          await inbox.say(said.slice(indexedAfter).map((each) => ({ ...each, minutes: 0 })));
          assert.deepEqual(
            (await everyPage(inbox.reader, { limit }, { bounds: { looked, few: 0 } })).flat(),
            await naive(),
          );
        },
      ),
      runs(25),
    );
  });

  it('has no conversation twice and misses none that stayed quiet while texts arrive and are indexed', async () => {
    await clear();
    const inbox = inboxOf(db);
    const quiet: string[] = [];
    for (let n = 0; n < 30; n++) {
      const id = await inbox.conversation();
      quiet.push(id);
      await inbox.say([{ conversation: id, minutes: 200 - n * 3 }]);
    }
    let chatty = await inbox.conversation();
    await inbox.say([{ conversation: chatty, minutes: 150 }]);
    const pages = await everyPage(
      inbox.reader,
      { limit: 4 },
      {
        async between() {
          await inbox.say([{ conversation: chatty, minutes: 0 }]);
          chatty = await inbox.conversation();
          await inbox.say([{ conversation: chatty, minutes: 0 }]);
          await inbox.index();
        },
      },
    );
    const seen = pages.flat();
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(
      seen.filter((id) => quiet.includes(id)),
      quiet.toReversed(),
    );
  });

  describe('filtered', () => {
    const ids: Record<string, string> = {};
    before(async () => {
      await clear();
      await db.admin`insert into phone_numbers (address) values (${OURS}), ('+15550002222')`;
      const inbox = inboxOf(db);
      const bridge = bridgeOf(db);
      const arrive = async (from: string) => (await bridge.arrive(from, 'hello'))!.conversationId;
      ids.idle = await bridge.answered(somebody(), ['hi']);
      ids.waiting = await arrive('+15559990001');
      ids.answering = await arrive(somebody());
      await bridge.start(ids.answering);
      ids.held = await arrive(somebody());
      await db.admin`update conversations set held_until = now() + interval '1 minute' where id = ${ids.held}`;
      ids.out = await arrive('+15559990002');
      await bridge.keyword('+15559990002', 'STOP');
      ids.taken = await arrive(somebody());
      await db.pools.web`select * from take_over(${ids.taken}, 'operator', 30)`;
      ids.failed = await bridge.answered(somebody(), ['one', 'two']);
      const [part] = await bridge.parts(ids.failed);
      const [claimed] = await bridge.claim([part!.id]);
      await bridge.record([sendRecord(claimed!, { state: 'failed', error_code: '21211' })]);
      ids.expired = await bridge.answered(somebody(), ['too late']);
      await bridge.expire(ids.expired);
      ids.fellBack = await arrive(somebody());
      const turn = (await bridge.start(ids.fellBack))!;
      await bridge.finish([
        { ...reply(turn, ['sorry']), state: 'fell_back', kind: 'fallback', error_code: 'agent_none' },
      ]);
      ids.recovered = await bridge.answered(somebody(), ['bad']);
      const [bad] = await bridge.parts(ids.recovered);
      const [taken] = await bridge.claim([bad!.id]);
      await bridge.record([sendRecord(taken!, { state: 'failed', error_code: '30007' })]);
      await db.admin`update conversations set answered_at = '{}' where id = ${ids.recovered}`;
      const [person] = await db.admin<{ their: string }[]>`
        select their_address as their from conversations where id = ${ids.recovered}`;
      await bridge.arrive(person!.their, 'again');
      await bridge.finish([reply((await bridge.start(ids.recovered))!, ['good'])]);
      ids.later = await arrive(somebody());
      await bridge.finish([
        {
          ...reply((await bridge.start(ids.later))!, []),
          state: 'deferred',
          kind: null,
          body: null,
          deferred_until: new Date(Date.now() + 600_000),
        },
      ]);
      ids.longAgo = await arrive(somebody());
      await bridge.finish([
        { ...reply((await bridge.start(ids.longAgo))!, ['sorry']), state: 'fell_back', error_code: 'agent_none' },
      ]);
      await db.admin`
        update turns set id = id_at(now() - interval '60 days'), ended_at = ended_at - interval '60 days'
        where conversation_id = ${ids.longAgo}`;
      ids.unknown = await bridge.answered(somebody(), ['did it leave?']);
      const [asked] = await bridge.claim((await bridge.parts(ids.unknown)).map(({ id }) => id));
      await bridge.record([sendRecord(asked!, { state: 'unknown', run_at_ms: 60_000 })]);
      // Its person waited long, its agent was not asked for long.
      ids.slow = await bridge.answered(somebody(), ['at last']);
      await db.admin`
        update messages set id = id_at(now() - interval '40 seconds')
        where conversation_id = ${ids.slow} and direction = 'in'`;
      ids.other = await inbox.conversation('+15559990003', { ours: '+15550002222' });
      await inbox.say([{ conversation: ids.other, minutes: 5 }]);
      await db.admin`
        insert into agent_registry (id, name, endpoint_url, api_key_hash, secrets)
        values ('00000000-0000-7000-8000-00000000000a', 'Ada', 'https://agent.example.com/', '\\x00', '\\x00')`;
      await db.admin`update agent_sessions set agent_id = '00000000-0000-7000-8000-00000000000a' where conversation_id = ${ids.idle}`;
    });

    const RECENT = ['failed', 'expired', 'fellBack', 'recovered'];
    const cases: readonly [string, Omit<ListQuery, 'limit'>, readonly string[]][] = [
      ['waiting', { state: 'waiting' }, ['waiting', 'answering', 'held', 'later']],
      ['held', { state: 'held' }, ['held']],
      ['taken over', { state: 'taken_over' }, ['taken']],
      ['opted out', { state: 'opted_out' }, ['out']],
      ['failed', { state: 'failed' }, ['failed', 'expired', 'fellBack', 'longAgo']],
      ['fell back', { state: 'fell_back' }, ['fellBack', 'longAgo']],
      ['not delivered', { state: 'undelivered' }, ['failed', 'expired']],
      ['unknown', { state: 'unknown' }, ['unknown']],
      // Not only what failed last.
      ['failed since', { state: 'failed', since: '1h' }, ['failed', 'expired', 'fellBack', 'recovered']],
      ['fell back since', { state: 'fell_back', since: '24h' }, ['fellBack']],
      ['fell back since a moment', { state: 'fell_back', since: '1960-01-01T00:00:00Z' }, ['fellBack', 'longAgo']],
      ['not delivered since', { state: 'undelivered', since: '15m' }, ['failed', 'expired', 'recovered']],
      ['unknown since', { state: 'unknown', since: '15m' }, ['unknown']],
      ['unknown since the future', { state: 'unknown', since: '2999-01-01T00:00:00Z' }, []],
      ['fell back until a moment', { state: 'fell_back', until: '1h' }, ['longAgo']],
      ['failed in the last hour', { state: 'failed', since: '1h', until: '2999-01-01T00:00:00Z' }, RECENT],
      ['failed before that', { state: 'failed', since: '365d', until: '1h' }, ['longAgo']],
      ['not delivered before that', { state: 'undelivered', until: '1h' }, []],
      ['unknown before that', { state: 'unknown', until: '1h' }, []],
      ['slow answers', { slower_than: 20_000 }, ['slow']],
      ['slow answers since', { slower_than: 20_000, since: '15m' }, ['slow']],
      ['slow answers before that', { slower_than: 20_000, until: '15m' }, []],
      ['no answers as slow', { slower_than: 80_000, since: '15m' }, []],
      ['slow answers that failed', { slower_than: 20_000, since: '15m', state: 'failed' }, []],
      ['texts in a time', { since: '10m', until: '3m' }, ['other']],
      ['texts until', { until: '3m' }, ['other']],
      ['texts in a time that had none', { since: '3m', until: '2m' }, []],
      ['waiting since', { state: 'waiting', since: '3m' }, ['waiting', 'answering', 'held', 'later']],
      ['texts since, of a number', { number: '+15550002222', since: '10m' }, ['other']],
      ['no texts since, of a number', { number: '+15550002222', since: '3m' }, []],
      ['number', { number: '+15550002222' }, ['other']],
      ['agent', { agent: '00000000-0000-7000-8000-00000000000a' }, ['idle']],
      ['phone, the beginning', { phone: '+1 (555) 999' }, ['waiting', 'out', 'other']],
      ['phone, the end', { phone: '9-0002' }, ['out']],
      ['two at once', { phone: '999', state: 'waiting' }, ['waiting']],
      ['nobody', { phone: '4242424242' }, []],
    ];
    for (const [name, query, expected] of cases) {
      for (const few of [1_000, 0]) {
        it(`by ${name}${few === 0 ? ', looking at all of them' : ''}`, async () => {
          const bounds = { looked: few === 0 ? 3 : 1_000, few };
          const pages = await everyPage(inboxOf(db).reader, { ...query, limit: 2 }, { bounds });
          assert.deepEqual(
            pages.flat().map((id) => Object.entries(ids).find(([, known]) => known === id)?.[0]),
            (await naive()).flatMap((id) => expected.find((key) => ids[key] === id) ?? []),
          );
        });
      }
    }

    it('says what state each is in', async () => {
      const { data } = await listConversations(inboxOf(db).reader, { limit: 50 });
      const states = Object.fromEntries(
        Object.entries(ids).map(([key, id]) => [key, data.find((conversation) => conversation.id === id)?.state]),
      );
      assert.deepEqual(states, {
        idle: 'idle',
        waiting: 'waiting',
        answering: 'answering',
        held: 'held',
        out: 'opted_out',
        taken: 'taken_over',
        failed: 'idle',
        expired: 'idle',
        fellBack: 'idle',
        later: 'deferred',
        longAgo: 'idle',
        unknown: 'idle',
        recovered: 'idle',
        slow: 'idle',
        other: 'idle',
      });
    });

    it('shows of each message the state that message_log gives it', async () => {
      const { data } = await listConversations(inboxOf(db).reader, { limit: 50 });
      for (const { last_message: last } of data) {
        const [row] = await db.admin<{ state: string }[]>`select state from message_log where id = ${last!.id}`;
        assert.equal(last!.state, row!.state);
      }
    });
  });

  it('refuses a cursor that is none, and says what to send', async () => {
    await assert.rejects(listConversations(inboxOf(db).reader, { cursor: 'page-2', limit: 5 }), {
      code: 'invalid_request',
      param: 'cursor',
    });
  });

  it('refuses a time that is none, and says what is one', async () => {
    for (const since of [
      'yesterday',
      '1',
      '0h',
      '99999h',
      '1 h',
      '-1h',
      '2026-11-25',
      '2026-13-45T10:00:00Z',
      '\u0000',
      '',
    ]) {
      for (const param of ['since', 'until']) {
        await assert.rejects(listConversations(inboxOf(db).reader, { [param]: since, limit: 5 }), {
          code: 'invalid_request',
          param,
        });
      }
    }
  });

  it('refuses a time that ends before it begins', async () => {
    for (const time of [
      { since: '1h', until: '2h' },
      { since: '1h', until: '1h' },
      { since: '2026-11-25T10:00:00Z', until: '2026-11-25T10:00:00+01:00' },
      { since: '2999-01-01T00:00:00Z', until: '1m' },
    ])
      await assert.rejects(listConversations(inboxOf(db).reader, { ...time, limit: 5 }), {
        code: 'invalid_request',
        param: 'until',
        message: 'until must be later than since.',
      });
  });

  it('is not waited for when the client has gone', async () => {
    const gone = new AbortController();
    const { reader } = inboxOf(db, { signal: gone.signal });
    gone.abort();
    await assert.rejects(listConversations(reader, { limit: 5 }), { code: 'query_too_slow' });
  });
});
