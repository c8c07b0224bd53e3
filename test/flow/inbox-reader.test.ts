// What the console asks ends with the one who asked, and never keeps a text waiting.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import fastify, { type FastifyReply } from 'fastify';
import { readerOf } from '../../src/http/api/conversations.ts';
import { rowsOf } from '../../src/inbox/reader.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { inboxOf } from '../support/inbox.ts';
import { until } from '../support/until.ts';

describe('a question of the console', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  const running = async () =>
    (
      await db.admin`
        select from pg_stat_activity where datname = current_database() and application_name = 'darkspere_console'
          and state = 'active' and query like '%pg_sleep%'`
    ).length;

  it('is not asked for a client that has left before', async () => {
    const reply = { raw: Object.assign(new EventEmitter(), { destroyed: true }) } as unknown as FastifyReply;
    const reader = readerOf(inboxOf(db), reply);
    await assert.rejects(rowsOf(reader, reader.sql<object[]>`select 1`), { code: 'query_too_slow' });
  });

  it('ends in the database when the client closes its connection', async () => {
    const app = fastify();
    const ends: string[] = [];
    app.get('/', async (_request, reply) => {
      const reader = readerOf(inboxOf(db), reply);
      await rowsOf(reader, reader.sql<object[]>`select pg_sleep(30)`).catch((error) => ends.push(error.code));
      return {};
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    try {
      const { port } = app.server.address() as AddressInfo;
      const client = httpRequest({ port, host: '127.0.0.1' }).on('error', () => {});
      client.end();
      await until(async () => (await running()) === 1, { what: 'the question in the database' });
      client.destroy();
      await until(async () => (await running()) === 0, { what: 'its end', timeoutMs: 5_000 });
      await until(() => ends.length === 1, { what: 'the answer to the handler' });
      assert.deepEqual(ends, ['query_too_slow']);
    } finally {
      await app.close();
    }
  });

  it('is asked again when it was cancelled in place of one whose client has gone', async () => {
    const { reader } = inboxOf(db);
    const word = 'the answer';
    const asked = rowsOf(reader, reader.sql<{ said: string }[]>`select ${word} as said, pg_sleep(0.5)`);
    await until(async () => (await running()) === 1, { what: 'the question in the database' });
    await db.admin`
      select pg_cancel_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'darkspere_console' and query like '%pg_sleep%'`;
    assert.equal((await asked)[0]!.said, word);
  });

  it('ends alone: others on the same few connections are answered', async () => {
    const gone = new AbortController();
    const { reader } = inboxOf(db);
    const slow = Array.from({ length: 3 }, () =>
      rowsOf({ ...reader, signal: gone.signal }, reader.sql<object[]>`select pg_sleep(30)`).then(
        () => 'answered',
        (error) => error.code as string,
      ),
    );
    await until(async () => (await running()) === 3, { what: 'all connections of the console in use' });
    const others = Array.from({ length: 5 }, (_, n) =>
      rowsOf(reader, reader.sql<{ n: number }[]>`select ${n}::int as n`),
    );
    // Texts have connections of their own.
    assert.deepEqual([...(await db.pools.web`select 1 as one`)], [{ one: 1 }]);
    gone.abort();
    assert.deepEqual(await Promise.all(slow), Array(3).fill('query_too_slow'));
    assert.deepEqual(
      (await Promise.all(others)).map(([row]) => row!.n),
      [0, 1, 2, 3, 4],
    );
  });

  it('is not waited for when it takes longer than five seconds', async () => {
    const { reader } = inboxOf(db);
    await assert.rejects(rowsOf(reader, reader.sql<object[]>`select pg_sleep(30)`), {
      code: 'query_too_slow',
      status: 503,
    });
  });
});
