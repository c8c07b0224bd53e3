// The disk that can be full is full, and is not any more.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startEmbedded } from '../../src/database/embedded.ts';
import { migrate } from '../../src/database/migrate.ts';
import { openSql } from '../../src/database/pools.ts';
import { type Disk, mountDisk, pretendDisk } from './disk.ts';

const WAYS = {
  // Where nothing may be mounted this is the pretended one again, as in a run there.
  mounted: mountDisk,
  pretended: async () => null,
};

describe('a full disk', () => {
  for (const [way, mount] of Object.entries(WAYS)) {
    it(`(${way}) refuses what needs room with 53100 and takes it again when there is some`, async () => {
      await using stack = new AsyncDisposableStack();
      const dataDir = await mkdtemp(join(tmpdir(), 'darkspere-chaos-'));
      stack.defer(() => rm(dataDir, { recursive: true, force: true }));
      const server = await startEmbedded({ dataDir, settings: { fsync: 'off' } });
      stack.defer(() => server.stop());
      const mounted = await mount(stack, server, dataDir);
      await migrate(server.connection);
      const sql = openSql(server.connection, { max: 1 });
      stack.defer(() => sql.end());
      const disk: Disk = mounted ?? (await pretendDisk(sql));
      const write = () => sql`
        insert into messages (conversation_id, direction, kind, body)
        select new_id(), 'in', 'text', repeat('x', 1000) from generate_series(1, 5000)`;
      await write();
      await disk.fill();
      await assert.rejects(write(), { code: '53100' });
      await disk.free();
      await write();
      const [row] = await sql`select count(*)::int as n from messages`;
      assert.equal(row?.n, 10_000);
    });
  }
});
