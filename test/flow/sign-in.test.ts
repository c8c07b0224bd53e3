// Who may call the API: sessions of the console, keys of programs, and everybody who is neither.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createLoginToken } from '../../src/security/sessions.ts';
import { type Answer, call } from '../support/operator.ts';
import { startWorld, type World } from '../support/world.ts';

describe('signing in', () => {
  let world: World;
  let gateway: string;
  before(async () => {
    world = await startWorld();
    gateway = world.urls.gateway!;
  });
  after(() => world.stop());

  const login = (token: string, headers: Record<string, string> = {}) =>
    call(gateway, 'POST', '/v1/login', { token }, headers);
  const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;

  test('a token signs in once; the cookie is out of reach for pages and other sites', async () => {
    const { token } = await createLoginToken(world.database.pools.admin);
    const first = await login(token);
    assert.equal(first.status, 204);
    const cookie = first.headers.get('set-cookie')!;
    assert.match(
      cookie,
      new RegExp(`^darkspere-${new URL(gateway).port}=dss_[\\w-]{43}; Path=/; Expires=[^;]+; HttpOnly; SameSite=Lax$`),
    );
    assert.equal(codeOf(await login(token)), '401 login_token_invalid');
  });

  test('of two that use one token at once one is signed in', async () => {
    const { token } = await createLoginToken(world.database.pools.admin);
    const all = await Promise.all(Array.from({ length: 8 }, () => login(token)));
    assert.deepEqual(all.map(({ status }) => status).sort(), [204, ...Array(7).fill(401)]);
  });
});
