import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Connection, connectionUrl, parseConnection } from './connection.ts';

const CASES: [url: string, expected: Partial<Connection>][] = [
  [
    'postgres://me:pw@db.example:6543/app',
    { host: 'db.example', port: 6543, user: 'me', password: 'pw', database: 'app' },
  ],
  ['postgresql://me@db.example', { port: 5432, user: 'me', password: undefined, database: 'me' }],
  ['postgres://me:p%40ss%3A@h/app', { password: 'p@ss:' }],
  ['postgres://me:pw@%2Ftmp%2Fpg/app', { host: '/tmp/pg', port: 5432 }],
  ['postgres://me:pw@/app?host=/tmp/pg&port=5433', { host: '/tmp/pg', port: 5433, database: 'app' }],
  ['postgres://me:pw@[::1]:5433/app', { host: '::1', port: 5433 }],
  ['postgres:///app?user=me', { host: 'localhost', user: 'me', database: 'app' }],
  [
    'postgres://me:pw@a,b:6543,[::1]:7000/app?target_session_attrs=read-write',
    {
      host: 'a',
      port: 5432,
      others: [
        { host: 'b', port: 6543 },
        { host: '::1', port: 7000 },
      ],
      password: 'pw',
    },
  ],
  ['postgres://me@/app?host=a,b&port=1,2', { host: 'a', port: 1, others: [{ host: 'b', port: 2 }] }],
  ['postgres://me@/app?host=a,b&port=7', { host: 'a', port: 7, others: [{ host: 'b', port: 7 }] }],
  ['postgres://me@h/app?sslmode=require', { tls: { rejectUnauthorized: false } }],
  ['postgres://me@h/app?sslmode=verify-full', { tls: { rejectUnauthorized: true } }],
];

for (const [url, expected] of CASES) {
  test(`${url} is read as libpq reads it`, () => {
    const found = parseConnection(url);
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(found[key as keyof Connection], value, key);
  });
}

test('no TLS is asked for unless the URL does', () => {
  assert.equal('tls' in parseConnection('postgres://me@h/app'), false);
  assert.equal('tls' in parseConnection('postgres://me@h/app?sslmode=disable'), false);
});

for (const url of [
  '',
  'mysql://me:hunter2@h/app',
  'me:hunter2@h',
  'postgres://me:hunter2@h:0/a',
  'postgres://me:hunter2@h/a?sslmode=maybe',
  'postgres://me:hunter2@h/a?sslmode=verify-full&sslrootcert=/no/such/file',
  'postgres://me:hunter2@a,b:0/a',
  'postgres://me:hunter2@/a?host=a,b,c&port=1,2',
  'postgres://me:hunter2@a,b/a?target_session_attrs=standby',
]) {
  test(`"${url}" is refused without repeating the password`, () => {
    assert.throws(
      () => parseConnection(url),
      (error: Error & { code: string; param: string }) => {
        assert.equal(error.code, 'config_invalid');
        assert.equal(error.param, 'DATABASE_URL');
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
    );
  });
}

test('several hosts survive their URL', () => {
  const connection = {
    host: 'a',
    port: 1,
    others: [{ host: '/tmp/pg', port: 5432 }],
    user: 'me',
    password: 'pw',
    database: 'app',
  };
  assert.deepEqual(parseConnection(connectionUrl(connection)), connection);
});

test('a connection survives its URL, whatever characters it has', () => {
  const name = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
  const host = fc.oneof(fc.constantFrom('localhost', 'db.example', '/tmp/a b/pg'), fc.constant('/run/ä?#@:'));
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), name, name, name, (at, port, user, password, database) => {
      const connection = { host: at, port: at.startsWith('/') ? 5432 : port, user, password, database };
      assert.deepEqual(parseConnection(connectionUrl(connection)), connection);
    }),
  );
});
