import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, parseConnection } from '../../src/database/connection.ts';
import { startEmbedded } from '../../src/database/embedded.ts';
import { migrate } from '../../src/database/migrate.ts';
import { openSql } from '../../src/database/pools.ts';
import { endWithUs } from './left-behind.ts';

/** A server with the migrated template that every test database is cloned from. */
export type TestServer = { url: string; stop(): Promise<void> };

/** Nothing of a test outlives it, so nothing has to reach the disk. */
export const TEST_SETTINGS = { fsync: 'off', full_page_writes: 'off', shared_buffers: '128MB', max_wal_size: '512MB' };

/** An embedded server of its own in the temporary folder, gone after `stop`. */
export async function startTestServer(): Promise<TestServer & { readonly pid: number }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'darkspere-test-'));
  const isGone = endWithUs({ dataDir });
  const embedded = await startEmbedded({ dataDir, settings: TEST_SETTINGS });
  const stop = async () => {
    await embedded.stop();
    await rm(dataDir, { recursive: true, force: true });
    isGone();
  };
  try {
    await prepareTemplate(embedded.url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: embedded.url, pid: embedded.pid, stop };
}

export const TEMPLATE = 'darkspere_template';

/** Makes the template anew, so that a server which stays from run to run follows the migrations. */
export async function prepareTemplate(url: string): Promise<void> {
  const server = parseConnection(url);
  await onServer(server, `drop database if exists ${TEMPLATE} with (force)`);
  await onServer(server, `create database ${TEMPLATE} encoding 'UTF8' template template0`);
  await migrate({ ...server, database: TEMPLATE });
}

/** One statement in the server's maintenance database. */
export async function onServer(server: Connection, statement: string): Promise<void> {
  const sql = openSql({ ...server, database: 'postgres' }, { max: 1 });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}
