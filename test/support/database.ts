import { randomBytes } from 'node:crypto';
import { after } from 'node:test';
import { type Connection, connectionUrl, parseConnection } from '../../src/database/connection.ts';
import { openPools, openSql, type PoolSizes, type Pools, type Sql } from '../../src/database/pools.ts';
import { onServer, startTestServer, TEMPLATE, type TestServer } from './server.ts';

export type TestDatabase = {
  url: string;
  connection: Connection;
  pools: Pools;
  /** The owner of everything, bound by no role: for arranging and looking. */
  admin: Sql;
  drop(): Promise<void>;
};

let started: Promise<TestServer> | undefined;

// At the top level of the importing file, so that it runs after the last of its tests.
after(async () => {
  await (await started)?.stop();
});

/** The runner's server; a file that is run by itself starts one and stops it at its end. */
async function serverUrl(): Promise<string> {
  const given = process.env.DARKSPERE_TEST_SERVER;
  if (given !== undefined) return given;
  started ??= startTestServer();
  return (await started).url;
}

/** A database with nothing in it: for what migrates by itself. */
export async function emptyDatabase(): Promise<{ connection: Connection; drop(): Promise<void> }> {
  const at = parseConnection(await serverUrl());
  const name = newName();
  await onServer(at, `create database ${name} encoding 'UTF8' template template0`);
  return {
    connection: { ...at, database: name },
    drop: () => onServer(at, `drop database if exists ${name} with (force)`),
  };
}

const newName = () => `test_${randomBytes(6).toString('hex')}`;

/** A migrated database of the caller's own, cloned from the template; `drop` ends its connections and removes it. */
export async function freshDatabase(sizes: PoolSizes = { web: 4, worker: 4, admin: 2 }): Promise<TestDatabase> {
  const at = parseConnection(await serverUrl());
  const name = newName();
  // File by file: the default writes the whole copy to the log as well.
  await onServer(at, `create database ${name} template ${TEMPLATE} strategy file_copy`);
  const connection = { ...at, database: name };
  const admin = openSql(connection, { max: 2 });
  const pools = await openPools(connection, sizes);
  return {
    url: connectionUrl(connection),
    connection,
    pools,
    admin,
    async drop() {
      await Promise.all([pools.close(), admin.end({ timeout: 5 })]);
      await onServer(at, `drop database if exists ${name} with (force)`);
    },
  };
}
