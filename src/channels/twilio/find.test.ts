import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Dispatcher } from 'undici';
import { json, startScriptedApi } from '../../../test/support/scripted-api.ts';
import { createTwilioChannel, createTwilioDispatcher } from './twilio.ts';

const ACCOUNT = `AC${'1'.repeat(32)}`;
const PATH = `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`;
const SINCE = new Date('2026-03-01T00:00:30Z');
const QUERY = { channel: 'sms', from: '+15550001111', to: '+14155550123', since: SINCE } as const;
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

function find(query: Parameters<ReturnType<typeof createTwilioChannel>['findSent']>[0] = QUERY, apiUrl = api.url) {
  return createTwilioChannel({
    accountSid: ACCOUNT,
    authTokens: ['token'],
    publicUrl: 'https://bridge.example',
    apiUrl,
    messagingServiceSid: null,
    ourNumbers: () => new Set(),
    http,
    mediaHttp: http,
    timeouts: { connectMs: 1_000, headersMs: 300, bodyMs: 300 },
  }).findSent(query, NEVER);
}

/** A message `seconds` after SINCE, as Twilio lists it. */
function row(n: number, seconds: number, changes: object = {}) {
  return {
    sid: `SM${String(n).padStart(32, '0')}`,
    to: '+14155550123',
    from: '+15550001111',
    body: `text ${n}`,
    status: 'delivered',
    date_created: new Date(SINCE.getTime() + seconds * 1000).toUTCString(),
    date_sent: null,
    num_segments: '1',
    ...changes,
  };
}

test('lists what was created since then, oldest first', async () => {
  api.script = json(200, {
    messages: [
      row(4, 60, { status: 'queued', num_segments: '0' }),
      row(3, 10, { body: 'a\0b' }),
      row(2, -50),
      row(1, -70),
      row(5, 5, { status: 'received', direction: 'inbound' }),
      row(8, 70, { status: 'partially_delivered' }),
      row(6, 5, { sid: 'SM1' }),
      row(7, 5, { date_created: 'yesterday' }),
      null,
    ],
    next_page_uri: null,
  });
  const found = await find();
  assert.deepEqual(
    found.map(({ providerId, state, segments, text }) => [Number(providerId.slice(2)), state, segments, text]),
    [
      [2, 'delivered', 1, 'text 2'],
      [3, 'delivered', 1, 'a\uFFFDb'],
      [4, 'accepted', null, 'text 4'],
      // A status that is new to us.
      [8, 'accepted', 1, 'text 8'],
    ],
  );
  const { url, method, authorization } = api.asked[0]!;
  assert.deepEqual([method, url.pathname], ['GET', PATH]);
  assert.deepEqual(Object.fromEntries(url.searchParams), { To: '+14155550123', From: '+15550001111', PageSize: '100' });
  assert.match(authorization, /^Basic /);
});

for (const minutes of [-10, 10]) {
  test(`a carrier whose clock is ${minutes} minutes off overlooks nothing, and lists no older one`, async () => {
    const off = minutes * 60;
    api.script = (response, asked, request) => {
      response.setHeader('date', new Date(Date.now() + off * 1000).toUTCString());
      const messages = [row(2, off + 5), row(1, off - 70)];
      json(200, { messages, next_page_uri: null })(response, asked, request);
    };
    const found = await find();
    assert.deepEqual(
      found.map(({ text }) => text),
      ['text 2'],
    );
    const madeMs = found[0]!.createdAt.getTime() - SINCE.getTime();
    assert.ok(madeMs >= 4_000 && madeMs <= 7_000, `${madeMs} ms by our clock`);
  });
}

test('WhatsApp addresses go out with their prefix and come back without', async () => {
  api.script = json(200, { messages: [row(1, 0, { to: 'whatsapp:US.ABC' })] });
  assert.deepEqual(
    (await find({ ...QUERY, channel: 'whatsapp', to: 'US.ABC' })).map((message) => message.to),
    ['US.ABC'],
  );
  assert.equal(api.asked[0]!.url.searchParams.get('To'), 'whatsapp:US.ABC');
  assert.equal(api.asked[0]!.url.searchParams.get('From'), 'whatsapp:+15550001111');
});

test('follows the pages, and asks a long history again by its day', async () => {
  api.script = (response, asked, request) => {
    const page = Number(asked.url.searchParams.get('Page') ?? 0);
    const dated = asked.url.searchParams.get('DateSent>') !== null;
    const messages = Array.from({ length: dated ? 3 : 100 }, (_, n) =>
      row(dated ? n : 1_000 + page * 100 + n, dated ? n : -5_000),
    );
    json(200, { messages, next_page_uri: dated ? null : `${PATH}?Page=${page + 1}&PageSize=100` })(
      response,
      asked,
      request,
    );
  };
  assert.deepEqual(
    (await find()).map((message) => message.text),
    ['text 0', 'text 1', 'text 2'],
  );
  assert.equal(api.asked.length, 3, 'two pages, then the day');
  assert.equal(api.asked[2]!.url.searchParams.get('DateSent>'), '2026-02-28', 'the slack reaches into the day before');
  assert.ok(api.asked[2]!.url.search.includes('DateSent%3E=2026-02-28'));
});

test('a page on another host gets no credential, and a circle ends', async (t) => {
  const thief = await startScriptedApi(json(200, { messages: [] }));
  t.after(thief.close);
  api.script = json(200, { messages: [row(1, 1)], next_page_uri: `${thief.url}${PATH}?Page=1` });
  await assert.rejects(find(), { code: 'carrier_unavailable' });
  assert.equal(thief.asked.length, 0);
  api.script = json(200, { messages: [], next_page_uri: PATH });
  assert.deepEqual(await find(), []);
});

test('a carrier that cannot be asked is an error, never an empty list', async () => {
  const cases = {
    '401': json(401, { code: 20003 }),
    '429': json(429, {}),
    '500': json(500, {}),
    'not JSON': json(200, 'text'),
    null: json(200, null),
    'no list': json(200, { messages: {} }),
  };
  for (const [what, script] of Object.entries(cases)) {
    api.script = script;
    await assert.rejects(find(), { code: 'carrier_unavailable' }, what);
  }
  api.script = () => {};
  await assert.rejects(find(), { code: 'carrier_unavailable' });
  api.script = (response, _asked, request) => {
    response.writeHead(200, { 'content-length': '900' });
    response.write('{"messages":[]}', () => request.socket.destroy());
  };
  await assert.rejects(find(), (error: Error) => {
    assert.doesNotMatch(error.message, /\+\d/);
    return true;
  });
});
