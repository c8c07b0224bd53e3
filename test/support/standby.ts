// A primary and its hot standby, each a real server: what is committed at the one is at the other before it is confirmed.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { connectionUrl } from '../../src/database/connection.ts';
import { type Embedded, startEmbedded } from '../../src/database/embedded.ts';
import { TEST_SETTINGS } from './server.ts';
import { until } from './until.ts';

export type ServerPair = Awaited<ReturnType<typeof startServerPair>>;

export async function startServerPair() {
  const root = mkdtempSync(join(tmpdir(), 'darkspere-pair-'));
  chmodSync(root, 0o755);
  const [one, two] = ['one', 'two'].map((name) => join(root, name)) as [string, string];
  const first = await startEmbedded({ dataDir: one });
  await first.stop();
  copyCluster(one, two);
  const primary = await startEmbedded({ dataDir: one, settings: TEST_SETTINGS });
  const { host, user, password } = primary.connection;
  const standby = await startEmbedded({
    dataDir: two,
    settings: {
      ...TEST_SETTINGS,
      primary_conninfo: `host=${host} user=${user} password=${password} application_name=standby`,
    },
  });
  await onServer(primary, async (client) => {
    const follows = (how: string) =>
      until(async () => (await client.query(`select from pg_stat_replication where ${how}`)).rowCount, {
        what: `a standby with ${how}`,
      });
    await follows(`state = 'streaming'`);
    await client.query(`alter system set synchronous_standby_names = 'standby'`);
    await client.query('select pg_reload_conf()');
    await follows(`sync_state = 'sync'`);
  });

  const { port } = standby.connection;
  return {
    primary,
    standby,
    /** Both hosts, the primary first. */
    url: connectionUrl({ ...primary.connection, others: [{ host: standby.connection.host, port }] }),
    /** The primary goes away and the standby becomes the primary. */
    async failOver(): Promise<void> {
      await primary.stop();
      await onServer(standby, (client) => client.query('select pg_promote()'));
    },
    /** Whether the server that was the standby takes writes. */
    async setReadOnly(isReadOnly: boolean): Promise<void> {
      await onServer(standby, async (client) => {
        await client.query(`alter system set default_transaction_read_only = ${isReadOnly ? 'on' : 'off'}`);
        await client.query('select pg_reload_conf()');
      });
    },
    async stop(): Promise<void> {
      await Promise.all([primary.stop(), standby.stop()]);
      for (const dataDir of [one, two]) rmSync(realpathSync(join(dataDir, 'postgres')), { recursive: true });
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A cluster that was stopped cleanly and copied follows its original when it is told to be a standby. */
function copyCluster(from: string, to: string): void {
  mkdirSync(to, { mode: 0o755 });
  const home = join(to, 'postgres');
  // With its owner: the server runs as whoever that is.
  execFileSync('cp', ['-a', realpathSync(join(from, 'postgres')), home]);
  rmSync(join(home, 'server.log'), { force: true });
  writeFileSync(join(home, 'data', 'standby.signal'), '');
}

/** Our own pools would refuse a standby. */
async function onServer(server: Embedded, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ ...server.connection, database: 'postgres' });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
