// Connections that break under the writes of agents' health: every write ends, and the process lives. With a transaction of
// the driver's it would not: see the comment of `store` in src/agents/health-recorder.ts.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Agent } from '../../src/agents/agent.ts';
import { createHealthRecorder, type HealthRecorder } from '../../src/agents/health-recorder.ts';
import { openSql, type Sql } from '../../src/database/pools.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startProxy, type Wire } from '../support/proxy.ts';

const ROUNDS = 15;

describe('the health of agents', () => {
  let db: TestDatabase;
  let wire: Wire;
  let sql: Sql;
  before(async () => {
    db = await freshDatabase();
    const { connection } = db;
    const { host, port } = connection;
    wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    sql = openSql({ ...connection, host: '127.0.0.1', port: wire.port }, { role: 'darkspere_worker', max: 4 });
  });
  after(async () => {
    await sql.end({ timeout: 1 });
    await wire.down();
    await db.drop();
  });

  /** An agent in the database, and a recorder that knows it. */
  async function anAgent(): Promise<{ id: string; recorder: HealthRecorder; errors: unknown[] }> {
    const id = randomUUID();
    await db.admin`
      insert into agent_registry (id, name, endpoint_url, api_key_hash, secrets)
      values (${id}, 'Shaky', 'http://127.0.0.1:1/', decode(md5(${id}), 'hex'), '')`;
    const errors: unknown[] = [];
    const registry = { find: () => ({ id, status: 'degraded' }) as Agent, patch: () => {} };
    return { id, errors, recorder: createHealthRecorder({ sql, registry, onError: (error) => errors.push(error) }) };
  }

  test('is written by several processes at once, and nothing is forgotten', async () => {
    const { id, recorder, errors } = await anAgent();
    const others = Array.from({ length: 3 }, () =>
      createHealthRecorder({
        sql,
        registry: { find: () => null, patch: () => {} },
        onError: (error) => errors.push(error),
      }),
    );
    // Begun after the others were written down: each is a failure of its own.
    const later = new Date(Date.now() + 60_000);
    for (const each of [recorder, ...others]) each.recordFailure(id, 'network', later);
    await Promise.all([recorder, ...others].map((each) => each.close()));
    assert.deepEqual(errors, []);
    const [row] = await db.admin<{ consecutive_failures: number }[]>`
      select consecutive_failures from agent_registry where id = ${id}`;
    assert.equal(row!.consecutive_failures, 4);
  });

  test('is written, or its loss is told, whenever the connection breaks; no write hangs', async () => {
    const { id, recorder, errors } = await anAgent();
    for (let round = 0; round < ROUNDS; round++) {
      recorder.recordFailure(id, 'network', new Date());
      recorder.recordSuccess(id, 5);
      if (round % 3 === 0) await sql`select 1`.catch(() => {});
      else await new Promise((resolve) => setImmediate(resolve));
      wire.dropConnections();
    }
    // With the next write everything before it has ended.
    await recorder.close();
    assert.ok(errors.length > 0, 'no connection broke under a write');
    recorder.recordSuccess(id, 5);
    await recorder.flush();
    const [row] = await db.admin<{ consecutive_failures: number }[]>`
      select consecutive_failures from agent_registry where id = ${id}`;
    assert.equal(row!.consecutive_failures, 0);
  });
});
