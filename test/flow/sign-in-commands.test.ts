// `darkspere login`, `darkspere keys` and the first screen of `darkspere start`, run as an operator runs them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { call } from '../support/operator.ts';
import { install, runProgram } from '../support/program.ts';

async function run(args: readonly string[], env: Readonly<Record<string, string>>) {
  const { child, exited } = runProgram(args, env);
  let [said, complained] = ['', ''];
  child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (complained += chunk.toString()));
  const { code } = await exited;
  return { code, said, complained };
}

describe('keys and login', { concurrency: 2 }, () => {
  let db: TestDatabase;
  let env: Record<string, string>;
  before(async () => {
    db = await freshDatabase({ web: 1, worker: 1, admin: 1 });
    const key = randomBytes(32).toString('base64');
    env = { DATABASE_URL: db.url, DARKSPERE_SECRET_KEY: key, DARKSPERE_CONSOLE_URL: 'http://localhost:1' };
  });
  after(() => db.drop());
  const darkspere = (...args: string[]) => run(args, env);

  test('a key is shown once; lists tell it from others without giving it away', async () => {
    const added = await darkspere('keys', 'add', 'billing export', '--scope', 'read,write');
    assert.equal(added.code, 0, added.complained);
    const key = added.said.trim();
    assert.match(key, /^dsk_[\w-]{43}$/);
    assert.match(added.complained, /read, write.*not shown again/);
    const listed = await darkspere('keys');
    assert.match(listed.said, new RegExp(`^billing export +${key.slice(0, 8)}… +read, write +\\d{4}-`, 'm'));
    const [row] = (await darkspere('keys', 'list', '--json')).said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(Object.keys(row), ['id', 'name', 'hint', 'scopes', 'created_at', 'last_used_at']);
    for (const { said } of [listed, await darkspere('keys', '--help')]) assert.ok(!said.includes(key));

    const twice = await darkspere('keys', 'add', 'billing export');
    assert.deepEqual([twice.code, twice.said], [2, '']);
    assert.match(twice.complained, /^conflict: .*already/);
    const gone = await darkspere('keys', 'revoke', 'billing export', '--json');
    assert.deepEqual([gone.code, JSON.parse(gone.said).id], [0, row.id]);
    assert.equal((await darkspere('keys', 'revoke', row.id)).code, 2);
    // The name is free again.
    const again = await darkspere('keys', 'add', 'billing export', '--json');
    assert.deepEqual([again.code, JSON.parse(again.said).scopes], [0, ['read']]);
    const both = await darkspere('keys', 'add', 'both', '--scope', 'write', '--scope', 'read,send', '--json');
    assert.deepEqual(JSON.parse(both.said).scopes, ['read', 'write', 'send']);
  });

  test('what is wrong in the call is named, with code 2', async () => {
    for (const args of [
      ['keys', 'add', 'x', '--scope', 'admin'],
      ['keys', 'add', ''],
      ['keys', 'add'],
      ['login', 'now'],
    ]) {
      const { code, said, complained } = await darkspere(...args);
      assert.deepEqual([code, said], [2, ''], args.join(' '));
      assert.match(complained, /^error: /);
    }
  });

  test('login prints an address that works once, and says when nobody is there to open it', async () => {
    const text = await darkspere('login');
    assert.match(text.said, /^http:\/\/localhost:1\/login#dsl_[\w-]{43}\n$/);
    assert.match(text.complained, /within 15 minutes[\s\S]*Nothing answers at http:\/\/localhost:1 right now/);
    const { said, code } = await darkspere('login', '--json');
    assert.equal(code, 0);
    const { url, expires_at } = JSON.parse(said);
    assert.notEqual(url, text.said.trim());
    const minutes = (Date.parse(expires_at) - Date.now()) / 60_000;
    assert.ok(minutes > 14 && minutes <= 15.1);
  });
});

test('the first start prints an address that signs in; once somebody has, it prints the plain one', async (t) => {
  const at = await install(t, { external: true, ownSimulator: true });
  const first = await at.start();
  const [, url, token] = /^ {2}(http:\/\/localhost:\d+)\/login#(dsl_[\w-]{43})$/m.exec(first.output()) ?? [];
  assert.equal(url, first.urls.gateway);
  // The log goes to stderr and stdout alike here: the token is in the first screen and nowhere else.
  assert.equal(first.output().split(token!).length, 2);
  assert.equal((await call(url!, 'POST', '/v1/login', { token })).status, 204);
  const fresh = await run(['login', '--json'], at.env);
  const again = JSON.parse(fresh.said).url as string;
  assert.equal((await call(url!, 'POST', '/v1/login', { token: again.split('#')[1] })).status, 204);
  await first.kill('SIGTERM');

  const second = await at.start();
  assert.doesNotMatch(second.output(), /dsl_/);
  assert.match(second.output(), /npx darkspere login/);
  await second.kill('SIGTERM');
});

test('with a real carrier and no terminal nothing that is kept of the start opens the console', async (t) => {
  const at = await install(t, { external: true });
  const program = await at.start();
  assert.doesNotMatch(program.output(), /dsl_|login#/);
  assert.match(program.output(), /npx darkspere login/);
  const { said } = await run(['login', '--json'], at.env);
  const { url } = JSON.parse(said);
  const [gateway, token] = url.split('/login#');
  assert.equal((await call(gateway, 'POST', '/v1/login', { token })).status, 204);
  await program.kill('SIGTERM');
});
