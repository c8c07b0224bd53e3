// What programs may not do at /mcp: whom they may not text, how much, and how they may not ask.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { allowRecipient } from '../../src/accounts/recipients.ts';
import { connectMcp, mcpProgram } from '../support/mcp-client.ts';
import { type Answer, call, keyHolder, signIn } from '../support/operator.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const PING = { jsonrpc: '2.0', id: 1, method: 'ping' };
const MCP = { accept: 'application/json, text/event-stream' };

const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.data?.code}`;

describe('programs at /mcp', { concurrency: 4 }, () => {
  let world: World;
  let gateway: string;
  before(async () => {
    world = await startWorld();
    gateway = world.urls.gateway!;
  });
  after(() => world.stop());

  const allow = (address: string, key: string | null = null) =>
    allowRecipient(world.database.pools.admin, { address, key, consent: 'asked for it', timeZone: null });

  /** A program that may send, a number of ours, and somebody whom it may text. */
  async function sender() {
    const line = await world.line();
    await line.agent(() => 'Answer.');
    const bob = line.person();
    await allow(bob.phone);
    const program = await mcpProgram(world, ['send', 'reply', 'read']);
    const send = (more: Record<string, unknown> = {}) =>
      program.tool('send_sms', { to: bob.phone, text: 'Your table is ready.', from: line.number, ...more });
    const limit = (columns: Record<string, unknown>) =>
      world.sql`insert into program_limits ${world.sql({ api_key_id: program.id, ...columns })}`;
    return { line, bob, program, send, limit };
  }

  const textsTo = async (phone: string) => {
    const [row] = await world.sql<{ n: number }[]>`
      select count(*)::int as n from outbound_parts p join conversations c on c.id = p.conversation_id
      where c.their_address = ${phone} and p.kind <> 'notice'`;
    return row!.n;
  };

  describe('recipients', () => {
    test('nobody but who was allowed, and for whom: no other key, no number of ours, no address that is none', async () => {
      const { program, send, line } = await sender();
      const stranger = world.newPhone();
      assert.equal((await send({ to: stranger })).error.code, 'recipient_not_allowed');
      const other = await mcpProgram(world, ['send']);
      await allow(stranger, other.name);
      assert.equal((await send({ to: stranger })).error.code, 'recipient_not_allowed');
      await allow(line.number);
      assert.equal((await send({ to: line.number })).error.code, 'recipient_not_allowed');
      assert.equal((await other.tool('send_sms', { to: stranger, text: 'Hi.', from: line.number })).error, null);
      for (const to of ['5551234567', '+15551234567,+15557654321', '911', '', ['+15551234567'], null]) {
        assert.match(JSON.stringify((await send({ to })).error), /to/, String(to));
      }
      const [row] = await world.sql`select count(*)::int as n from program_texts where api_key_id = ${program.id}`;
      assert.equal(row!.n, 0);
      // A refused text has not even made a conversation.
      const [made] = await world.sql`select count(*)::int as n from conversations where their_address = ${line.number}`;
      assert.equal(made!.n, 0);
    });

    test('after a STOP nothing leaves, whatever operators allow; a START takes it back', async () => {
      const { bob, program, send } = await sender();
      assert.equal((await send()).error, null);
      await bob.next();
      await bob.text('STOP');
      await until(() =>
        world.sql`select 1 from consents where their_address = ${bob.phone} and state = 'out'`.then(
          (rows) => rows.length,
        ),
      );
      const before = await textsTo(bob.phone);
      assert.equal((await send()).error.code, 'opted_out');
      await allow(bob.phone);
      assert.equal((await send()).error.code, 'opted_out');
      const [row] = await world.sql`select id from conversations where their_address = ${bob.phone}`;
      const reply = await program.tool('reply', { conversation_id: row!.id, text: 'Come back!' });
      assert.equal(reply.error.code, 'opted_out');
      assert.equal(await textsTo(bob.phone), before);
      await bob.text('START');
      await until(() =>
        world.sql`select 1 from consents where their_address = ${bob.phone} and state = 'in'`.then(
          (rows) => rows.length,
        ),
      );
      assert.equal((await send()).error, null);
    });

    test('a reply needs somebody who has texted within the session', async () => {
      const { bob, program, send } = await sender();
      const { data } = await send();
      const reply = () => program.tool('reply', { conversation_id: data.conversation_id, text: 'Hello?' });
      assert.equal((await reply()).error.code, 'session_over', 'who was only texted has said nothing');
      await bob.next();
      await bob.text('who is this?');
      await bob.next();
      assert.equal((await reply()).error, null);
      const missing = await program.tool('reply', { conversation_id: crypto.randomUUID(), text: 'Hello?' });
      assert.equal(missing.error.code, 'not_found');
    });
  });

  describe('budget', () => {
    test('what a key may send in a day is all it sends, also at once', async () => {
      const { bob, program, send, limit } = await sender();
      await limit({ segments_per_day: 3, texts_per_person: 100 });
      const told = await Promise.all(Array.from({ length: 8 }, (_, n) => send({ text: `Text ${n} STOP` })));
      const refused = told.filter(({ error }) => error !== null);
      assert.deepEqual([told.length - refused.length, refused.length], [3, 5]);
      for (const { error } of refused) {
        assert.equal(error.code, 'program_budget_spent');
        assert.match(error.message, /20\d\d-\d\d-\d\dT.*nothing was sent/);
      }
      await until(() => bob.texts().length === 3);
      // Two segments do not fit where one is left.
      await world.sql`update program_limits set segments_per_day = 4 where api_key_id = ${program.id}`;
      assert.equal((await send({ text: 'x'.repeat(170) })).error.code, 'program_budget_spent');
      assert.equal((await send({ text: 'short' })).error, null);
    });

    test('all keys together text a person so often and no more; a new day is a new budget', async () => {
      const { bob, program, send, limit, line } = await sender();
      await limit({ texts_per_person: 2 });
      assert.equal((await send()).error, null);
      const other = await mcpProgram(world, ['send']);
      await world.sql`insert into program_limits (api_key_id, texts_per_person) values (${other.id}, 2)`;
      const also = () => other.tool('send_sms', { to: bob.phone, text: 'Me too.', from: line.number });
      assert.equal((await also()).error, null);
      assert.deepEqual(
        [(await send()).error.code, (await also()).error.code],
        ['program_budget_spent', 'program_budget_spent'],
      );
      await world.sql`
        update program_texts set created_at = created_at - interval '1 day' where api_key_id = any (${[program.id, other.id]})`;
      assert.equal((await send()).error, null);
    });

    test('a text is one message that the number takes, and has words', async () => {
      const { line, program, bob } = await sender();
      await world.sql`update phone_numbers set max_segments = 2 where address = ${line.number}`;
      const send = (text: unknown) => program.tool('send_sms', { to: bob.phone, text, from: line.number });
      const long = await send('word '.repeat(80));
      assert.deepEqual([long.error.code, long.error.param], ['invalid_request', 'text']);
      for (const text of ['', 'x'.repeat(1_601), 'a\0b', '\ud800', 7, undefined])
        assert.notEqual((await send(text)).error, null);
      assert.equal((await send('***')).error.code, 'invalid_request', 'nothing is left of it on a phone');
      assert.equal(await textsTo(bob.phone), 0);
    });
  });

  describe('idempotency keys', () => {
    test('one key is one text: again, at once, and from another process', async () => {
      const { bob, program, send } = await sender();
      const once = { idempotency_key: 'table-7' };
      const told = [...(await Promise.all(Array.from({ length: 10 }, () => send(once)))), await send(once)];
      assert.equal(new Set(told.map(({ data }) => data.message_id)).size, 1);
      assert.equal(told.filter(({ data }) => !data.repeated).length, 1);
      const apart = await world.runtime(['gateway'], { PORT: '0', PUBLIC_URL: 'http://localhost:0' });
      const there = await connectMcp(apart.urls.gateway!, program.key);
      const from = told[0]!.data;
      const [line] = await world.sql`select our_address from conversations where id = ${from.conversation_id}`;
      const again = await there.tool('send_sms', {
        to: bob.phone,
        text: 'Your table is ready.',
        from: line!.our_address,
        ...once,
      });
      assert.deepEqual([again.data.message_id, again.data.repeated], [from.message_id, true]);
      await apart.stop();
      await bob.next();
      assert.equal(await textsTo(bob.phone), 1);
    });

    test('with other words, to somebody else, or as another tool it is refused; of another key it is another', async () => {
      const { bob, line, program, send } = await sender();
      const once = { idempotency_key: 'table-7' };
      const first = await send(once);
      assert.equal(first.error, null);
      const ann = line.person();
      await allow(ann.phone);
      assert.equal((await send({ ...once, text: 'Your car is ready.' })).error.code, 'idempotency_key_reused');
      assert.equal((await send({ ...once, to: ann.phone })).error.code, 'idempotency_key_reused');
      await bob.text('thanks');
      const reply = { conversation_id: first.data.conversation_id, text: 'Welcome.', ...once };
      assert.equal((await program.tool('reply', reply)).error.code, 'idempotency_key_reused');
      const other = await mcpProgram(world, ['send']);
      const theirs = await other.tool('send_sms', { to: ann.phone, text: 'Hi.', from: line.number, ...once });
      assert.deepEqual([theirs.error, theirs.data.repeated], [null, false]);
      assert.notEqual((await send({ idempotency_key: 'two words' })).error, null);
    });

    test('a refused text gives its key back, and a taken one stays taken after a STOP', async () => {
      const { bob, program, send, limit } = await sender();
      await limit({ segments_per_day: 0 });
      const once = { idempotency_key: 'table-7' };
      assert.equal((await send(once)).error.code, 'program_budget_spent');
      await world.sql`update program_limits set segments_per_day = 10 where api_key_id = ${program.id}`;
      const sent = await send(once);
      assert.deepEqual([sent.error, sent.data.repeated], [null, false]);
      await bob.next();
      await bob.text('STOP');
      await until(() =>
        world.sql`select 1 from consents where their_address = ${bob.phone} and state = 'out'`.then(
          (rows) => rows.length,
        ),
      );
      assert.deepEqual((await send(once)).data.message_id, sent.data.message_id);
    });
  });

  describe('asking', () => {
    const post = (headers: Record<string, string>, body: unknown = PING) =>
      call(gateway, 'POST', '/mcp', body, { ...MCP, ...headers });

    test('without a key, with a wrong one, with a session: 401 and what to send', async () => {
      const bare = await post({});
      assert.deepEqual(
        [codeOf(bare), bare.headers.get('www-authenticate')],
        ['401 unauthenticated', 'Bearer realm="Darkspere"'],
      );
      assert.equal(bare.json.jsonrpc, '2.0');
      for (const key of ['dsk_wrong', 'dsp_agent_wrong']) {
        const wrong = await post({ authorization: `Bearer ${key}` });
        assert.equal(wrong.status, 401);
        assert.equal(wrong.headers.get('www-authenticate'), 'Bearer realm="Darkspere", error="invalid_token"');
        assert.ok(!wrong.text.includes(key));
      }
      const { cookie, csrf } = await signIn(world);
      assert.equal(codeOf(await post({ cookie, 'x-csrf-token': csrf, origin: gateway })), '401 unauthenticated');
      const { key } = await keyHolder(world, ['read']);
      const inUrl = await call(gateway, 'POST', `/mcp?key=${key}`, PING, MCP);
      assert.equal(codeOf(inUrl), '400 key_in_url');
    });

    test('a tool beyond the scope of the key: 403, and which scope it takes', async () => {
      const { key } = await keyHolder(world, ['read']);
      const body = {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'send_sms', arguments: { to: '+15551234567', text: 'x' } },
      };
      const answer = await post({ authorization: `Bearer ${key}` }, body);
      assert.equal(codeOf(answer), '403 forbidden');
      assert.equal(
        answer.headers.get('www-authenticate'),
        'Bearer realm="Darkspere", error="insufficient_scope", scope="send"',
      );
      // Where one of several is too much, none is done.
      assert.equal(codeOf(await post({ authorization: `Bearer ${key}` }, [PING, body])), '403 forbidden');
      const nothing = await mcpProgram(world, ['chat']);
      assert.deepEqual((await nothing.client.listTools()).tools, []);
    });

    test('a page of somebody else is refused, also one whose name was made to lead here', async () => {
      const { key } = await keyHolder(world, ['read']);
      const authorization = `Bearer ${key}`;
      for (const origin of ['https://evil.example', 'null', 'http://evil.example:80', 'file://']) {
        assert.equal(codeOf(await post({ authorization, origin })), '403 csrf_refused', origin);
      }
      for (const origin of [gateway, 'http://localhost:6274'])
        assert.equal((await post({ authorization, origin })).status, 200);
      assert.equal((await post({ authorization })).headers.get('access-control-allow-origin'), null);
    });

    test('bodies that are too large, too deep, or no JSON', async () => {
      const { key } = await keyHolder(world, ['read']);
      const authorization = `Bearer ${key}`;
      assert.equal(
        codeOf(await post({ authorization }, { ...PING, params: { x: 'x'.repeat(70_000) } })),
        '413 body_too_large',
      );
      const deep = await post(
        { authorization },
        `{"jsonrpc":"2.0","id":1,"method":"ping","params":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
      );
      assert.deepEqual([codeOf(deep), deep.json.error.code], ['400 malformed_body', -32_700]);
      assert.equal(codeOf(await post({ authorization }, '{"jsonrpc":')), '400 malformed_body');
      assert.equal(
        codeOf(await post({ authorization, 'content-type': 'text/plain' }, 'ping')),
        '415 unsupported_media_type',
      );
      for (const body of ['null', '[]', '7', '{}', '{"jsonrpc":"2.0","id":1,"method":"no/such"}']) {
        const answer = await post({ authorization }, body);
        assert.ok(answer.status < 500, `${body}: ${answer.status}`);
        assert.ok(!/node_modules|at \w+ \(/.test(answer.text), answer.text);
      }
    });

    test('arguments that do not fit are named, and nothing is done', async () => {
      const { program, send, bob } = await sender();
      const surprise = await send({ tenant_id: 'x' });
      assert.match(surprise.text, /tenant_id/);
      for (const [name, args, what] of [
        ['get_message', { message_id: 'seven' }, /message_id/],
        ['get_conversation', { conversation_id: crypto.randomUUID(), limit: 1e9 }, /limit/],
        ['list_conversations', { cursor: 'nonsense' }, /cursor/],
        ['list_conversations', { state: 'sleeping' }, /state/],
        ['reply', { conversation_id: crypto.randomUUID(), text: 'x', in_reply_to: crypto.randomUUID() }, /in_reply_to/],
      ] as const) {
        const { error, text } = await program.tool(name, args);
        assert.notEqual(error, null, name);
        assert.match(text, what);
      }
      assert.equal(await textsTo(bob.phone), 0);
    });

    test('a revoked key is over at once, and so is what it was allowed', async () => {
      const { program, send } = await sender();
      assert.equal((await send()).error, null);
      await world.sql`update api_keys set revoked_at = now() where id = ${program.id}`;
      await assert.rejects(send());
    });
  });
});
