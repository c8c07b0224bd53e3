// Every route of /v1, as the OpenAPI document lists them: none is open that should not be, and none is missing from the paper.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, call, keyHolder, signIn } from '../support/operator.ts';
import { startWorld, type World } from '../support/world.ts';

type Operation = { readonly operationId: string; readonly security?: readonly object[]; readonly requestBody?: object };
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
