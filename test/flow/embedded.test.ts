import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseConnection } from '../../src/database/connection.ts';
import { isPostmaster } from '../../src/database/embedded/postmaster.ts';
import { type Embedded, startEmbedded } from '../../src/database/embedded.ts';
import { openSql } from '../../src/database/pools.ts';
import { until } from '../support/until.ts';

const COPY = fileURLToPath(new URL('../support/embedded-process.ts', import.meta.url));

let folder: string;
let dataDir: string;
let embedded: Embedded | undefined;
let copies: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'darkspere-test-'));
  await chmod(folder, 0o755);
  dataDir = join(folder, '.darkspere');
  embedded = undefined;
  copies = [];
});

afterEach(async () => {
  await embedded?.stop();
  for (const copy of copies) {
    if (copy.exitCode !== null || copy.signalCode !== null) continue;
    copy.kill('SIGTERM');
    await once(copy, 'exit');
  }
  // As root the cluster may have been put where its user can reach it.
  const home = clusterHome();
  if (home !== undefined) await rm(home, { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
});

function clusterHome(): string | undefined {
  try {
    return realpathSync(join(dataDir, 'postgres'));
  } catch {
    return undefined;
  }
}

const serverData = () => join(clusterHome()!, 'data');

/** Starts a copy in a process of its own and waits for what it says. */
async function startCopy(): Promise<{ copy: ChildProcess; said: { pid?: number; url?: string; code?: string } }> {
  const copy = spawn(process.execPath, [COPY, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  copies.push(copy);
  const [line] = (await once(createInterface(copy.stdout!), 'line')) as [string];
  return { copy, said: JSON.parse(line) };
}

async function kill(process: ChildProcess): Promise<void> {
  process.kill('SIGKILL');
  await once(process, 'exit');
}

/** What the table `proof` holds, after adding one row. */
async function addProof(url: string): Promise<number> {
  const sql = openSql(parseConnection(url), { max: 1 });
  try {
    await sql`create table if not exists proof (at timestamptz default clock_timestamp())`;
    await sql`insert into proof default values`;
    const [row] = await sql<{ count: number }[]>`select count(*) from proof`;
    return row!.count;
  } finally {
    await sql.end();
  }
}

test('a cluster is made, stops with the program and keeps its rows', async () => {
  embedded = await startEmbedded({ dataDir });
  const first = embedded.pid;
  assert.equal(await addProof(embedded.url), 1);
  await embedded.stop();
  assert.equal(isPostmaster(first, serverData()), false);
  embedded = await startEmbedded({ dataDir });
  assert.notEqual(embedded.pid, first);
  assert.equal(await addProof(embedded.url), 2);
});

test('after kill -9 the server that was left running is adopted', async () => {
  const { copy, said } = await startCopy();
  await addProof(said.url!);
  await kill(copy);
  embedded = await startEmbedded({ dataDir });
  assert.equal(embedded.pid, said.pid);
  assert.equal(await addProof(embedded.url), 2);
  await embedded.stop();
  assert.equal(isPostmaster(said.pid!, serverData()), false);
});

test('a second copy is refused and the first does not notice', async () => {
  embedded = await startEmbedded({ dataDir });
  await assert.rejects(startEmbedded({ dataDir }), { code: 'database_in_use' });
  const { said } = await startCopy();
  assert.equal(said.code, 'database_in_use');
  assert.equal(await addProof(embedded.url), 1);
});

test('of copies that make their first start at the same time exactly one wins', async () => {
  const started = await Promise.all([startCopy(), startCopy(), startCopy()]);
  const winners = started.filter(({ said }) => said.url !== undefined);
  assert.equal(winners.length, 1);
  assert.deepEqual(
    started.flatMap(({ said }) => said.code ?? []),
    ['database_in_use', 'database_in_use'],
  );
  assert.equal(await addProof(winners[0]!.said.url!), 1);
});

test('a power cut leaves a pid file whose number belongs to another program by now', async () => {
  const { copy, said } = await startCopy();
  await addProof(said.url!);
  process.kill(said.pid!, 'SIGSTOP');
  await kill(copy);
  process.kill(said.pid!, 'SIGKILL');
  await until(() => !isPostmaster(said.pid!, serverData()));
  const pidFile = join(serverData(), 'postmaster.pid');
  writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, String(process.pid)));
  embedded = await startEmbedded({ dataDir });
  assert.equal(await addProof(embedded.url), 2);
});

test('a server that was killed with its owner recovers what it had acknowledged', async () => {
  const { copy, said } = await startCopy();
  for (let count = 1; count <= 20; count += 1) assert.equal(await addProof(said.url!), count);
  copy.kill('SIGKILL');
  process.kill(said.pid!, 'SIGKILL');
  embedded = await startEmbedded({ dataDir });
  assert.equal(await addProof(embedded.url), 21);
});

test('a server that dies under its owner is started again at the same address', async () => {
  embedded = await startEmbedded({ dataDir });
  const { url, pid } = embedded;
  await addProof(url);
  process.kill(pid, 'SIGKILL');
  assert.equal(await until(() => addProof(url), { timeoutMs: 30_000 }), 2);
  await until(() => embedded!.pid !== pid);
  // The new server is owned like the old one.
  await until(() =>
    startEmbedded({ dataDir }).then(
      () => false,
      (error) => error.code === 'database_in_use',
    ),
  );
});

test('an owner that adopted its server and loses it starts another', async () => {
  const { copy, said } = await startCopy();
  await kill(copy);
  embedded = await startEmbedded({ dataDir });
  process.kill(said.pid!, 'SIGKILL');
  await until(() => addProof(embedded!.url), { timeoutMs: 30_000 });
  assert.notEqual(embedded.pid, said.pid);
});

test('an owner in another container keeps us out while it lives, and no longer', async () => {
  embedded = await startEmbedded({ dataDir });
  await embedded.stop();
  embedded = undefined;
  const owner = join(clusterHome()!, 'owner');
  writeFileSync(owner, 'another-container pid:[1]\n');
  const touch = setInterval(() => writeFileSync(owner, 'another-container pid:[1]\n'), 100);
  try {
    await assert.rejects(startEmbedded({ dataDir }), { code: 'database_in_use', message: /another container/ });
  } finally {
    clearInterval(touch);
  }
  embedded = await startEmbedded({ dataDir });
  assert.equal(await addProof(embedded.url), 1);
});

test('a cluster of another major version is refused by name', async () => {
  embedded = await startEmbedded({ dataDir });
  await embedded.stop();
  embedded = undefined;
  writeFileSync(join(serverData(), 'PG_VERSION'), '17\n');
  await assert.rejects(startEmbedded({ dataDir }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'database_version');
    assert.match(error.message, /PostgreSQL 17 .* PostgreSQL 18/);
    return true;
  });
});

test('a server that cannot start says why in its own words', async () => {
  embedded = await startEmbedded({ dataDir });
  await embedded.stop();
  embedded = undefined;
  await assert.rejects(
    startEmbedded({ dataDir, settings: { shared_buffers: 'plenty' } }),
    (error: Error & { code: string }) => {
      assert.equal(error.code, 'database_start_failed');
      assert.match(error.message, /shared_buffers/);
      return true;
    },
  );
});

test('a first start that is killed half way leaves nothing in the way', async () => {
  const copy = spawn(process.execPath, [COPY, dataDir], { stdio: 'ignore' });
  copies.push(copy);
  const staged = () => readdirSync(dataDir).filter((name) => name.startsWith('.new-'));
  await until(() => staged().some((name) => readdirSync(join(dataDir, name, 'data')).length > 0), { intervalMs: 1 });
  await kill(copy);
  assert.equal(staged().length, 1);
  embedded = await startEmbedded({ dataDir });
  assert.equal(await addProof(embedded.url), 1);
  await embedded.stop();
  embedded = await startEmbedded({ dataDir });
  assert.equal(await addProof(embedded.url), 2);
});

test('a project in a home folder that only its owner can enter works', async () => {
  await chmod(folder, 0o700);
  embedded = await startEmbedded({ dataDir });
  assert.equal(await addProof(embedded.url), 1);
  await embedded.stop();
  embedded = await startEmbedded({ dataDir });
  assert.equal(await addProof(embedded.url), 2);
});

test('neither the statement nor the detail of an error reaches the server log', async () => {
  embedded = await startEmbedded({ dataDir });
  const sql = openSql(embedded.connection, { max: 1 });
  await sql`create table secret (body text primary key)`;
  await sql`insert into secret values ('+15550100')`;
  await assert.rejects(sql`insert into secret values ('+15550100')`, { code: '23505' });
  await sql.end();
  const log = readFileSync(join(clusterHome()!, 'server.log'), 'utf8');
  assert.match(log, /duplicate key/);
  assert.doesNotMatch(log, /15550100/);
});
