// Texts in, answers out: what a person with a phone may rely on.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isGsm7, MORE_TAIL } from '../../src/channels/segments.ts';
import type { MessagePath } from '../../src/http/contract.ts';
import { signIn } from '../support/operator.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const MESSAGES = '/webhooks/twilio/messages';
const ALIAS = '/webhook/sms/incoming';

let world: World;

describe('texts', { concurrency: 6 }, () => {
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  test('a text is answered once, and the answer is known to be delivered', async () => {
    const line = await world.line();
    const agent = await line.agent(({ message }) => `You said: ${message}`);
    const ann = line.person();
    assert.equal((await ann.text('hello')).status, 200);
    assert.equal((await ann.next()).body, 'You said: hello');
    const story = await line.story(ann);
    assert.deepEqual(agent.heard(), ['hello']);
    assert.equal(ann.texts().length, 1);
    assert.deepEqual(
      story.parts.map(({ state, body }) => [state, body]),
      [['delivered', 'You said: hello']],
    );
    const log = await world.sql`
      select direction, state from message_log where conversation_id = ${story.conversation.id} order by id`;
    assert.deepEqual(
      log.map(({ direction, state }) => `${direction} ${state}`),
      ['in answered', 'out delivered'],
    );
  });

  test('one webhook delivered a hundred times at once, on both paths, and again later is one text', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'Once.');
    const ann = line.person();
    const form = world.form({ From: ann.phone, To: line.number, Body: 'only me' });
    const deliver = (n: number) => world.signedPost(n % 2 === 0 ? MESSAGES : ALIAS, form);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => deliver(n)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    await ann.next();
    assert.deepEqual([(await deliver(0)).status, (await deliver(1)).status], [200, 200]);
    const story = await line.story(ann);
    assert.deepEqual(
      story.messages.map(({ direction }) => direction),
      ['in', 'out'],
    );
    assert.deepEqual([agent.calls.length, story.turns.length, ann.texts().length], [1, 1, 1]);
  });

  test('texts in one breath get one answer', async () => {
    const line = await world.line({ quiet_ms: 1_500 });
    const agent = await line.agent(() => 'All of it.');
    const ann = line.person();
    for (const text of ['so', 'I was', 'thinking', 'of you']) await ann.text(text);
    await ann.next();
    await line.story(ann);
    assert.deepEqual(agent.heard(), ['so\nI was\nthinking\nof you']);
    assert.equal(ann.texts().length, 1);
  });

  test('somebody who never stops typing is answered all the same', async () => {
    const line = await world.line({ quiet_ms: 4_000 });
    const agent = await line.agent(() => 'Let me say something.');
    const ann = line.person();
    for (let n = 0; agent.calls.length === 0; n++) {
      // Twice the cap: without it the window would stay open for as long as this goes on.
      assert.ok(n < 40, 'the burst window never closed');
      await ann.text(`and ${n}`);
      await pause(250);
    }
    assert.match(agent.heard()[0]!, /^and 0\nand 1\n/);
    assert.equal((await ann.next()).body, 'Let me say something.');
  });

  test('nobody waits for somebody else’s answer', async () => {
    const line = await world.line();
    const gate = Promise.withResolvers<string>();
    const agent = await line.agent(({ message }) => (message === 'slow' ? gate.promise : 'Quick.'));
    const [ann, bob] = [line.person(), line.person()];
    await ann.text('slow');
    await until(() => agent.calls.length === 1);
    await bob.text('fast');
    assert.equal((await bob.next()).body, 'Quick.');
    assert.equal(ann.texts().length, 0);
    gate.resolve('At last.');
    assert.equal((await ann.next()).body, 'At last.');
  });

  test('texts that come while the agent thinks are collected and answered together, next', async () => {
    const line = await world.line();
    const gate = Promise.withResolvers<string>();
    const agent = await line.agent(({ message }) => (message === 'first' ? gate.promise : 'And the rest.'));
    const ann = line.person();
    await ann.text('first');
    await until(() => agent.calls.length === 1);
    for (const text of ['second', 'third', 'fourth']) await ann.text(text);
    gate.resolve('One.');
    assert.equal((await ann.next()).body, 'One.');
    assert.equal((await ann.next()).body, 'And the rest.');
    await line.story(ann);
    assert.deepEqual(agent.heard(), ['first', 'second\nthird\nfourth']);
    assert.deepEqual(
      agent.calls[1]!.payload.conversation_history.map(({ role, content }) => [role, content]),
      [
        ['user', 'first'],
        ['assistant', 'One.'],
      ],
    );
  });

  test('fifty texts of one person reach a slow agent in order, none twice, none lost', async () => {
    const line = await world.line({ quiet_ms: 0 });
    let posted = 0;
    const agent = await line.agent(async () => {
      // Slow enough that ten more texts come meanwhile: few enough turns to be taken for a person.
      const enough = Math.min(50, posted + 10);
      await until(() => posted >= enough, { timeoutMs: 30_000 });
      return 'ok';
    });
    const ann = line.person();
    const sent = Array.from({ length: 50 }, (_, n) => `text ${n}`);
    await ann.text(sent[0]!);
    posted = 1;
    await until(() => agent.calls.length === 1);
    for (const text of sent.slice(1)) {
      await ann.text(text);
      posted++;
    }
    const story = await line.story(ann);
    assert.deepEqual(
      agent.heard().flatMap((heard) => heard.split('\n')),
      sent,
    );
    assert.equal(agent.heard()[0], sent[0]);
    assert.equal(ann.texts().length, agent.calls.length);
    assert.deepEqual(new Set(story.turns.map(({ state }) => state)), new Set(['replied']));
  });

  test('pictures reach the agent, with words and without', async () => {
    const line = await world.line();
    const agent = await line.agent(({ media }) => `${media.length} pictures`);
    const ann = line.person();
    await ann.text('look', { media: ['https://phone.example/cat.png', 'https://phone.example/dog.jpg'] });
    assert.equal((await ann.next()).body, '2 pictures');
    await ann.text('', { media: ['https://phone.example/cat.png'] });
    assert.equal((await ann.next()).body, '1 pictures');
    const [first, second] = agent.calls.map(({ payload }) => payload.media);
    assert.deepEqual(
      first!.map(({ content_type }) => content_type),
      ['image/png', 'image/jpeg'],
    );
    assert.ok([...first!, ...second!].every(({ url }) => URL.canParse(url)));
    assert.deepEqual(agent.heard(), ['look', '']);
  });

  for (const [name, text, stored] of [
    ['NUL', 'a\0b', 'a\uFFFDb'],
    ['terminal escapes', '\u001b[31mred\u001b[0m\u0007', '\u001b[31mred\u001b[0m\u0007'],
    ['a right-to-left override', 'abc\u202Edef', 'abc\u202Edef'],
    ['1,600 emoji', '😀'.repeat(1_600), '😀'.repeat(1_600)],
    ['what looks like markup and code', `<img src=x onerror=alert(1)>'; drop table messages; --`, null],
  ] as const) {
    test(`${name} in a text: stored, given to the agent and answered`, async () => {
      const line = await world.line();
      const agent = await line.agent(() => 'Fine.');
      const ann = line.person();
      assert.equal((await ann.text(text)).status, 200);
      assert.equal((await ann.next()).body, 'Fine.');
      assert.deepEqual(agent.heard(), [stored ?? text]);
      assert.equal((await line.story(ann)).messages[0]!.body, stored ?? text);
    });
  }

  test('what an agent says reaches the phone without NUL, half characters and escapes', async () => {
    const line = await world.line();
    const payload = '"message":"a\\u0000b \\ud800 \\u001b[31mred abc"';
    await line.agent((_payload, call) => ({
      body: `{"type":"chat.response","in_reply_to":"${call.messageId}","payload":{"session_id":"${call.payload.session_id}",${payload}}}`,
    }));
    const ann = line.person();
    await ann.text('hello');
    const { body } = await ann.next();
    assert.ok(body.isWellFormed());
    assert.ok(!body.includes('\0') && !body.includes('\u001b'));
    assert.match(body, /red/);
  });

  for (const [name, from] of [
    ['a phone number', '+15550209999'],
    ['a business-scoped id', 'US.13491208655302741918'],
  ] as const) {
    test(`WhatsApp with ${name}: answered on WhatsApp, to the same address`, async () => {
      const line = await world.line();
      const agent = await line.agent(() => 'Hi there.');
      const form = world.form({ From: `whatsapp:${from}`, To: `whatsapp:${line.number}` });
      assert.equal((await world.signedPost(MESSAGES, form)).status, 200);
      const story = await line.story(from);
      assert.equal(story.conversation.channel, 'whatsapp');
      assert.equal(agent.calls[0]!.payload.channel, 'whatsapp');
      const { request } = story.exchanges.find(({ kind }) => kind === 'send')!;
      const sent = new URLSearchParams(request);
      assert.deepEqual([sent.get('From'), sent.get('To')], [`whatsapp:${line.number}`, `whatsapp:${from}`]);
    });
  }

  test('a person whose number is short, as in small countries, is answered', async () => {
    const line = await world.line();
    await line.agent(() => 'Hi there.');
    for (const from of ['+50051234', '+6834000']) {
      const form = world.form({ From: from, To: line.number, Body: 'hello' });
      assert.equal((await world.signedPost(MESSAGES, form)).status, 200);
      const { messages } = await line.story(from);
      assert.deepEqual(
        messages.map(({ refused, body }) => [refused, body]),
        [
          [null, 'hello'],
          [null, 'Hi there.'],
        ],
      );
    }
  });

  for (const [reason, sender, words] of [
    ['own_number', null, /one of our own numbers/],
    ['short_code', '12345', /a short code/],
    ['alphanumeric_sender', 'MyBank', /its sender is a name/],
  ] as const) {
    test(`a machine is not answered: ${reason}`, async () => {
      const [line, other] = [await world.line(), await world.line()];
      const agent = await line.agent(() => 'Who is this?');
      const from = sender ?? other.number;
      const form = world.form({ From: from, To: line.number, Body: 'Your code is 1234' });
      assert.equal((await world.signedPost(MESSAGES, form)).status, 200);
      const story = await line.story(from);
      assert.deepEqual(
        story.messages.map(({ refused, seq }) => [refused, seq]),
        [[reason, null]],
      );
      assert.deepEqual([story.turns.length, story.parts.length, agent.calls.length], [0, 0, 0]);
      // In words, at the text and on its path.
      const { call } = await signIn(world);
      const { message, spans } = (await call('GET', `/v1/messages/${story.messages[0]!.id}/path`)).json as MessagePath;
      assert.equal(message.reason, reason);
      assert.match(message.reason_text!, words);
      assert.ok(spans.some(({ note }) => note === `Not taken, because ${message.reason_text}.`));
    });
  }

  test('a long answer leaves in parts that arrive in order and make up the whole', async () => {
    const line = await world.line({ max_segments: 40 });
    const words = Array.from({ length: 700 }, (_, n) => `word${n}`);
    await line.agent(() => words.join(' '));
    const ann = line.person();
    await ann.text('tell me everything');
    const story = await line.story(ann);
    assert.ok(story.parts.length > 2);
    assert.deepEqual(
      story.parts.map(({ position }) => position),
      story.parts.map((_, n) => n + 1),
    );
    const said = ann.texts().map(({ body }) => body);
    assert.deepEqual(said.join(' ').split(/\s+/), words);
    assert.ok(said.every((body) => body.length <= 1_600));
  });

  test('an answer beyond the number’s budget is cut, and MORE brings the rest without the agent', async () => {
    const line = await world.line({ max_segments: 2 });
    const words = Array.from({ length: 90 }, (_, n) => `word${n}`);
    const agent = await line.agent(() => words.join(' '));
    const ann = line.person();
    await ann.text('tell me');
    const said = [(await ann.next()).body];
    assert.ok(said[0]!.endsWith(MORE_TAIL));
    while (said.at(-1)!.endsWith(MORE_TAIL)) {
      assert.ok(said.length < 10);
      await ann.text('more');
      said.push((await ann.next()).body);
    }
    const whole = said.map((body) => body.replace(MORE_TAIL, '')).join(' ');
    assert.deepEqual(whole.split(/\s+/), words);
    assert.ok(said.every((body) => isGsm7(body) && body.length <= 2 * 153));
    assert.equal(agent.calls.length, 1);
    // Nothing is left: the next one is a text like any other.
    await ann.text('more');
    await ann.next();
    assert.deepEqual(agent.heard(), ['tell me', 'more']);
  });

  test('Markdown arrives as plain text', async () => {
    const line = await world.line();
    await line.agent(() => '# Weather\n\n**Sunny**, see [the map](https://example.com/map)\n\n- `22` degrees');
    const ann = line.person();
    await ann.text('weather');
    const { body } = await ann.next();
    assert.doesNotMatch(body, /[#*`[\]]/);
    for (const word of ['Weather', 'Sunny', 'https://example.com/map', '22']) assert.ok(body.includes(word), word);
  });

  test('the same phone texting two of our numbers has two conversations', async () => {
    const [one, two] = [await world.line(), await world.line()];
    await one.agent(() => 'One.');
    const agent = await two.agent(() => 'Two.');
    const ann = one.person();
    await ann.text('hello one');
    assert.equal((await ann.next()).body, 'One.');
    await ann.text('hello two', { to: two.number });
    const answer = await ann.next();
    assert.deepEqual([answer.from, answer.body], [two.number, 'Two.']);
    assert.deepEqual(agent.calls[0]!.payload.conversation_history, []);
  });

  test('a text without a usable message id is not taken in', async () => {
    const line = await world.line();
    const form = world.form({ To: line.number, MessageSid: newSid().toUpperCase() });
    assert.equal((await world.signedPost(MESSAGES, form)).status, 400);
    const [row] = await world.sql`select 1 from conversations where our_address = ${line.number}`;
    assert.equal(row, undefined);
  });
});
