// What clients get of conversations, messages and searches: whole, in pages, and with errors that say what to do.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Caller, type Json, keyHolder } from '../support/operator.ts';
import { startWorld, type World } from '../support/world.ts';

const NOBODY = '01900000-0000-7000-8000-000000000000';

describe('the routes of the inbox', () => {
  let world: World;
  let call: Caller;
  let conversation: Json;
  let phone: string;
  before(async () => {
    world = await startWorld();
    ({ call } = await keyHolder(world, ['read']));
    const line = await world.line();
    await line.agent(() => 'fine, thank you', { name: 'Ada' });
    const person = line.person();
    phone = person.phone;
    for (const text of ['first', 'second', 'third']) {
      await person.text(text);
      await person.next();
    }
    await line.story(person);
    ({
      json: {
        data: [conversation],
      },
    } = await call('GET', `/v1/conversations?phone=${phone.slice(-7)}`));
  });
  after(() => world.stop());

  it('list a conversation with its last message, and give it in detail', async () => {
    assert.equal(conversation.their_address, phone);
    assert.deepEqual(
      [conversation.state, conversation.waiting, conversation.agent.name, conversation.takeover],
      ['idle', 0, 'Ada', null],
    );
    assert.equal(conversation.last_message.preview, 'fine, thank you');
    const { json } = await call('GET', `/v1/conversations/${conversation.id}`);
    const { created_at, session, ...listed } = json;
    assert.deepEqual(listed, conversation);
    assert.equal(session.is_active, true);
    assert.ok(Date.parse(created_at) <= Date.parse(session.started_at));
  });

  it('give a thread newest first, in pages that fit together, each text with its turn and each reply with its parts', async () => {
    const path = `/v1/conversations/${conversation.id}/messages`;
    const all: Json[] = (await call('GET', path)).json.data;
    assert.deepEqual(
      all.filter(({ direction }) => direction === 'in').map(({ body }) => body),
      ['third', 'second', 'first'],
    );
    for (const message of all) {
      assert.equal(message.turn.state, 'replied');
      assert.equal(message.turn.agent.name, 'Ada');
      assert.equal(message.parts.length, message.direction === 'out' ? 1 : 0);
      assert.deepEqual((await call('GET', `/v1/messages/${message.id}`)).json, message);
    }
    const pages: Json[] = [];
    let query = '?limit=2';
    for (;;) {
      const { json } = await call('GET', path + query);
      pages.push(...json.data);
      if (json.next_cursor === null) break;
      query = `?limit=2&cursor=${json.next_cursor}`;
    }
    assert.deepEqual(pages, all);
    const found = await call('GET', `/v1/messages?q=SECO&conversation_id=${conversation.id}`);
    assert.deepEqual(
      found.json.data.map(({ body }: Json) => body),
      ['second'],
    );
  });

  it('find in one box', async () => {
    const { json } = await call('GET', `/v1/search?q=${encodeURIComponent(phone)}`);
    assert.deepEqual(json.conversations, [conversation]);
    const byWords = (await call('GET', '/v1/search?q=secon')).json;
    assert.deepEqual(
      byWords.messages.map(({ body, their_address: theirs }: Json) => [body, theirs]),
      [['second', phone]],
    );
    const strange = ['%25%25', '__', '%F0%9F%98%80%F0%9F%98%80', '%5C%5C', "';--"];
    for (const q of strange) assert.equal((await call('GET', `/v1/search?q=${q}`)).status, 200, q);
  });

  it('say of what is not there that it is not, whatever it is, and of what is wrong what would be right', async () => {
    for (const path of ['/v1/conversations/', '/v1/messages/']) {
      for (const rest of [NOBODY, `${NOBODY}/messages`, `${NOBODY}/path`, 'no-id']) {
        const { status, json } = await call('GET', path + rest);
        assert.equal(`${status} ${json.error.code}`, '404 not_found', path + rest);
      }
    }
    const wrong: [string, string][] = [
      ['/v1/conversations?cursor=2', 'cursor'],
      [`/v1/conversations/${conversation.id}/messages?cursor=zzz`, 'cursor'],
      ['/v1/messages?cursor=1', 'cursor'],
      ['/v1/messages?q=a', 'q'],
      ['/v1/conversations?phone=abc', 'phone'],
      ['/v1/conversations?limit=0', 'limit'],
      ['/v1/conversations?state=gone', 'state'],
      ['/v1/conversations?since=yesterday', 'since'],
      ['/v1/conversations?colour=red', 'colour'],
      ['/v1/search', 'q'],
      ['/v1/search?q=a', 'q'],
      ['/v1/search?q=%00%00', 'q'],
    ];
    for (const [path, param] of wrong) {
      const { status, json } = await call('GET', path);
      assert.deepEqual([status, json.error.param], [422, param], path);
    }
    assert.match((await call('GET', '/v1/conversations?cursor=2')).json.error.message, /next_cursor/);
  });
});
