// Search: against reading everything, over every mix of what is indexed and what is not; and each kind of thing it finds.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { findInConversation } from '../../src/inbox/messages.ts';
import { search, searchMessages } from '../../src/inbox/search.ts';
import { bridgeOf, reply, sendRecord, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { inboxOf } from '../support/inbox.ts';
import { runs } from '../support/property.ts';
import { newSid } from '../support/signed-webhook.ts';

const WORDS = [
  'Half',
  'half',
  'needle',
  '100%',
  'a_b',
  '\\',
  'привет',
  'ПРИВЕТ',
  'É',
  'é',
  '😀',
  '😀😀',
  '你好',
  "o'clock",
  ' ',
];

describe('the words of texts', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  type More = { readonly direction?: 'in' | 'out' | undefined; readonly conversation_id?: string };
  const page = async (q: string, { conversation_id, direction }: More = {}) => {
    const { reader } = inboxOf(db);
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const query = { q, direction, cursor, limit: 3 };
      const { data, next_cursor: next } =
        conversation_id === undefined
          ? await searchMessages(reader, query)
          : await findInConversation(reader, { ...query, conversation_id });
      ids.push(...data.map((message) => message.id));
      cursor = next ?? undefined;
    } while (cursor !== undefined);
    return ids;
  };

  it('are found wherever they stand, in any case, page by page, as reading everything would', async () => {
    const inbox = inboxOf(db);
    const text = fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 4 }).map((words) => words.join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ body: text, minutes: fc.nat(9), isOut: fc.boolean() }), { minLength: 1, maxLength: 25 }),
        fc.nat(25),
        fc.oneof(text, fc.constantFrom('%', '_', 'eed', 'приве', 'none of it')),
        fc.constantFrom(undefined, 'in' as const, 'out' as const),
        async (texts, indexed, q, direction) => {
          await db.admin`truncate messages, conversations, contacts, message_words, conversation_activity`;
          const conversation = await inbox.conversation();
          const said = texts.map(({ isOut, ...each }) => ({
            ...each,
            conversation,
            direction: isOut ? ('out' as const) : ('in' as const),
          }));
          await inbox.say(said.slice(0, indexed).map((each) => ({ ...each, minutes: each.minutes + 5 })));
          await inbox.index();
          await inbox.say(said.slice(indexed).map((each) => ({ ...each, minutes: 0 })));
          const expected = await db.admin<{ id: string }[]>`
            select id from messages where position(lower(${q}) in lower(body)) > 0
              and (${direction ?? null}::text is null or direction = ${direction ?? null}) order by id desc`;
          const all = expected.map((row) => row.id);
          assert.deepEqual(await page(q, { direction }), all);
          assert.deepEqual(await page(q, { direction, conversation_id: conversation }), all);
        },
      ),
      runs(40),
    );
  });

  it('are looked for again where the clock was set back, and no more where the messages are gone', async () => {
    await db.admin`truncate messages, conversations, contacts, message_words, conversation_activity`;
    const inbox = inboxOf(db);
    const conversation = await inbox.conversation();
    await inbox.say(Array.from({ length: 4 }, (_, n) => ({ conversation, minutes: 20 - n, body: `word ${n}` })));
    // A block that ends in the future was closed by a clock that has been set back, one of long ago has outlived its messages.
    for (const [from, to] of [
      ['-500 days', '-499 days'],
      ['-1 minute', '5 minutes'],
    ] as const) {
      await db.admin`
        insert into message_words (from_id, to_id, messages, words, grams)
        values (id_at(now() + ${from}::interval), id_at(now() + ${to}::interval), 4, 'word', '{}')`;
    }
    assert.equal((await page('word')).length, 0);
    await inbox.index();
    assert.equal((await page('word')).length, 4);
    const [row] = await db.admin<{ n: number }[]>`select count(*)::int as n from message_words`;
    assert.equal(row!.n, 1);
  });

  it('that no text can hold are not found, and break nothing', async () => {
    for (const q of ['\0', 'a\0b', '\ud800', '😀'.repeat(100), `${'x'.repeat(199)}\\`]) {
      assert.deepEqual(await page(q), [], JSON.stringify(q.slice(0, 5)));
    }
  });
});

describe('a search', () => {
  let db: TestDatabase;
  let ids: { conversation: string; text: string; reply: string; turn: string; part: string; session: string };
  const sid = newSid();
  const sentSid = newSid();
  const person = '+15557654321';
  before(async () => {
    db = await freshDatabase();
    const bridge = bridgeOf(db);
    await bridge.arrive(somebody(), 'somebody else');
    const taken = await bridge.arrive(person, 'Where is my parcel?', { providerId: sid });
    const turn = (await bridge.start(taken!.conversationId))!;
    await bridge.finish([reply(turn, ['On its way.'])]);
    const [part] = await bridge.parts(taken!.conversationId);
    const [claimed] = await bridge.claim([part!.id]);
    await bridge.record([sendRecord(claimed!, { state: 'accepted', provider_id: sentSid })]);
    await bridge.status([{ part: part!.id, sid: sentSid, state: 'undelivered', errorCode: '30007' }]);
    const [out] = await db.admin<{ id: string }[]>`select id from messages where turn_id = ${turn.turnId}`;
    ids = {
      conversation: taken!.conversationId,
      text: taken!.messageId,
      reply: out!.id,
      turn: turn.turnId,
      part: part!.id,
      session: turn.sessionId,
    };
    await db.admin`
      insert into agent_registry (id, name, endpoint_url, api_key_hash, secrets)
      values ('00000000-0000-7000-8000-00000000000a', 'Parcel desk', 'https://agent.example.com/', '\\x00', '\\x00')`;
    const failing = (await bridge.start((await bridge.arrive(somebody(), 'anybody?'))!.conversationId))!;
    await bridge.finish([
      {
        ...reply(failing, ['sorry']),
        state: 'fell_back',
        kind: 'fallback',
        error_code: 'agent_timeout',
        exchanges: [
          {
            kind: 'agent',
            agent_id: null,
            attempt: 1,
            target: 'https://agent.example.com/',
            http_status: null,
            outcome: 'failed',
            error_code: 'agent_timeout',
            request: '{}',
            response: '',
            started_at: new Date(),
            duration_ms: 5,
          },
        ],
      },
    ]);
  });
  after(() => db.drop());
  const find = (q: string) => search(inboxOf(db).reader, q);
  const messages = async (q: string) => (await find(q)).messages.map((message) => message.id).sort();
  const conversations = async (q: string) => (await find(q)).conversations.map(({ id }) => id);

  it('finds a person by any part of the number, however it is written', async () => {
    for (const q of [person, '7654321', '(555) 765-4321', '765', '+1 555.765.4321']) {
      assert.deepEqual(await conversations(q), [ids.conversation], q);
    }
  });

  it('finds a text by its words, and says whose it is', async () => {
    const { messages: found } = await find('MY PARCEL');
    assert.deepEqual(
      found.map(({ id, their_address: theirs, state }) => ({ id, theirs, state })),
      [{ id: ids.text, theirs: person, state: 'answered' }],
    );
  });

  it('finds what came and what went by the carrier’s id, indexed or not', async () => {
    assert.deepEqual(await messages(sid), [ids.text]);
    assert.deepEqual(await messages(sentSid), [ids.reply]);
    await db.admin`update outbound_parts set provider_id = provider_id`;
    const other = await freshDatabase();
    try {
      const inbox = inboxOf(other);
      const conversation = await inbox.conversation();
      const said = Array.from({ length: 9 }, (_, n) => ({ conversation, minutes: 20 - n, providerId: newSid() }));
      const stored = await inbox.say(said);
      await inbox.index();
      for (const [n, { providerId }] of said.entries()) {
        const found = await search(inbox.reader, providerId);
        assert.deepEqual(
          found.messages.map(({ id }) => id),
          [stored[n]],
        );
      }
    } finally {
      await other.drop();
    }
  });

  it('finds by every id of ours', async () => {
    assert.deepEqual(await conversations(ids.conversation), [ids.conversation]);
    assert.deepEqual(await conversations(ids.session), [ids.conversation]);
    assert.deepEqual(await messages(ids.text), [ids.text]);
    assert.deepEqual(await messages(ids.turn), [ids.text, ids.reply].sort());
    assert.deepEqual(await messages(ids.part.toUpperCase()), [ids.reply]);
    const [exchange] = await db.admin<{ id: string }[]>`select id from exchanges`;
    assert.equal((await messages(exchange!.id)).length, 2);
    assert.deepEqual((await find('00000000-0000-7000-8000-00000000000a')).agents.length, 1);
  });

  it('finds what failed with a code, the carrier’s and ours', async () => {
    assert.deepEqual(await messages('30007'), [ids.reply]);
    assert.equal((await messages('agent_timeout')).length, 1);
  });

  it('finds what a page finds too, page by page, with whose it is and where it looked', async () => {
    const { reader } = inboxOf(db);
    const all = async (q: string) => {
      const found: { id: string; their_address: string }[] = [];
      let cursor: string | undefined;
      for (;;) {
        const page = await searchMessages(reader, { q, limit: 1, cursor });
        found.push(...page.data);
        if (page.next_cursor === null) return { found, searched: page.searched };
        cursor = page.next_cursor;
      }
    };
    for (const [q, expected, searched] of [
      [sid, [ids.text], 'the carrier’s message ids'],
      [ids.turn, [ids.reply, ids.text], 'ids of messages, turns, parts and exchanges'],
      ['30007', [ids.reply], 'error codes of the newest turns and sends that failed'],
      ['parcel', [ids.text], 'the words of all texts'],
      ['nothing like it', [], 'the words of all texts'],
    ] as const) {
      const page = await all(q);
      assert.deepEqual(
        page.found.map(({ id }) => id),
        expected,
        q,
      );
      assert.ok(page.found.every(({ their_address: theirs }) => theirs === person));
      assert.ok(page.searched.includes(searched), q);
    }
    const failed = await all('agent_timeout');
    assert.equal(failed.found.length, 1);
  });

  it('finds every text of a turn that answers many, page by page', async () => {
    await using stack = new AsyncDisposableStack();
    const other = await freshDatabase();
    stack.defer(() => other.drop());
    const bridge = bridgeOf(other);
    const texter = somebody();
    const first = await bridge.arrive(texter, 'text 1');
    for (let n = 2; n <= 30; n++) await bridge.arrive(texter, `text ${n}`);
    const turn = await bridge.start(first!.conversationId);
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await searchMessages(inboxOf(other).reader, { q: turn!.turnId, limit: 12, cursor });
      found.push(...page.data.map(({ body }) => body));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    assert.deepEqual(
      found,
      Array.from({ length: 30 }, (_, n) => `text ${30 - n}`),
    );
  });

  it('gives each failure of a code once, newest first, with the words that say the same', async () => {
    await using stack = new AsyncDisposableStack();
    const other = await freshDatabase();
    stack.defer(() => other.drop());
    const bridge = bridgeOf(other);
    const { reader } = inboxOf(other);
    const expected: string[] = [];
    for (let n = 0; n < 7; n++) {
      const text = (await bridge.arrive(somebody(), n % 3 === 0 ? 'why agent_timeout?' : 'hello'))!;
      expected.unshift(text.messageId);
      const turn = (await bridge.start(text.conversationId))!;
      await bridge.finish([
        { ...reply(turn, ['sorry']), state: 'fell_back', kind: 'fallback', error_code: 'agent_timeout' },
      ]);
    }
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await searchMessages(reader, { q: 'agent_timeout', limit: 2, cursor });
      found.push(...page.data.map(({ id }) => id));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    assert.deepEqual(found, expected);
  });

  it('finds an agent by its name', async () => {
    assert.deepEqual((await find('parcel d')).agents, [
      { id: '00000000-0000-7000-8000-00000000000a', name: 'Parcel desk' },
    ]);
  });

  it('says where it looked when it finds nothing', async () => {
    assert.deepEqual(await find('nothing like it'), {
      conversations: [],
      messages: [],
      agents: [],
      searched: ['the words of all texts', 'agents’ names'],
    });
    assert.ok((await find('99999')).searched.includes('error codes of the newest turns and sends that failed'));
    assert.ok((await find('99999')).searched.includes('people’s numbers'));
    for (const q of ['\0\0', '  ', '\ud800x']) assert.deepEqual((await find(q)).messages, []);
  });
});
