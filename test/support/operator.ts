// An operator and programs at the gateway of a world, as a browser and as a client of the API.

import { addApiKey } from '../../src/security/api-keys.ts';
import type { Scope } from '../../src/security/principal.ts';
import { createLoginToken } from '../../src/security/sessions.ts';
import type { World } from './world.ts';

/** Tests look into answers of every shape. */
export type Json = ReturnType<typeof JSON.parse>;
export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Json;
};
export type Caller = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer>;

/** One request to the gateway; a body is sent as JSON. */
export async function call(
  gateway: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(gateway + path, {
    method,
    redirect: 'manual',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : null };
}

/** Signs in as a browser does; requests carry the cookie, the CSRF token and the origin of the console. */
export async function signIn(world: World): Promise<{ call: Caller; cookie: string; csrf: string }> {
  const gateway = world.urls.gateway!;
  const { token } = await createLoginToken(world.database.pools.admin);
  const login = await call(gateway, 'POST', '/v1/login', { token });
  if (login.status !== 204) throw new Error(`sign-in was answered ${login.status}: ${login.text}`);
  const cookie = login.headers.get('set-cookie')!.split(';', 1)[0]!;
  const { json } = await call(gateway, 'GET', '/v1/session', undefined, { cookie });
  const headers = { cookie, origin: gateway, 'x-csrf-token': json.csrf_token as string };
  return {
    cookie,
    csrf: json.csrf_token,
    call: (method, path, body, more = {}) => call(gateway, method, path, body, { ...headers, ...more }),
  };
}

let keys = 0;

/** A client with an API key of its own. */
export async function keyHolder(world: World, scopes: readonly Scope[]): Promise<{ call: Caller; key: string }> {
  const { key } = await addApiKey(world.database.pools.admin, { name: `test ${++keys}`, scopes });
  return {
    key,
    call: (method, path, body, more = {}) =>
      call(world.urls.gateway!, method, path, body, { authorization: `Bearer ${key}`, ...more }),
  };
}
