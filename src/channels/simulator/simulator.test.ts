// The official client and the official validator against the simulator: if they are content, it is Twilio enough.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import twilio from 'twilio';
import {
  ALSO_OURS,
  AUTHORIZATION,
  type Hit,
  OURS,
  PERSON,
  type Receiver,
  ACCOUNT as SID,
  startLine,
  startReceiver,
  statusesOf,
  type TestLine,
  TOKEN,
} from '../../../test/support/scripted-customer.ts';
import type { Simulator, SimulatorOptions } from './simulator.ts';

/** The client as it is on npm; only the host it connects to is another. */
function localClient(origin: string) {
  const client = new twilio.RequestClient();
  const request = client.request.bind(client);
  client.request = (options) => {
    options.uri = options.uri.replace('https://api.twilio.com', origin);
    return request(options);
  };
  return client;
}

let line: TestLine;
let receiver: Receiver;
let simulator: Simulator;
let client: ReturnType<typeof twilio>;

async function start(options: Partial<SimulatorOptions> = {}): Promise<void> {
  line = await startLine(options);
  ({ receiver, simulator } = line);
  client = twilio(SID, TOKEN, { httpClient: localClient(simulator.url) });
}

const stop = (): Promise<void> => line.stop();

const authentic = (hit: Hit): boolean =>
  twilio.validateRequest(TOKEN, hit.signature, receiver.url + hit.path, hit.form);

describe('the official twilio client', () => {
  beforeEach(() => start());
  afterEach(stop);

  test('creates and fetches a message', async () => {
    const created = await client.messages.create({ from: OURS, to: PERSON, body: 'a€'.repeat(80) });
    assert.match(created.sid, /^SM[0-9a-f]{32}$/);
    assert.equal(created.status, 'queued');
    assert.equal(created.numSegments, '2', '240 septets need two segments');
    assert.equal(created.direction, 'outbound-api');
    assert.ok(Math.abs(created.dateCreated.getTime() - Date.now()) < 60_000);
    await simulator.person(PERSON).next();
    const fetched = await client.messages(created.sid).fetch();
    assert.equal(fetched.status, 'delivered');
    assert.equal(fetched.body, created.body);
    assert.ok(fetched.dateSent instanceof Date);
    await assert.rejects(client.messages(`SM${'f'.repeat(32)}`).fetch(), { status: 404, code: 20404 });
  });

  test('lists by To, From and date, over pages, newest first', async () => {
    for (let n = 0; n < 7; n++) await client.messages.create({ from: OURS, to: PERSON, body: `text ${n}` });
    await client.messages.create({ from: ALSO_OURS, to: PERSON, body: 'another sender' });
    await client.messages.create({ from: OURS, to: '+15557770002', body: 'another person' });
    const hour = 3_600_000;
    const found = await client.messages.list({
      from: OURS,
      to: PERSON,
      dateSentAfter: new Date(Date.now() - hour),
      pageSize: 3,
    });
    const expected = [6, 5, 4, 3, 2, 1, 0].map((n) => `text ${n}`);
    assert.deepEqual(
      found.map((message) => message.body),
      expected,
    );
    assert.equal((await client.messages.list({ limit: 4 })).length, 4);
    assert.equal((await client.messages.list({ dateSentAfter: new Date(Date.now() + hour) })).length, 0);
    assert.equal((await client.messages.list({ dateSentBefore: new Date(Date.now() - hour) })).length, 0);
  });

  test('a message created while somebody pages is neither skipped nor repeated', async () => {
    for (let n = 0; n < 4; n++) await client.messages.create({ from: OURS, to: PERSON, body: `text ${n}` });
    const first = await client.messages.page({ pageSize: 2 });
    await client.messages.create({ from: OURS, to: PERSON, body: 'late' });
    const second = await first.nextPage();
    assert.deepEqual(
      second?.instances.map((message) => message.body),
      ['text 1', 'text 0'],
    );
  });

  test('is refused with another token', async () => {
    const stranger = twilio(SID, 'wrong', { httpClient: localClient(simulator.url) });
    await assert.rejects(stranger.messages.list(), { status: 401, code: 20003 });
  });

  const REFUSED: [string, Record<string, unknown>, number][] = [
    ['no recipient', { from: OURS, to: '', body: 'x' }, 21604],
    ['a recipient that is no number', { from: OURS, to: '12', body: 'x' }, 21211],
    ['the magic invalid recipient', { from: OURS, to: '+15005550001', body: 'x' }, 21211],
    ['the magic unreachable recipient', { from: OURS, to: '+15005550002', body: 'x' }, 21612],
    ['the magic forbidden region', { from: OURS, to: '+15005550003', body: 'x' }, 21408],
    ['the magic opted-out recipient', { from: OURS, to: '+15005550004', body: 'x' }, 21610],
    ['the magic landline', { from: OURS, to: '+15005550009', body: 'x' }, 21614],
    ['no sender', { to: PERSON, body: 'x' }, 21603],
    ['a sender that is no number', { from: 'me', to: PERSON, body: 'x' }, 21212],
    ['somebody else’s number', { from: '+15559990000', to: PERSON, body: 'x' }, 21606],
    ['the magic invalid sender', { from: '+15005550001', to: PERSON, body: 'x' }, 21212],
    ['the magic sender that is not ours', { from: '+15005550007', to: PERSON, body: 'x' }, 21606],
    ['the magic full queue', { from: '+15005550008', to: PERSON, body: 'x' }, 21611],
    ['no body', { from: OURS, to: PERSON }, 21602],
    ['1,601 characters', { from: OURS, to: PERSON, body: 'x'.repeat(1601) }, 21617],
    ['a medium that is no URL', { from: OURS, to: PERSON, mediaUrl: ['file:///etc/passwd'] }, 21620],
    ['eleven media', { from: OURS, to: PERSON, mediaUrl: Array(11).fill('https://example.com/a.png') }, 21623],
    ['a validity of 0 s', { from: OURS, to: PERSON, body: 'x', validityPeriod: 0 }, 21624],
    ['a validity of 36,001 s', { from: OURS, to: PERSON, body: 'x', validityPeriod: 36_001 }, 21624],
    ['a callback that is no URL', { from: OURS, to: PERSON, body: 'x', statusCallback: 'nowhere' }, 21609],
    ['a text to itself', { from: OURS, to: OURS, body: 'x' }, 21266],
    ['an unknown service', { messagingServiceSid: 'MG1', to: PERSON, body: 'x' }, 21701],
  ];
  for (const [what, params, code] of REFUSED) {
    test(`sees ${code} for ${what}`, async () => {
      const create = client.messages.create(params as unknown as Parameters<typeof client.messages.create>[0]);
      await assert.rejects(create, { status: 400, code, moreInfo: `https://www.twilio.com/docs/errors/${code}` });
      assert.equal(simulator.messages().length, 0);
    });
  }

  test('the longest body and the magic good sender are accepted', async () => {
    const created = await client.messages.create({ from: '+15005550006', to: PERSON, body: 'x'.repeat(1600) });
    assert.equal(created.numSegments, '11');
  });
});

describe('webhooks and callbacks', () => {
  beforeEach(() => start());
  afterEach(stop);

  test('a text arrives signed, with Twilio’s fields, and resolves with our answer', async () => {
    const sent = await simulator.person(PERSON).text('héllo & = + 🙂\n', { to: ALSO_OURS });
    assert.equal(sent.status, 200);
    const hit = receiver.hits[0]!;
    assert.equal(hit.path, '/webhooks/twilio/messages');
    assert.ok(authentic(hit));
    assert.ok(!authentic({ ...hit, form: { ...hit.form, From: '+15550000000' } }));
    const { MessageSid, SmsSid, SmsMessageSid, Body, From, To, SmsStatus, NumMedia, NumSegments, FromCity } = hit.form;
    assert.deepEqual([MessageSid, SmsSid, SmsMessageSid], [sent.sid, sent.sid, sent.sid]);
    assert.deepEqual([Body, From, To], ['héllo & = + 🙂\n', PERSON, ALSO_OURS]);
    assert.deepEqual([SmsStatus, NumMedia, NumSegments, FromCity], ['received', '0', '1', '']);
    assert.equal(hit.form.AccountSid, SID);
    assert.equal(hit.form.OptOutType, undefined);
    assert.match(hit.token, /^[0-9a-f-]{36}$/);
  });

  test('the fragment of a webhook URL is neither signed nor sent', async () => {
    simulator.setWebhookUrl(`${receiver.url}/hook?x=1#rc=3`);
    await simulator.person(PERSON).text('hi');
    assert.equal(receiver.hits[0]!.path, '/hook?x=1');
    assert.ok(authentic(receiver.hits[0]!));
  });

  test('a picture has an address at the carrier that leads to it', async () => {
    const picture = 'https://pictures.example/cat.png?size=2';
    const sent = await simulator.person(PERSON).text('', { media: [picture, 'https://pictures.example/x'] });
    assert.match(sent.sid, /^MM/);
    const { form } = receiver.hits[0]!;
    assert.deepEqual([form.NumMedia, form.MediaContentType0, form.MediaContentType1], ['2', 'image/png', 'image/jpeg']);
    assert.equal((await fetch(form.MediaUrl0!, { redirect: 'manual' })).status, 401, 'without the credential');
    const get = (url: string) => fetch(url, { redirect: 'manual', headers: { authorization: AUTHORIZATION } });
    assert.equal((await get(form.MediaUrl0!)).headers.get('location'), picture);
    assert.equal((await get(form.MediaUrl0!.replace(/0$/, '7'))).status, 404);
  });

  test('a text of ours is reported queued, sent, delivered, signed, query included', async () => {
    const statusCallback = `${receiver.url}/status?part=1`;
    const created = await client.messages.create({ from: OURS, to: PERSON, body: 'hi', statusCallback });
    const received = await simulator.person(PERSON).next((text) => text.body === 'hi');
    assert.equal(received.sid, created.sid);
    const hits = await receiver.waitFor(3);
    assert.deepEqual(statusesOf(hits), ['queued', 'sent', 'delivered']);
    assert.ok(hits.every(authentic));
    assert.deepEqual([hits[2]!.form.MessageSid, hits[2]!.form.To], [created.sid, PERSON]);
  });

  test('a webhook that fails is not repeated, and is on record as 11200', async () => {
    receiver.answerWith(() => 503);
    const sent = await simulator.person(PERSON).text('hi');
    assert.equal(sent.status, 503);
    assert.equal(receiver.hits.length, 1);
    assert.equal(simulator.counts.webhookFailures, 1);
    const [problem] = simulator.problems;
    assert.deepEqual([problem?.code, problem?.sid, problem?.detail], [11200, sent.sid, 'webhook: HTTP 503']);
  });

  test('a webhook nobody listens to answers 0', async () => {
    const nobody = await startReceiver();
    await nobody.close();
    simulator.setWebhookUrl(nobody.url);
    assert.equal((await simulator.person(PERSON).text('hi')).status, 0);
    assert.equal(simulator.problems[0]?.detail, 'webhook: ECONNREFUSED');
  });
});

describe('opt-out', () => {
  afterEach(stop);

  test('STOP is answered once by the carrier, still delivered to us, and blocks sends until START', async () => {
    await start();
    const person = simulator.person(PERSON);
    await person.text(' stop ');
    assert.match((await person.next()).body, /unsubscribed/);
    assert.equal(receiver.hits[0]!.form.Body, ' stop ');
    const send = () => client.messages.create({ from: OURS, to: PERSON, body: 'x' });
    await assert.rejects(send(), { status: 400, code: 21610 });
    await client.messages.create({ from: ALSO_OURS, to: PERSON, body: 'another number may' });
    await person.next((text) => text.from === ALSO_OURS);
    await person.text('STOPALL');
    await person.text('Unstop');
    assert.match((await person.next()).body, /re-subscribed/, 'the second STOP was silent');
    await send();
    assert.equal((await person.next()).body, 'x');
  });

  test('only the whole text is a keyword', async () => {
    await start();
    await simulator.person(PERSON).text('please stop');
    await client.messages.create({ from: OURS, to: PERSON, body: 'x' });
    assert.equal((await simulator.person(PERSON).next()).body, 'x');
  });

  test('with Advanced Opt-Out the webhook names the keyword', async () => {
    await start({ advancedOptOut: true });
    const person = simulator.person(PERSON);
    for (const word of ['hello', 'REVOKE', 'START', 'info']) await person.text(word);
    const types = receiver.hits.map((hit) => hit.form.OptOutType);
    assert.deepEqual(types, [undefined, 'STOP', 'START', 'HELP']);
  });
});

describe('faults', () => {
  beforeEach(() => start());
  afterEach(stop);
  const create = () =>
    client.messages.create({ from: OURS, to: PERSON, body: 'x', statusCallback: `${receiver.url}/status` });

  test('429 and 500 before accepting leave nothing behind, then it works again', async () => {
    simulator.faults.set({ http429: 1, http500BeforeAccept: 1 });
    await assert.rejects(create(), { status: 429, code: 20429 });
    await assert.rejects(create(), { status: 500, code: 20500 });
    assert.equal(simulator.messages().length, 0);
    assert.equal((await create()).status, 'queued');
  });

  test('500 after accepting delivers the message all the same', async () => {
    simulator.faults.set({ http500AfterAccept: 1 });
    await assert.rejects(create(), { status: 500 });
    assert.equal((await simulator.person(PERSON).next()).body, 'x');
    assert.equal((await client.messages.list({ to: PERSON, from: OURS })).length, 1);
    assert.deepEqual(statusesOf(await receiver.waitFor(3)), ['queued', 'sent', 'delivered']);
  });

  test('a duplicated webhook has the same MessageSid and another token', async () => {
    simulator.faults.set({ duplicateWebhooks: 1 });
    await simulator.person(PERSON).text('hi');
    await simulator.person(PERSON).text('again');
    const [first, copy, ...rest] = receiver.hits;
    assert.equal(first!.form.MessageSid, copy!.form.MessageSid);
    assert.notEqual(first!.token, copy!.token);
    assert.equal(rest.length, 1);
  });

  test('callbacks come twice or not at all', async () => {
    simulator.faults.set({ missingCallbacks: 1 });
    await create();
    simulator.faults.set({ duplicateCallbacks: 1 });
    const second = await create();
    const hits = await receiver.waitFor(6);
    assert.deepEqual(statusesOf(hits), ['queued', 'queued', 'sent', 'sent', 'delivered', 'delivered']);
    assert.ok(hits.every((hit) => hit.form.MessageSid === second.sid));
    assert.equal(simulator.person(PERSON).texts().length, 2, 'both reached the phone');
  });

  test('a carrier’s refusal comes after sent, Twilio’s own before it', async () => {
    simulator.faults.set({ failWith: { code: 30007, count: 1 } });
    const filtered = await create();
    const hits = await receiver.waitFor(3);
    assert.deepEqual(statusesOf(hits), ['queued', 'sent', 'undelivered']);
    assert.equal(hits[2]!.form.ErrorCode, '30007');
    assert.equal((await client.messages(filtered.sid).fetch()).errorCode, 30007);
    simulator.faults.set({ failWith: { code: 30001, count: 1 } });
    const failed = await create();
    const later = await receiver.waitFor(2, (hit) => hit.form.MessageSid === failed.sid);
    assert.deepEqual(statusesOf(later), ['queued', 'failed']);
    assert.equal(simulator.person(PERSON).texts().length, 0);
  });
});

describe('the control API', () => {
  before(() => start());
  after(stop);
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(simulator.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  test('says what it is without the token', async () => {
    const text = await (await fetch(`${simulator.url}/simulator`)).text();
    assert.deepEqual(JSON.parse(text).numbers, [OURS, ALSO_OURS]);
    assert.ok(!text.includes(TOKEN));
  });

  test('texts, streams what happens to one phone, and remembers it', async () => {
    const stream = await fetch(`${simulator.url}/simulator/events?phone=${encodeURIComponent(PERSON)}`);
    await simulator.person('+15557779999').text('somebody else');
    const sent = await post('/simulator/texts', { from: PERSON, body: 'hi' });
    assert.equal(sent.status, 202);
    await client.messages.create({ from: OURS, to: PERSON, body: 'reply' });
    const events: { type: string; body: string; status: string }[] = [];
    let rest = '';
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      events.push(...lines.filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6))));
      if (events.at(-1)?.status === 'delivered') break;
    }
    const seen = events.map(({ type, body, status }) => `${type} ${body} ${status}`);
    assert.deepEqual(seen.toSorted(), [
      'status hi received',
      'status reply delivered',
      'status reply sent',
      'text-in hi received',
      'text-out reply queued',
    ]);
    const kept = await fetch(`${simulator.url}/simulator/messages?phone=${encodeURIComponent(PERSON)}`);
    const { messages } = (await kept.json()) as { messages: { body: string }[] };
    assert.deepEqual(
      messages.map((message) => message.body),
      ['hi', 'reply'],
    );
  });

  test('sets faults', async () => {
    const answer = await post('/simulator/faults', { http_429: 2, fail_with: { code: 30003, count: 1 } });
    assert.equal(answer.status, 200);
    assert.equal(simulator.faults.pending().http429, 2);
    assert.equal(simulator.faults.pending().failWith, 1);
    simulator.faults.clear();
  });

  test('refuses other web sites and re-pointed names', async () => {
    const text = { from: PERSON, body: 'hi' };
    assert.equal((await post('/simulator/texts', text, { origin: 'https://evil.example' })).status, 403);
    assert.equal((await post('/simulator/texts', text, { origin: 'null' })).status, 403);
    assert.equal((await post('/simulator/texts', text, { origin: 'http://localhost.evil.example' })).status, 403);
    assert.equal((await post('/simulator/texts', text, { origin: 'http://localhost:8000' })).status, 202);
    const { request } = await import('undici');
    const rebound = await request(`${simulator.url}/simulator`, { headers: { host: 'evil.example' } });
    assert.equal(rebound.statusCode, 403);
    await rebound.body.dump();
  });

  const WRONG: [unknown, number, string | undefined][] = [
    [{ from: 'me', body: 'hi' }, 422, 'from'],
    [{ from: PERSON, body: 'hi', colour: 'red' }, 422, 'colour'],
    [{ from: PERSON }, 422, 'body'],
    [{ from: PERSON, to: '+15559990000', body: 'hi' }, 422, 'to'],
    [{ from: PERSON, media_urls: ['file:///etc/passwd'] }, 422, 'media_urls.0'],
    [{ from: PERSON, body: 'x'.repeat(70_000) }, 413, undefined],
  ];
  for (const [body, status, param] of WRONG) {
    test(`answers ${status} and names ${param ?? 'the limit'}`, async () => {
      const answer = await post('/simulator/texts', body);
      assert.equal(answer.status, status);
      const { error } = (await answer.json()) as { error: { param?: string } };
      assert.equal(error.param, param);
    });
  }

  test('answers 415, 400 and 404', async () => {
    const form = { method: 'POST', body: new URLSearchParams({ from: PERSON }) };
    assert.equal((await fetch(`${simulator.url}/simulator/texts`, form)).status, 415);
    const broken = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' };
    assert.equal((await fetch(`${simulator.url}/simulator/texts`, broken)).status, 400);
    assert.equal((await fetch(`${simulator.url}/simulator/nothing`)).status, 404);
  });
});

describe('a phone', () => {
  beforeEach(() => start());
  afterEach(stop);

  test('gives each text once, in order, and says so when none comes', async () => {
    const person = simulator.person(PERSON);
    const waiting = person.next((text) => text.body === 'second');
    for (const body of ['first', 'second', 'third']) await client.messages.create({ from: OURS, to: PERSON, body });
    assert.equal((await waiting).body, 'second');
    assert.equal((await person.next()).body, 'first');
    assert.equal((await person.next()).body, 'third');
    await assert.rejects(person.next(undefined, 20), /within 20 ms \(3 others/);
    assert.equal(simulator.person(PERSON), person);
  });

  test('finds what came before anybody held it', async () => {
    const statusCallback = `${receiver.url}/status`;
    await client.messages.create({ from: OURS, to: PERSON, body: 'early', statusCallback });
    await receiver.waitFor(3);
    assert.equal((await simulator.person(PERSON).next()).body, 'early');
  });
});

test('memory is bounded: the oldest messages are forgotten', async () => {
  await start({ maxStored: 3 });
  try {
    for (let n = 0; n < 8; n++) await simulator.text({ from: PERSON, body: `text ${n}` });
    const bodies = simulator.messages().map((message) => message.body);
    assert.deepEqual(bodies, ['text 7', 'text 6', 'text 5']);
  } finally {
    await stop();
  }
});
