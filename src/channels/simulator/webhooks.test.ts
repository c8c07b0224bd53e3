// How the carrier calls our webhook: retries, fallback, duplicates, order, and what it makes of the answer.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import twilio from 'twilio';
import {
  type Hit,
  OURS,
  PERSON,
  type ScriptedAnswer,
  startLine,
  startReceiver,
  type TestLine,
  TOKEN,
} from '../../../test/support/scripted-customer.ts';
import { readConnectionSettings } from './connection-settings.ts';

let line: TestLine;

beforeEach(async () => {
  line = await startLine();
});
afterEach(() => line.stop());

const text = (body = 'hi') => line.simulator.text({ from: PERSON, body });
const bodies = (hits: readonly Hit[] = line.receiver.hits) => hits.map((hit) => hit.form.Body);
const tokens = () => new Set(line.receiver.hits.map((hit) => hit.token));
const codes = () => line.simulator.problems.map(({ code }) => code);

/** Answers the first `times` posts one way, the others with 200. */
function failFirst(times: number, answer: ScriptedAnswer): void {
  let left = times;
  line.receiver.answerWith(() => (left-- > 0 ? answer : 200));
}

describe('retries', () => {
  const url = (fragment: string) => line.simulator.setWebhookUrl(`${line.receiver.url}/hook${fragment}`);

  const CASES: [fragment: string, fails: number, answer: ScriptedAnswer, posts: number, status: number][] = [
    ['', 9, 503, 1, 503],
    ['', 9, 'cut', 1, 0],
    ['#rc=5', 9, 503, 1, 503],
    ['#rp=5xx', 1, 503, 2, 200],
    ['#rc=3&rp=5xx', 9, 500, 4, 500],
    ['#rc=0&rp=5xx', 9, 500, 1, 500],
    ['#rc=5&rp=5xx', 2, 429, 1, 429],
    ['#rc=5&rp=4xx', 2, 429, 3, 200],
    ['#rc=2&rp=rt', 1, 'cut', 2, 200],
    ['#rc=2&rp=rt&rt=500', 1, 'hang', 2, 200],
    ['#rc=2&rp=ct,5xx', 1, 'cut', 1, 0],
    ['#rc=2&rp=all', 2, 404, 3, 200],
    ['#rc=9&rp=5xx', 9, 503, 2, 503],
  ];
  for (const [fragment, fails, answer, posts, status] of CASES) {
    test(`with "${fragment}" and ${fails} times ${answer}: ${posts} posts, then ${status}`, async () => {
      url(fragment);
      failFirst(fails, answer);
      const sent = await text();
      assert.equal(sent.status, status);
      assert.equal(line.receiver.hits.length, posts);
      assert.equal(tokens().size, 1, 'retries of one webhook carry one token');
      assert.ok(line.receiver.hits.every((hit) => hit.path === '/hook'));
      assert.ok(
        line.receiver.hits.every((hit) =>
          twilio.validateRequest(TOKEN, hit.signature, `${line.receiver.url}/hook`, hit.form),
        ),
      );
      const attempts = line.simulator.history.of('webhook');
      assert.deepEqual(
        attempts.map((entry) => [entry.sid, entry.attempt]),
        Array.from({ length: posts }, (_, n) => [sent.sid, n + 1]),
      );
      assert.deepEqual(codes(), status === 200 ? [] : [11_200]);
    });
  }

  test('no connection is retried once by default, and is 11205', async () => {
    const nobody = await startReceiver();
    await nobody.close();
    line.simulator.setWebhookUrl(nobody.url);
    assert.equal((await text()).status, 0);
    assert.deepEqual(codes(), [11_205]);
    assert.deepEqual(
      line.simulator.history.of('webhook').map(({ attempt, problem }) => [attempt, problem]),
      [
        [1, 'ECONNREFUSED'],
        [2, 'ECONNREFUSED'],
      ],
    );
  });

  test('all retries together end with the total time', async () => {
    url('#rc=5&rp=all&tt=150');
    line.receiver.answerWith(() => 'hang');
    assert.equal((await text()).status, 0);
    assert.equal(line.receiver.hits.length, 1);
  });

  test('an answer that drips without end is cut off by the total time', async () => {
    url('#rc=0&tt=200');
    line.receiver.answerWith(() => 'drip');
    assert.equal((await text()).status, 0);
    assert.equal(line.simulator.history.of('webhook')[0]?.problem, 'TIMEOUT');
  });

  test('settings out of their range are as if they were not there', () => {
    const { url: plain, settings } = readConnectionSettings(
      'https://a.example/x?y=1#ct=50&rt=99999&tt=x&rc=-1&rp=9xx',
      15_000,
    );
    assert.equal(plain, 'https://a.example/x?y=1');
    assert.deepEqual(
      { ...settings, retried: [...settings.retried] },
      { connectMs: 5000, readMs: 15_000, totalMs: 15_000, retries: 1, retried: [] },
    );
    assert.deepEqual([...readConnectionSettings('https://a.example/', 15_000).settings.retried], ['ct']);
  });
});

describe('the fallback URL', () => {
  test('is asked when the first fails, and told why', async () => {
    line.simulator.setWebhookUrl(`${line.receiver.url}/first#rc=0`, `${line.receiver.url}/second`);
    line.receiver.answerWith((hit) => (hit.path === '/first' ? 500 : 200));
    const sent = await text();
    assert.equal(sent.status, 200);
    const [first, second] = line.receiver.hits;
    assert.deepEqual([first!.path, second!.path], ['/first', '/second']);
    assert.deepEqual([second!.form.ErrorCode, second!.form.ErrorUrl], ['11200', `${line.receiver.url}/first`]);
    assert.equal(second!.form.MessageSid, sent.sid);
    assert.notEqual(second!.token, first!.token);
    assert.ok(twilio.validateRequest(TOKEN, second!.signature, `${line.receiver.url}/second`, second!.form));
    const urls = line.simulator.history.of('webhook').map((entry) => entry.url);
    assert.deepEqual(urls, ['primary', 'fallback']);
  });

  test('is not asked when the first answers', async () => {
    line.simulator.setWebhookUrl(`${line.receiver.url}/first`, `${line.receiver.url}/second`);
    await text();
    assert.deepEqual(
      line.receiver.hits.map(({ path }) => path),
      ['/first'],
    );
  });
});

describe('faults', () => {
  test('copies of a webhook come together, each with a token of its own', async () => {
    line.simulator.faults.set({ duplicateWebhooks: { copies: 4 } });
    const { sid } = await text();
    assert.deepEqual(
      line.receiver.hits.map((hit) => hit.form.MessageSid),
      Array(5).fill(sid),
    );
    assert.equal(tokens().size, 5);
    assert.deepEqual(
      line.simulator.history
        .of('webhook')
        .map(({ copy }) => copy)
        .toSorted(),
      [0, 1, 2, 3, 4],
    );
  });

  test('a copy can come later; nobody waits for it', async () => {
    line.simulator.faults.set({ duplicateWebhooks: [{ delayMs: 60_000 }, { delayMs: 20 }] });
    await text('first');
    await text('second');
    await line.receiver.waitFor(3);
    assert.deepEqual(bodies(), ['first', 'second', 'second']);
  });

  test('a late text is overtaken, and comes', async () => {
    line.simulator.faults.set({ lateWebhooks: [{ delayMs: 60_000 }, { delayMs: 20 }] });
    const first = text('very late');
    const second = text('late');
    await text('in time');
    assert.equal((await second).status, 200);
    assert.deepEqual(bodies().toSorted(), ['in time', 'late']);
    await line.simulator.close();
    assert.equal((await first).status, 0, 'a simulator that closes leaves nobody waiting');
  });

  test('a text is overtaken by the next one of that person only', async () => {
    line.simulator.faults.set({ reorderedWebhooks: { match: { from: PERSON }, waitMs: 60_000 } });
    const first = text('first');
    await line.simulator.text({ from: '+15557779999', body: 'somebody else' });
    await Promise.all([first, text('second')]);
    assert.deepEqual(bodies(), ['somebody else', 'second', 'first']);
  });

  test('a text that nothing follows is posted all the same', async () => {
    line.simulator.faults.set({ reorderedWebhooks: { waitMs: 20 } });
    assert.equal((await text()).status, 200);
  });

  test('one seed is one history, however the people are mixed', async () => {
    const run = async (order: readonly string[]) => {
      const place = await startLine();
      try {
        place.simulator.faults.mix(5, { duplicateWebhooks: 0.4 });
        for (const [n, from] of order.entries()) await place.simulator.text({ from, body: `${n}` });
        return place.simulator.history
          .of('webhook')
          .filter(({ copy }) => copy > 0)
          .map(({ sid }) => place.simulator.messages().find((message) => message.sid === sid)!.from)
          .toSorted();
      } finally {
        await place.stop();
      }
    };
    const people = ['+15557770001', '+15557770002', '+15557770003'];
    const mixed = await run([...people, ...people, ...people, ...people]);
    assert.ok(mixed.length > 0 && mixed.length < 12);
    assert.deepEqual(await run(people.flatMap((phone) => [phone, phone, phone, phone])), mixed);
  });
});

describe('the answer', () => {
  const answer = (body: string, contentType?: string) =>
    line.receiver.answerWith(() => ({ body, ...(contentType === undefined ? {} : { contentType }) }));

  const twiml = new twilio.twiml.MessagingResponse();
  twiml.message('one & <two> “é” 🙂');
  twiml.message('three');

  test('in TwiML, as the official builder writes it, is sent as replies', async () => {
    answer(twiml.toString());
    await text();
    const person = line.simulator.person(PERSON);
    const [first, second] = [await person.next(), await person.next()];
    assert.deepEqual([first.body, second.body], ['one & <two> “é” 🙂', 'three']);
    assert.deepEqual([first.direction, first.from], ['outbound-reply', OURS]);
    assert.deepEqual(codes(), []);
  });

  test('may have a picture and a body of its own', async () => {
    const reply = new twilio.twiml.MessagingResponse();
    const message = reply.message({}, '');
    message.body('look');
    message.media('https://pictures.example/cat.png');
    answer(reply.toString());
    await text();
    const { body, mediaUrls } = await line.simulator.person(PERSON).next();
    assert.deepEqual([body, mediaUrls], ['look', ['https://pictures.example/cat.png']]);
  });

  test('in plain text is a reply; an empty one is none', async () => {
    answer('just words', 'text/plain; charset=utf-8');
    await text();
    assert.equal((await line.simulator.person(PERSON).next()).body, 'just words');
    answer('', '');
    await text();
    assert.deepEqual(codes(), []);
  });

  const WRONG: [what: string, code: number, body: string, contentType?: string][] = [
    ['JSON', 12_300, '{}', 'application/json'],
    ['something without a type', 12_300, '<Response/>', ''],
    ['an element that is not closed', 12_100, '<Response><Message>hi</Response>'],
    ['a bare ampersand', 12_100, '<Response><Message>you & me</Message></Response>'],
    ['another root', 12_100, '<response/>'],
    ['two roots', 12_100, '<Response/><Response/>'],
    ['a line before the declaration', 12_100, '\n<?xml version="1.0"?><Response/>'],
    ['more than 64 kB', 11_750, `<Response><!--${'x'.repeat(65_536)}--></Response>`],
    ['a message without content', 14_103, '<Response><Message/></Response>'],
    ['a message that is too long', 21_617, `<Response><Message>${'x'.repeat(1601)}</Message></Response>`],
  ];
  for (const [what, code, body, contentType] of WRONG) {
    test(`with ${what} is ${code}, and nothing is sent`, async () => {
      answer(body, contentType);
      assert.equal((await text()).status, 200);
      assert.deepEqual(codes(), [code]);
      assert.equal(line.simulator.messages().filter(({ direction }) => direction !== 'inbound').length, 0);
    });
  }

  test('is not sent to somebody who stopped us', async () => {
    answer('<Response><Message>but wait</Message></Response>');
    await text('STOP');
    assert.match((await line.simulator.person(PERSON).next()).body, /unsubscribed/);
    assert.deepEqual(codes(), [21_610]);
  });

  test('is not sent a sixteenth time in 30 s between two numbers', async () => {
    answer('<Response><Message>hello, machine</Message></Response>');
    for (let n = 0; n < 16; n++) await text(`${n}`);
    await line.simulator.text({ from: '+15557779999', body: 'hi' });
    assert.deepEqual(codes(), [14_107]);
    const replies = line.simulator.messages().filter(({ direction }) => direction === 'outbound-reply');
    assert.equal(replies.length, 16);
  });
});
