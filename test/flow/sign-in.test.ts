// Who may call the API: sessions of the console, keys of programs, and everybody who is neither.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { revokeApiKey } from '../../src/security/api-keys.ts';
import { createLoginToken } from '../../src/security/sessions.ts';
import { type Answer, call, keyHolder, signIn } from '../support/operator.ts';
import { startWorld, type World } from '../support/world.ts';

const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;

describe('signing in', () => {
  let world: World;
  let gateway: string;
  before(async () => {
    world = await startWorld();
    gateway = world.urls.gateway!;
  });
  after(() => world.stop());

  const newToken = async () => (await createLoginToken(world.database.pools.admin)).token;
  const login = (token: string, headers: Record<string, string> = {}) =>
    call(gateway, 'POST', '/v1/login', { token }, headers);

  test('a token signs in once; the cookie is out of reach for pages and other sites', async () => {
    const token = await newToken();
    const first = await login(token);
    assert.equal(first.status, 204);
    const { port } = new URL(gateway);
    const cookie = first.headers.get('set-cookie')!;
    assert.match(
      cookie,
      new RegExp(`^darkspere-${port}=dss_[\\w-]{43}; Path=/; Expires=[^;]+; HttpOnly; SameSite=Lax$`),
    );
    const again = await login(token);
    assert.equal(codeOf(again), '401 login_token_invalid');
    assert.match(again.json.error.message, /npx darkspere login/);
  });

  test('of many that use one token at once one is signed in', async () => {
    const token = await newToken();
    const all = await Promise.all(Array.from({ length: 6 }, () => login(token)));
    assert.deepEqual(all.map(({ status }) => status).sort(), [204, ...Array(5).fill(401)]);
  });

  test('after 15 minutes a token opens nothing', async () => {
    const token = await newToken();
    const [row] = await world.sql`
      select extract(epoch from expires_at - created_at)::int as seconds from login_tokens order by created_at desc limit 1`;
    assert.equal(row!.seconds, 900);
    await world.sql`update login_tokens set expires_at = now() - interval '1 second'`;
    assert.equal(codeOf(await login(token)), '401 login_token_invalid');
  });

  test('only hashes are stored', async () => {
    const token = await newToken();
    const { cookie } = await signIn(world);
    const { key } = await keyHolder(world, ['read']);
    for (const secret of [token, cookie.split('=')[1]!, key]) {
      for (const table of ['login_tokens', 'auth_sessions', 'api_keys']) {
        const rows = await world.sql`
          select 1 from ${world.sql(table)} t where position(${secret} in t::text) > 0
            or position(encode(${secret}::bytea, 'hex') in t::text) > 0`;
        assert.equal(rows.length, 0, table);
      }
    }
    assert.ok(!world.log.join('').includes(token));
  });

  test('the session says who is signed in, until they sign out', async () => {
    const operator = await signIn(world);
    const { json, headers } = await operator.call('GET', '/v1/session');
    assert.deepEqual([headers.get('cache-control'), headers.get('x-content-type-options')], ['no-store', 'nosniff']);
    assert.deepEqual([json.kind, json.name, json.csrf_token], ['operator', 'operator', operator.csrf]);
    assert.ok(Date.parse(json.expires_at) > Date.now() + 6 * 86_400_000);
    const out = await operator.call('DELETE', '/v1/session');
    assert.equal(out.status, 204);
    assert.match(out.headers.get('set-cookie')!, /=; .*Expires=Thu, 01 Jan 1970/);
    assert.equal(codeOf(await operator.call('GET', '/v1/session')), '401 unauthenticated');
  });

  test('a session lives from being used: a week of silence ends it, and a month in any case', async () => {
    const operator = await signIn(world);
    const only = world.sql`token_hash = sha256(${operator.cookie.split('=')[1]!}::bytea)`;
    await world.sql`update auth_sessions set last_seen_at = now() - interval '6 days 23 hours' where ${only}`;
    assert.equal((await operator.call('GET', '/v1/session')).status, 200);
    const [row] =
      await world.sql`select now() - last_seen_at < interval '1 minute' as is_fresh from auth_sessions where ${only}`;
    assert.equal(row!.is_fresh, true);
    await world.sql`update auth_sessions set expires_at = now() - interval '1 second' where ${only}`;
    assert.equal(codeOf(await operator.call('GET', '/v1/session')), '401 unauthenticated');

    const other = await signIn(world);
    await world.sql`update auth_sessions set last_seen_at = now() - interval '7 days 1 second'`;
    assert.equal(codeOf(await other.call('GET', '/v1/session')), '401 unauthenticated');
  });

  test('with https the cookie belongs to this host alone, and to https', async () => {
    const secure = await world.runtime(['gateway'], { PORT: '0', DARKSPERE_CONSOLE_URL: 'https://console.example' });
    const answer = await call(secure.urls.gateway!, 'POST', '/v1/login', { token: await newToken() });
    assert.match(
      answer.headers.get('set-cookie')!,
      /^__Host-darkspere=dss_[\w-]{43}; Path=\/; .*; HttpOnly; Secure; SameSite=Lax$/,
    );
    await secure.stop();
  });

  test('a page of another site changes nothing, with the cookie or without', async () => {
    const operator = await signIn(world);
    const [cookie, good] = [{ cookie: operator.cookie }, { 'x-csrf-token': operator.csrf }];
    const post = (headers: Record<string, string>) =>
      call(gateway, 'POST', '/v1/segments', { text: 'x' }, { ...cookie, ...headers });
    assert.equal((await post({ ...good, origin: gateway })).status, 200);
    assert.equal((await post({ ...good, origin: gateway, 'sec-fetch-site': 'same-origin' })).status, 200);
    const refused: [string, Record<string, string>][] = [
      ['no token', { origin: gateway }],
      ['a wrong token', { origin: gateway, 'x-csrf-token': `${operator.csrf.slice(0, -1)}!` }],
      ['a token of somebody else', { origin: gateway, 'x-csrf-token': (await signIn(world)).csrf }],
      ['no origin at all', good],
      ['a foreign origin', { ...good, origin: 'https://evil.example' }],
      ['an opaque origin', { ...good, origin: 'null' }],
      ['another port of this machine', { ...good, origin: 'http://localhost:1' }],
      ['another site, says the browser', { ...good, origin: gateway, 'sec-fetch-site': 'cross-site' }],
      ['a sister site, says the browser', { ...good, origin: gateway, 'sec-fetch-site': 'same-site' }],
      ['a typed address that posts', { ...good, origin: gateway, 'sec-fetch-site': 'none' }],
    ];
    for (const [why, headers] of refused) assert.equal(codeOf(await post(headers)), '403 csrf_refused', why);
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      const answer = await call(gateway, 'GET', '/v1/events', undefined, { ...cookie, ...headers } as Record<
        string,
        string
      >);
      assert.equal(codeOf(answer), '403 csrf_refused');
    }
    assert.equal(codeOf(await login(await newToken(), { origin: 'https://evil.example' })), '403 csrf_refused');
  });
});

describe('keys', () => {
  let world: World;
  let gateway: string;
  before(async () => {
    world = await startWorld();
    gateway = world.urls.gateway!;
  });
  after(() => world.stop());

  test('a key needs no cookie and no CSRF token, and does what its scopes say', async () => {
    const reader = await keyHolder(world, ['read']);
    assert.equal((await reader.call('GET', '/v1/instance')).status, 200);
    const { json } = await reader.call('GET', '/v1/session');
    assert.deepEqual([json.kind, json.csrf_token, json.expires_at], ['api_key', null, null]);
    const refused = await reader.call('DELETE', '/v1/simulator/faults');
    assert.equal(codeOf(refused), '403 forbidden');
    assert.match(refused.json.error.message, /needs write/);
    const writer = await keyHolder(world, ['read', 'write']);
    assert.equal(codeOf(await writer.call('DELETE', '/v1/simulator/faults')), '409 simulator_off');
  });

  test('a key that was revoked opens nothing', async () => {
    const { key, call: asKey } = await keyHolder(world, ['read']);
    const [row] = await world.sql`select name from api_keys where key_hash = sha256(${key}::bytea)`;
    await revokeApiKey(world.database.pools.admin, row!.name);
    assert.equal(codeOf(await asKey('GET', '/v1/instance')), '401 unauthenticated');
  });

  test('the key of an agent opens its own route and no other', async () => {
    const line = await world.line();
    const agent = await line.agent(() => 'Hello.');
    const bearer = { authorization: `Bearer ${agent.apiKey}` };
    assert.equal(codeOf(await call(gateway, 'GET', '/v1/instance', undefined, bearer)), '401 unauthenticated');
  });

  test('a key in the address is refused and not looked at, wherever it stands', async () => {
    const { key } = await keyHolder(world, ['read', 'write']);
    for (const path of [
      `/v1/instance?api_key=${key}`,
      `/v1/instance?x=${key}`,
      `/v1/agents?access_token=abc`,
      `/v1/login?${key}`,
    ]) {
      const method = path.startsWith('/v1/login') ? 'POST' : 'GET';
      const answer = await call(gateway, method, path, undefined, { authorization: `Bearer ${key}` });
      assert.equal(codeOf(answer), '400 key_in_url', path.replace(key, '…'));
      assert.ok(!answer.text.includes(key));
    }
    const [row] = await world.sql`select last_used_at from api_keys where key_hash = sha256(${key}::bytea)`;
    assert.equal(row!.last_used_at, null);
    assert.ok(!world.log.join('').includes(key));
  });

  test('what is unknown is refused by its name, in bodies and in queries', async () => {
    const { call: asKey } = await keyHolder(world, ['read', 'write']);
    const cases: [string, string, unknown, string, RegExp][] = [
      ['POST', '/v1/segments', { text: 'x', role: 'admin' }, 'role', /Unknown field role/],
      ['POST', '/v1/segments', {}, 'text', /text is missing/],
      ['POST', '/v1/segments', { text: 7 }, 'text', /text must be a string/],
      ['POST', '/v1/segments', { text: 'x'.repeat(10_001) }, 'text', /at most 10000 characters/],
      ['POST', '/v1/segments', [1], '', /must be a JSON object/],
      ['GET', '/v1/instance?limit=5', undefined, 'limit', /Unknown query parameter limit/],
      ['GET', '/v1/events?last_event_id=', undefined, 'last_event_id', /must be the id of an event/],
    ];
    for (const [method, path, body, param, message] of cases) {
      const { status, json } = await asKey(method, path, body);
      assert.equal(status, 422, path);
      assert.equal(json.error.param ?? '', param);
      assert.match(json.error.message, message);
    }
    assert.equal(codeOf(await asKey('POST', '/v1/segments', '{"text":')), '400 malformed_body');
    const form = { 'content-type': 'text/plain' };
    assert.equal(codeOf(await asKey('POST', '/v1/segments', 'text=x', form)), '415 unsupported_media_type');
  });
});

describe('guessing', () => {
  let world: World;
  beforeEach(async () => {
    await world?.stop();
    world = await startWorld();
  });
  after(() => world.stop());

  const statuses = (answers: readonly Answer[]) => Object.groupBy(answers, ({ status }) => String(status));

  test('two thousand wrong keys are told to wait; a right one is let in, seen before or not', async () => {
    const gateway = world.urls.gateway!;
    const answers: Answer[] = [];
    const minute = () => Math.floor(Date.now() / 60_000);
    const firstMinute = minute();
    for (let batch = 0; batch < 20; batch++) {
      const wrong = Array.from({ length: 100 }, (_, n) => {
        const key = `dsk_${String(batch * 100 + n).padStart(43, 'x')}`;
        return call(gateway, 'GET', '/v1/instance', undefined, { authorization: `Bearer ${key}` });
      });
      answers.push(...(await Promise.all(wrong)));
    }
    const { 401: unknown = [], 429: limited = [] } = statuses(answers);
    assert.equal(unknown.length + limited.length, 2_000);
    assert.ok(
      unknown.length >= 10 && unknown.length <= 10 * (1 + minute() - firstMinute),
      `${unknown.length} were looked at`,
    );
    const last = limited.at(-1)!;
    assert.equal(codeOf(last), '429 rate_limited');
    const seconds = Number(last.headers.get('retry-after'));
    assert.ok(seconds > 0 && seconds <= 60);
    const { call: asKey } = await keyHolder(world, ['read']);
    assert.equal((await asKey('GET', '/v1/instance')).status, 200);
    // Nor do they keep an operator out, with a login address of before or with a new one.
    const operator = await signIn(world);
    assert.equal((await operator.call('GET', '/v1/session')).status, 200);
  });

  test('behind a proxy each client has wrong keys of its own', async () => {
    const gateway = world.urls.gateway!;
    const guess = async (forwarded: string) => {
      const headers = { authorization: `Bearer dsk_${'x'.repeat(43)}`, 'x-forwarded-for': forwarded };
      return (await call(gateway, 'GET', '/v1/instance', undefined, headers)).status;
    };
    for (let n = 0; n < 10; n++) assert.equal(await guess('203.0.113.9'), 401);
    assert.equal(await guess('203.0.113.9'), 429);
    assert.equal(await guess('203.0.113.10'), 401);
    // The proxy adds whom it forwards for; what stands before that is the client's own invention.
    assert.equal(await guess('203.0.113.77, 203.0.113.9'), 429);
    // Whoever is no address shares one count.
    for (let n = 0; n < 10; n++) await guess(`nobody-${n}`);
    assert.equal(await guess('nobody-else'), 429);
  });

  test('login tokens are not guessed either, and a page left open is no guesser', async () => {
    const gateway = world.urls.gateway!;
    const operator = await signIn(world);
    await operator.call('DELETE', '/v1/session');
    for (let n = 0; n < 15; n++) assert.equal((await operator.call('GET', '/v1/session')).status, 401);
    const wrong = () => call(gateway, 'POST', '/v1/login', { token: `dsl_${'x'.repeat(43)}` });
    const codes = [];
    for (let n = 0; n < 11; n++) codes.push(codeOf(await wrong()));
    assert.equal(codes.at(0), '401 login_token_invalid');
    assert.equal(codes.at(-1), '429 rate_limited');
    const { token } = await createLoginToken(world.database.pools.admin);
    assert.equal((await call(gateway, 'POST', '/v1/login', { token })).status, 204, 'a right one is no guess');
  });
});
