// Every route of /v1, as the OpenAPI document lists them: none is open that should not be, and none is missing from the paper.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, type Caller, call, keyHolder, signIn } from '../support/operator.ts';
import { startWorld, type World } from '../support/world.ts';

type Operation = {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly security?: readonly object[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
};
type Route = { readonly method: string; readonly path: string; readonly operation: Operation };

/** Open to anybody: signing in, what is public, and links that carry their own proof. */
const OPEN = ['POST /v1/login', 'GET /v1/openapi.json', 'GET /v1/media/{message}/{n}'];
/** Change something, but only for the caller: who may read may do it. */
const READERS_CHANGE = ['POST /v1/segments', 'DELETE /v1/session'];

const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;

describe('every route of the API', () => {
  let world: World;
  let gateway: string;
  let routes: Route[];
  before(async () => {
    world = await startWorld();
    gateway = world.urls.gateway!;
    const { json } = await call(gateway, 'GET', '/v1/openapi.json');
    routes = Object.entries(json.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    );
  });
  after(() => world.stop());

  const nameOf = ({ method, path }: Route) => `${method} ${path}`;
  /** Something that could be there stands for each parameter. */
  const pathOf = ({ path }: Route) =>
    path.replace(/\{(\w+)\}/g, (_, name) => (name === 'n' ? '0' : crypto.randomUUID()));
  const bodyOf = ({ operation }: Route) => (operation.requestBody ? {} : undefined);

  test('refuses who has no credential', async () => {
    assert.ok(routes.length > 10);
    const open: string[] = [];
    for (const each of routes) {
      const answer = await call(gateway, each.method, pathOf(each), bodyOf(each));
      if (answer.status !== 401 || answer.json.error.code !== 'unauthenticated') open.push(nameOf(each));
    }
    assert.deepEqual(open.sort(), [...OPEN].sort());
  });

  test('refuses a key that may only read wherever something is changed', async () => {
    const { call: asReader } = await keyHolder(world, ['read']);
    for (const each of routes.filter(({ method }) => method !== 'GET')) {
      if (OPEN.includes(nameOf(each)) || READERS_CHANGE.includes(nameOf(each))) continue;
      assert.equal(codeOf(await asReader(each.method, pathOf(each), bodyOf(each))), '403 forbidden', nameOf(each));
    }
  });

  test('refuses a session without its CSRF token wherever something may change', async () => {
    const { cookie } = await signIn(world);
    for (const each of routes.filter(({ method }) => method !== 'GET')) {
      if (OPEN.includes(nameOf(each))) continue;
      const answer = await call(gateway, each.method, pathOf(each), bodyOf(each), { cookie, origin: gateway });
      assert.equal(codeOf(answer), '403 csrf_refused', nameOf(each));
    }
  });

  test('refuses a query that it does not know', async () => {
    const { call: asKey } = await keyHolder(world, ['read', 'write']);
    for (const each of routes) {
      if (nameOf(each) === 'GET /v1/media/{message}/{n}') continue;
      const answer = await asKey(each.method, `${pathOf(each)}?surprise=1`, bodyOf(each));
      // What is missing in the path or the body may be said first.
      const isRefused = ['422 invalid_request', '404 not_found'].includes(codeOf(answer));
      assert.ok(isRefused, `${nameOf(each)} answered ${codeOf(answer)}`);
    }
  });

  test('is never our fault, whatever stands in an address', async () => {
    const { key } = await keyHolder(world, ['read', 'write']);
    const nasty = [
      ...['%00', 'a%00b', '%ed%a0%80', '%ff', '%', '%25', '1e308', '-1e308', 'NaN', '9007199254740993', '-1', '0x10'],
      ...[
        "'",
        '%22',
        '%5c',
        '%5c0',
        '%7b%7d',
        '[object+Object]',
        '__proto__',
        '2026-13-45T99:99:99Z',
        '9999d',
        '00000000-0000-0000-0000-000000000000',
      ],
      ...[
        '9999-12-31T23:59:59Z',
        '9999-12-31T23:59:59-12:00',
        '0000-01-01T00:00:00Z',
        'ffffffff-ffff-ffff-ffff-ffffffffffff',
        '%f0%9f%a6%8a'.repeat(10),
        'x'.repeat(12_000),
      ],
    ];
    const ask = async (path: string) => {
      const over = new AbortController();
      const headers = { authorization: `Bearer ${key}` };
      const response = await fetch(gateway + path, { headers, signal: over.signal });
      // A stream of events would go on.
      const { status } = response;
      if (status >= 500) assert.fail(`${path.slice(0, 200)} was answered ${status}: ${await response.text()}`);
      over.abort();
    };
    let asked = 0;
    for (const each of routes.filter(({ method }) => method === 'GET')) {
      const names = (where: string) =>
        (each.operation.parameters ?? []).filter((one) => one.in === where).map(({ name }) => name);
      const queries = names('query').flatMap((name) => [
        ...nasty.map((value) => `${name}=${value}`),
        ...[`${name}=1&${name}=2`, `${name}[]=1`, `${name}[a]=1`, name],
      ]);
      const paths = names('path').flatMap((name) =>
        nasty.map((value) => each.path.replace(`{${name}}`, value).replace(/\{(\w+)\}/g, () => crypto.randomUUID())),
      );
      const addresses = [...paths, ...queries.map((query) => `${pathOf(each)}?${query}`)];
      for (let n = 0; n < addresses.length; n += 16) await Promise.all(addresses.slice(n, n + 16).map(ask));
      asked += addresses.length;
    }
    assert.ok(asked > 500, String(asked));
  });

  test('names the parameter that cannot be stored', async () => {
    const { call: asKey } = await keyHolder(world, ['read']);
    for (const [path, param] of [
      ['/v1/conversations?number=%00', 'number'],
      ['/v1/agents?type=chat%00', 'type'],
      ['/v1/agents?name=%00', 'name'],
    ] as const) {
      const answer = await asKey('GET', path);
      assert.deepEqual([codeOf(answer), answer.json.error.param], ['422 invalid_request', param]);
    }
  });

  test('refuses with what its description names, whoever asks', async () => {
    const line = await world.line();
    await line.agent(() => 'Hello.');
    const person = line.person();
    await person.text('Hi');
    await person.next();
    const [there] = await world.sql<
      { id: string }[]
    >`select id from conversations where their_address = ${person.phone}`;
    const { call: asKey } = await keyHolder(world, ['read', 'write']);
    const { call: asReader } = await keyHolder(world, ['read']);
    const { cookie, call: asOperator } = await signIn(world);
    const callers: Caller[] = [
      asKey,
      asReader,
      asOperator,
      (method, path, body) => call(gateway, method, path, body),
      (method, path, body) => call(gateway, method, path, body, { cookie, origin: 'https://elsewhere.example' }),
    ];
    const unnamed = new Set<string>();
    for (const each of routes.filter(({ path }) => path !== '/v1/session')) {
      const isPost = each.operation.operationId === 'post_conversations_id_messages';
      const path = each.path.startsWith('/v1/conversations') ? each.path.replace('{id}', there!.id) : pathOf(each);
      for (const caller of callers) {
        // A stream of events would go on.
        if (path === '/v1/events' && caller !== callers.at(-1)) continue;
        const answer = await caller(each.method, path, isPost ? { text: 'Hello.' } : bodyOf(each));
        const named = each.operation.responses[answer.status]?.description;
        if (answer.status >= 400 && !named?.includes(`\`${answer.json.error.code}\``))
          unnamed.add(`${nameOf(each)}: ${codeOf(answer)}`);
        // The next one finds it as it was.
        if (path.endsWith('/takeover') && each.method === 'POST') await caller('DELETE', path);
      }
    }
    assert.deepEqual([...unnamed], []);
  });

  test('gives each its own name, and says what can go wrong', async () => {
    const ids = routes.map(({ operation }) => operation.operationId);
    assert.deepEqual([...new Set(ids)], ids);
    const { text } = await call(gateway, 'GET', '/docs', undefined, { accept: 'text/html' });
    for (const id of ids) assert.ok(text.includes(`id="${id}"`), id);
    for (const { method, path } of routes) {
      const request = `curl ${method === 'GET' ? '' : `-X ${method} `}&quot;$DARKSPERE_URL${path.replace(/\{(\w+)\}/g, (_, name: string) => `$${name.toUpperCase()}`)}`;
      assert.ok(text.includes(request), `${request} is not on the page`);
    }
    assert.match(text, /-d &#39;\{&quot;text&quot;:&quot;…&quot;\}&#39;/);
    const { text: list } = await call(gateway, 'GET', '/llms.txt');
    for (const { method, path } of routes) assert.ok(list.includes(`[${method} ${path}]`), path);
  });
});
