import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import { json, type Script, startScriptedApi } from '../../../test/support/scripted-api.ts';
import type { Part, SendOutcome } from '../channel.ts';
import { createTwilioChannel, createTwilioDispatcher, type TwilioOptions } from './twilio.ts';

const ACCOUNT = `AC${'1'.repeat(32)}`;
const TOKEN = 'a-token-that-must-not-leak';
const SID = `SM${'a'.repeat(32)}`;
const PART: Part = {
  id: '0198c1b2-0000-7000-8000-000000000001',
  channel: 'sms',
  from: '+15550001111',
  to: '+14155550123',
  text: 'Grüße & 100% 😀',
  mediaUrls: [],
  validitySeconds: 300,
};
const SHORT = { connectMs: 500, headersMs: 150, bodyMs: 150 };
const LONG = { connectMs: 5_000, headersMs: 5_000, bodyMs: 5_000 };
const NEVER = new AbortController().signal;

let api: Awaited<ReturnType<typeof startScriptedApi>>;
let http: Dispatcher;
before(async () => {
  api = await startScriptedApi();
  http = createTwilioDispatcher(api.url);
});
beforeEach(() => {
  api.asked.length = 0;
});
after(async () => {
  await http.destroy();
  await api.close();
});

function channel(changes: Partial<TwilioOptions> = {}) {
  return createTwilioChannel({
    accountSid: ACCOUNT,
    authTokens: [TOKEN, 'older'],
    publicUrl: 'https://user:pass@bridge.example/sms',
    apiUrl: api.url,
    messagingServiceSid: null,
    ourNumbers: () => new Set(['+15550001111']),
    http,
    mediaHttp: http,
    timeouts: LONG,
    ...changes,
  });
}

async function outcomeOf(script: Script, timeouts = LONG): Promise<SendOutcome> {
  api.script = script;
  return (await channel({ timeouts }).send(PART, NEVER)).outcome;
}

/** Waits until `condition` holds; the deadline makes a test fail instead of hang. */
async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); ) {
    assert.ok(Date.now() < deadline, 'the condition did not come true in 5 s');
    await wait(5);
  }
}

test('a part becomes a message: one request, our part id in the callback', async () => {
  api.script = json(201, { sid: SID, num_segments: '2', status: 'queued' });
  const { outcome, call } = await channel().send(PART, NEVER);
  assert.deepEqual(outcome, { kind: 'accepted', providerId: SID, segments: 2 });
  assert.equal(api.asked.length, 1);
  const asked = api.asked[0]!;
  assert.equal(asked.method, 'POST');
  assert.equal(asked.url.pathname, `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`);
  assert.equal(asked.authorization, `Basic ${Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64')}`);
  assert.deepEqual(Object.fromEntries(asked.form), {
    To: '+14155550123',
    From: '+15550001111',
    Body: 'Grüße & 100% 😀',
    ValidityPeriod: '300',
    StatusCallback: `https://user:pass@bridge.example/sms/webhooks/twilio/status?part=${PART.id}`,
  });
  assert.equal(call.status, 201);
  assert.equal(call.target, `${api.url}/2010-04-01/Accounts/${ACCOUNT}/Messages.json`);
  assert.ok(call.response.includes(SID) && call.request.includes('To=%2B14155550123') && call.durationMs > 0);
});

test('WhatsApp, media and a messaging service', async () => {
  api.script = json(201, { sid: SID, num_segments: '0' });
  const part: Part = {
    ...PART,
    channel: 'whatsapp',
    to: 'US.ABC123',
    text: '',
    mediaUrls: ['https://files.example/a.png?signature=secret', 'https://files.example/b.png'],
    validitySeconds: 90_000,
  };
  const { outcome, call } = await channel({ messagingServiceSid: `MG${'2'.repeat(32)}` }).send(part, NEVER);
  assert.deepEqual(outcome, { kind: 'accepted', providerId: SID, segments: null });
  const { form } = api.asked[0]!;
  assert.deepEqual([form.get('To'), form.get('From')], ['whatsapp:US.ABC123', 'whatsapp:+15550001111']);
  assert.equal(form.get('MessagingServiceSid'), `MG${'2'.repeat(32)}`);
  assert.deepEqual(form.getAll('MediaUrl'), part.mediaUrls);
  assert.equal(form.has('Body'), false);
  assert.equal(form.get('ValidityPeriod'), '36000');
  assert.match(call.request, /MediaUrl=https%3A%2F%2Ffiles\.example%2Fa\.png&/);
});

test('a record carries no secret', async () => {
  api.script = json(401, { code: 20003, message: 'Authenticate', status: 401 });
  const part = { ...PART, mediaUrls: ['https://user:hidden@files.example/a.png?signature=secret'] };
  const { call } = await channel().send(part, NEVER);
  const basic = Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64');
  for (const secret of [TOKEN, basic, 'pass', 'hidden', 'secret']) {
    assert.ok(!JSON.stringify(call).includes(secret), secret);
  }
});

test('what a refusal says about another try', async () => {
  const cases: [script: Script, code: string, retry: 'later' | 'never', afterMs: number | null, optedOut?: boolean][] =
    [
      [json(400, { code: 21211, message: "The 'To' number +14155550123 is not valid" }), '21211', 'never', null],
      [json(400, { code: 21610 }), '21610', 'never', null, true],
      [json(400, { code: 21611 }), '21611', 'later', 300_000],
      [json(400, { code: 21606 }), '21606', 'never', null],
      [json(401, { code: 20003 }), '20003', 'later', 60_000],
      [json(401, { code: 20005, message: 'Account not active' }), '20005', 'later', 60_000],
      [json(403, { code: 20008 }), '20008', 'later', 60_000],
      [json(403, { code: 30002 }), '30002', 'later', 60_000],
      [json(404, { code: 20404 }), '20404', 'later', 60_000],
      [json(403, { code: 21610 }), '21610', 'never', null, true],
      [json(400, { code: 29999, message: 'to +14155550123' }), '29999', 'never', null],
      [json(429, { code: 20429 }), '20429', 'later', 1_000],
      [json(429, { code: 20429 }, { 'retry-after': '7' }), '20429', 'later', 7_000],
      [json(429, { code: 20429 }, { 'retry-after': '0' }), '20429', 'later', 1_000],
      [json(429, { code: 20429 }, { 'retry-after': '99999' }), '20429', 'later', 60_000],
      [json(429, { code: 20429 }, { 'retry-after': 'Fri, 31 Dec 2100 23:59:59 GMT' }), '20429', 'later', 60_000],
      [json(429, { code: 20429 }, { 'retry-after': 'soon' }), '20429', 'later', 1_000],
      [(response) => response.writeHead(429).end('slow down'), '20429', 'later', 1_000],
      [(response) => response.writeHead(403).end('<html>proxy</html>'), 'http_403', 'later', 60_000],
      [json(404, { code: '21211' }), 'http_404', 'later', 60_000],
      [json(400, null), 'http_400', 'later', 60_000],
      [
        (response) => response.writeHead(301, { location: 'https://elsewhere.example/' }).end(),
        'http_301',
        'later',
        60_000,
      ],
    ];
  for (const [script, code, retry, afterMs, optedOut = false] of cases) {
    const outcome = await outcomeOf(script);
    assert.ok(outcome.kind === 'refused', `${code}: ${JSON.stringify(outcome)}`);
    assert.deepEqual(
      [outcome.code, outcome.retry, outcome.afterMs, outcome.optedOut],
      [code, retry, afterMs, optedOut],
    );
    assert.doesNotMatch(outcome.reason, /4155550123/, 'no number in a reason');
  }
  assert.equal(api.asked.length, cases.length, 'nothing was repeated and no redirect followed');
});

test('whatever leaves the end open is unknown', async () => {
  const cases: Record<string, Script> = {
    'a 500': json(500, { code: 20500 }),
    'a 500 with a code that would be a refusal': json(500, { code: 21211 }),
    'a 503': (response) => response.writeHead(503).end(),
    'a 408': (response) => response.writeHead(408).end(),
    'a provider that did not answer in time': json(400, { code: 30410 }),
    '201 without a sid': json(201, { status: 'queued' }),
    '201 with a bad sid': json(201, { sid: 'SM1' }),
    '201 with half of its JSON': (response) => response.writeHead(201).end(`{"sid":"${SID}"`),
    '201 that is a list': json(201, [SID]),
    '200 of a login page': (response) => response.writeHead(200).end('<html>'),
    'a connection closed before the headers': (_response, _asked, request) => request.socket.destroy(),
    'a connection closed after the headers': (response, _asked, request) => {
      response.writeHead(201, { 'content-length': '500' });
      response.write('{"sid":', () => request.socket.destroy());
    },
    'an answer that is not HTTP': (_response, _asked, request) => request.socket.end('nonsense\r\n\r\n'),
    'a huge answer': (response) => response.writeHead(201).end(`{"sid":"${SID}","x":"${'x'.repeat(200_000)}"}`),
  };
  for (const [what, script] of Object.entries(cases)) {
    const outcome = await outcomeOf(script);
    assert.equal(outcome.kind, 'unknown', `${what}: ${JSON.stringify(outcome)}`);
  }
  assert.equal(api.asked.length, Object.keys(cases).length, 'nothing was repeated');
});

test('silence, a body that never ends and a drip are cut off as unknown', async () => {
  const silent = await outcomeOf(() => {}, SHORT);
  assert.deepEqual(silent, { kind: 'unknown', reason: 'The request left and no answer came (headers_timeout).' });
  const stuck = await outcomeOf((response) => response.writeHead(201).write('{'), SHORT);
  assert.equal(stuck.kind, 'unknown');
  let dripping: NodeJS.Timeout | undefined;
  const dripped = await outcomeOf((response) => {
    response.writeHead(201).write('{');
    dripping = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(dripping));
  }, SHORT);
  clearInterval(dripping);
  assert.equal(dripped.kind, 'unknown');
});

test('a record keeps 2 KiB of the answer and never a NUL', async () => {
  api.script = (response) => response.writeHead(400).end(`\0é${'x'.repeat(100_000)}`);
  const { call } = await channel().send(PART, NEVER);
  assert.equal(Buffer.byteLength(call.response.replace('\uFFFD', '\0')), 2048);
  assert.ok(call.response.startsWith('\uFFFDé'));
});

test('what never left may be sent again: nobody listening, no such name, no TLS', async () => {
  const gone = await startScriptedApi();
  await gone.close();
  const failingLookup: LookupFunction = (_host, _options, done) =>
    done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '');
  const cases: [code: string | RegExp, apiUrl: string, http: Dispatcher][] = [
    ['ECONNREFUSED', gone.url, createTwilioDispatcher(gone.url)],
    ['ENOTFOUND', 'http://carrier.example', new Pool('http://carrier.example', { connect: { lookup: failingLookup } })],
    [/./, api.url.replace('http:', 'https:'), createTwilioDispatcher(api.url.replace('http:', 'https:'))],
  ];
  for (const [code, apiUrl, dispatcher] of cases) {
    const { outcome, call } = await channel({ apiUrl, http: dispatcher }).send(PART, NEVER);
    assert.ok(outcome.kind === 'refused' && outcome.retry === 'later', JSON.stringify(outcome));
    assert.match(outcome.code, code instanceof RegExp ? code : new RegExp(`^${code}$`));
    assert.equal(call.status, null);
    await dispatcher.destroy();
  }
  assert.equal(api.asked.length, 0);
});

test('a part that waits for a connection has not left; given up, it never goes out', async (t) => {
  const narrow = new Pool(api.url, { connections: 1 });
  t.after(() => narrow.destroy());
  let release = () => {};
  api.script = (response, asked, request) => {
    release = () => json(201, { sid: SID })(response, asked, request);
  };
  const first = channel({ http: narrow }).send(PART, NEVER);
  await until(() => api.asked.length === 1);
  const timedOut = await channel({ http: narrow, timeouts: SHORT }).send(PART, NEVER);
  assert.deepEqual(
    [timedOut.outcome.kind, 'code' in timedOut.outcome && timedOut.outcome.code],
    ['refused', 'no_connection'],
  );
  const stop = new AbortController();
  const cancelled = channel({ http: narrow }).send(PART, stop.signal);
  stop.abort();
  assert.equal((await cancelled).outcome.kind, 'refused');
  release();
  assert.equal((await first).outcome.kind, 'accepted');
  api.script = json(201, { sid: SID });
  assert.equal((await channel({ http: narrow }).send(PART, NEVER)).outcome.kind, 'accepted');
  assert.equal(api.asked.length, 2, 'the two that were given up were never sent');
});

test('a shutdown: before the request nothing happened, after it nobody knows', async () => {
  const { outcome } = await channel().send(PART, AbortSignal.abort());
  assert.ok(outcome.kind === 'refused' && outcome.code === 'cancelled');
  assert.equal(api.asked.length, 0);
  api.script = () => {};
  const stop = new AbortController();
  const sending = channel().send(PART, stop.signal);
  await until(() => api.asked.length === 1);
  stop.abort();
  assert.equal((await sending).outcome.kind, 'unknown');
});

test('what is withheld at the last moment does not leave, and its connection serves the next part', async () => {
  const sockets = new Set<unknown>();
  const accept = json(201, { sid: SID, num_segments: '1', status: 'queued' });
  api.script = (response, asked, request) => {
    sockets.add(request.socket);
    accept(response, asked, request);
  };
  const own = new Pool(api.url, { connections: 1 });
  const one = channel({ http: own });
  assert.equal((await one.send(PART, NEVER)).outcome.kind, 'accepted');
  assert.deepEqual((await one.send(PART, NEVER, () => false)).outcome, { kind: 'withheld' });
  assert.equal((await one.send(PART, NEVER, () => true)).outcome.kind, 'accepted');
  assert.equal(api.asked.length, 2);
  assert.equal(sockets.size, 1);
  await own.destroy();
});
