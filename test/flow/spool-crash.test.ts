// Gateways that die, hang, share a directory or have no room, while the database is away: every text that was answered 200
// is answered once and in order.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectionUrl } from '../../src/database/connection.ts';
import { freePort } from '../support/free-port.ts';
import { type Installation, install, NOBODYS, OUR_NUMBER, type Program, runProgram } from '../support/program.ts';
import { startProxy, type Wire } from '../support/proxy.ts';
import { newSid, postSigned } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';

const BACK_WITHIN_MS = 30_000;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

type Place = Installation & {
  readonly wire: Wire;
  /** Settings of a gateway whose database can be cut off. */
  readonly shaky: Readonly<Record<string, string>>;
  post(from: string, body: string, options?: { sid?: string; url?: string }): Promise<number>;
};

let people = 0;
const newPhone = () => `+1555060${String(people++).padStart(4, '0')}`;

/** An installation whose gateways have a connection of their own to the database; agents answer with what they are told. */
async function place(t: TestContext): Promise<Place & { readonly rest: Program }> {
  const installed = await install(t, { external: true });
  const { connection } = installed.database!;
  const { host, port } = connection;
  const wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
  t.after(() => wire.down());
  const rest = await installed.start(['worker', 'agent-registration']);
  await installed.agent(rest, ({ message }) => message);
  const { env } = installed;
  const shaky = { DATABASE_URL: connectionUrl({ ...connection, host: '127.0.0.1', port: wire.port }) };
  return {
    ...installed,
    rest,
    wire,
    shaky,
    async post(from, body, { sid = newSid(), url = env.PUBLIC_URL! } = {}) {
      const fields = {
        AccountSid: env.TWILIO_ACCOUNT_SID!,
        MessageSid: sid,
        From: from,
        To: OUR_NUMBER,
        Body: body,
        NumMedia: '0',
      };
      const address = `${url}/webhooks/twilio/messages`;
      return (await postSigned(fields, { authToken: env.TWILIO_AUTH_TOKEN!, url: address })).status;
    },
  };
}

/** Waits until a person has heard this, and no more. */
async function hears(at: Installation, phone: string, words: readonly string[]): Promise<void> {
  const said = () => at.sent(phone).flatMap((body) => body.split('\n'));
  await until(() => said().length >= words.length, {
    timeoutMs: BACK_WITHIN_MS,
    what: `answers to ${words.length} texts`,
  });
  await until(
    async () =>
      (
        await at.database!.admin`
          select 1 from conversations where last_seq > done_seq
          union all select 1 from outbound_parts where state in ('queued', 'sending')`
      ).length === 0,
    { timeoutMs: BACK_WITHIN_MS },
  );
  assert.deepEqual(said(), words);
}

const spooled = async (directory: string) =>
  (await readdir(join(directory, 'spool'), { recursive: true }).catch(() => [])).filter((name) =>
    /@.*\.spool$/.test(name),
  );

describe('a gateway with texts in its spool', () => {
  test('killed in the outage and started again in it: it comes up, takes more, and all are answered in order', async (t) => {
    const at = await place(t);
    const first = await at.start(['gateway'], at.shaky);
    const phone = newPhone();
    assert.equal(await at.post(phone, 'before'), 200);
    await at.wire.down();
    assert.equal(await at.post(phone, 'one'), 200);
    assert.equal(await at.post(phone, 'two'), 200);
    await first.kill('SIGKILL');

    const second = await at.start(['gateway'], at.shaky);
    assert.equal(await at.post(phone, 'three'), 200);
    const answer = await fetch(`${second.urls.gateway}/ready`);
    assert.equal(answer.status, 200);
    assert.deepEqual(((await answer.json()) as { notes: string[] }).notes, [
      'the database does not answer: texts are kept in the spool',
      '3 records wait in the spool',
    ]);
    // A number that nobody here knows yet may be ours: it is not refused for good.
    const foreign = await postSigned(
      { AccountSid: at.env.TWILIO_ACCOUNT_SID!, MessageSid: newSid(), From: phone, To: '+15550009999', Body: 'x' },
      { authToken: at.env.TWILIO_AUTH_TOKEN!, url: `${at.env.PUBLIC_URL}/webhooks/twilio/messages` },
    );
    assert.equal(foreign.status, 503);
    await at.wire.up();
    await hears(at, phone, ['before', 'one', 'two', 'three']);
    assert.equal(await at.post(phone, 'after'), 200);
    await hears(at, phone, ['before', 'one', 'two', 'three', 'after']);
    await until(async () => (await spooled(at.dataDir)).length === 0);
    await second.kill('SIGTERM');
    assert.deepEqual(await second.exited, { code: 0, signal: null });
  });

  test('killed in the middle of draining: nothing is lost and nothing is answered twice', async (t) => {
    const at = await place(t);
    const first = await at.start(['gateway'], at.shaky);
    const [stopper, ...others] = Array.from({ length: 61 }, newPhone);
    assert.equal(await at.post(stopper!, 'before'), 200);
    const { admin } = at.database!;
    // No callback of this answer may lie in the spool: it would wait for the same row.
    await until(async () => (await admin`select from outbound_parts where state = 'delivered'`).length === 1);
    await at.wire.down();
    for (let n = 0; n < 10; n++)
      assert.deepEqual([...new Set(await Promise.all(others.map((phone) => at.post(phone, `${n}`))))], [200]);
    assert.equal(await at.post(stopper!, 'during'), 200);
    // Whoever has this conversation's row holds up the drain when it comes to its text: behind the first chunks.
    const held = Promise.withResolvers<void>();
    const holding = admin.begin(async (tx) => {
      await tx`select from conversations where their_address = ${stopper!} for update`;
      await held.promise;
    });
    await at.wire.up();
    const stored = async () =>
      (await admin`select from messages where direction = 'in' and provider_id is not null`).length;
    await until(async () => (await stored()) === 501, { timeoutMs: BACK_WITHIN_MS, what: 'the first chunks' });
    await first.kill('SIGKILL');
    held.resolve();
    await holding;

    await at.start(['gateway'], at.shaky);
    const words = Array.from({ length: 10 }, (_, n) => `${n}`);
    for (const phone of others) await hears(at, phone, words);
    await hears(at, stopper!, ['before', 'during']);
    assert.equal(await stored(), 602);
  });

  test('suspended until another one took over its spool: it writes nothing there any more', async (t) => {
    const at = await place(t);
    const frozen = await at.start(['gateway'], at.shaky);
    const [one, two] = [newPhone(), newPhone()];
    await at.wire.down();
    assert.equal(await at.post(one, 'before the freeze'), 200);
    await frozen.kill('SIGSTOP');
    const other = `http://localhost:${await freePort()}`;
    await at.start(['gateway'], { PUBLIC_URL: other, PORT: new URL(other).port });
    await hears(at, one, ['before the freeze']);
    await frozen.kill('SIGCONT');
    // Its database is still away.
    assert.equal(await at.post(one, 'after the freeze'), 200);
    assert.equal(await at.post(two, 'hello'), 200);
    assert.equal((await spooled(at.dataDir)).length, 1);
    await at.wire.up();
    await hears(at, one, ['before the freeze', 'after the freeze']);
    await hears(at, two, ['hello']);
  });

  test('beside another one on the same directory: each drains its own, and that of the one that is killed', async (t) => {
    const at = await place(t);
    const otherUrl = `http://localhost:${await freePort()}`;
    const first = await at.start(['gateway'], at.shaky);
    await at.start(['gateway'], { ...at.shaky, PUBLIC_URL: otherUrl, PORT: new URL(otherUrl).port });
    const pairs = Array.from({ length: 10 }, () => [newPhone(), newPhone()] as const);
    await at.wire.down();
    for (const words of ['one', 'two', 'three']) {
      for (const [here, there] of pairs) {
        assert.equal(await at.post(here, words), 200);
        assert.equal(await at.post(there, words, { url: otherUrl }), 200);
      }
    }
    assert.equal((await spooled(at.dataDir)).length, 2);
    await first.kill('SIGKILL');
    await at.wire.up();
    for (const phone of pairs.flat()) await hears(at, phone, ['one', 'two', 'three']);
    await until(async () => (await spooled(at.dataDir)).length === 0);
  });

  test('started in the outage on a database of a newer release: it ends as soon as it sees that, and keeps what it took', async (t) => {
    const at = await place(t);
    await at.wire.down();
    const gateway = await at.start(['gateway'], at.shaky);
    assert.equal(await at.post(newPhone(), 'hello'), 200);
    await at.database!.admin`insert into schema_migrations (name, checksum) values ('9999-later.sql', 'x')`;
    await at.wire.up();
    assert.deepEqual(await gateway.exited, { code: 1, signal: null });
    assert.match(gateway.output(), /9999-later\.sql/);
    assert.equal((await spooled(at.dataDir)).length, 1);
  });

  test('told to stop: drained when the database is there, kept for the next start when it is not', async (t) => {
    const at = await place(t);
    const phone = newPhone();
    const first = await at.start(['gateway'], at.shaky);
    await at.wire.down();
    assert.equal(await at.post(phone, 'one'), 200);
    await first.kill('SIGTERM');
    assert.deepEqual(await first.exited, { code: 0, signal: null });
    assert.match(first.output(), /texts stay in the spool for the next start/);
    assert.equal((await spooled(at.dataDir)).length, 1);
    await at.wire.up();
    const second = await at.start(['gateway'], at.shaky);
    await hears(at, phone, ['one']);
    await second.kill('SIGTERM');
    assert.deepEqual(await second.exited, { code: 0, signal: null });
    assert.deepEqual(await readdir(join(at.dataDir, 'spool')), []);
  });

  test('on a disk that hangs: the process goes on, and texts that follow none in the spool are answered', async (t) => {
    const at = await place(t);
    const gateway = await at.start(['gateway'], at.shaky);
    // Whoever opens a pipe that nobody writes to waits, as for a disk that hangs.
    const pipe = join(at.dataDir, 'spool', 'somebody.owner');
    await promisify(execFile)('mkfifo', [pipe]);
    await until(() => gateway.output().includes('The disk does not answer'), { timeoutMs: BACK_WITHIN_MS });
    const [early, late] = [newPhone(), newPhone()];
    await at.wire.down();
    assert.equal(await at.post(early, 'one'), 200);
    await at.wire.up();
    const stored = async () => (await at.database!.admin`select from messages where direction = 'in'`).length;
    await until(async () => (await at.post(newPhone(), 'hello')) === 200 && (await stored()) > 0, {
      timeoutMs: BACK_WITHIN_MS,
      what: 'a text that goes to the database',
    });
    assert.equal(await at.post(late, 'two'), 200);
    await hears(at, late, ['two']);
    assert.deepEqual(at.sent(early), []);
    const end = await open(pipe, 'w');
    await rm(pipe);
    await end.close();
    await hears(at, early, ['one']);
  });

  test('on a disk without room: what does not fit is refused, what fits is answered', async (t) => {
    const at = await place(t);
    // No file of this process grows beyond a kilobyte: a write ends early, as on a full disk.
    const child = spawn('bash', ['-c', 'ulimit -f 1; exec "$0" "$@"', process.execPath, MAIN, 'start', 'gateway'], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...NOBODYS, ...at.env, ...at.shaky },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const exited = once(child, 'exit');
    t.after(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    await until(() => output.includes('Darkspere is ready') || child.exitCode !== null, { timeoutMs: BACK_WITHIN_MS });
    const [small, large] = [newPhone(), newPhone()];
    await at.wire.down();
    assert.equal(await at.post(small, 'one'), 200, output);
    assert.equal(await at.post(large, 'x'.repeat(2_000)), 503);
    assert.equal(await at.post(small, 'two'), 200);
    await at.wire.up();
    await hears(at, small, ['one', 'two']);
    assert.deepEqual(at.sent(large), []);
    assert.doesNotMatch(output, /damaged|within a record/);
  });
});

describe('a gateway that cannot use its spool', () => {
  test('does not start: exit code 2, and the message names the variable', async (t) => {
    const at = await install(t, { external: true });
    const file = join(at.dataDir, 'file');
    await mkdir(at.dataDir, { recursive: true });
    await writeFile(file, '');
    const spool = join(file, 'spool');
    const { output, exited } = runProgram(['start', 'gateway'], { ...at.env, DARKSPERE_SPOOL_DIR: spool });
    assert.deepEqual(await exited, { code: 2, signal: null }, output());
    assert.match(output(), /spool_unusable/);
    assert.match(output(), /DARKSPERE_SPOOL_DIR/);
    assert.doesNotMatch(output(), /is ready/);
  });

  test('and has no database either, does not start; nor does one whose login is wrong', async (t) => {
    const at = await install(t, { external: true });
    const nowhere = 'postgres://somebody:not-for-the-log@127.0.0.1:1/darkspere';
    const without = runProgram(['start', 'gateway'], {
      ...at.env,
      DATABASE_URL: nowhere,
      DARKSPERE_SPOOL_MAX_MB: '0',
    });
    assert.notEqual((await without.exited).code, 0);
    assert.match(without.output(), /database_unreachable/);
    const missing = runProgram(['start', 'gateway'], {
      ...at.env,
      DATABASE_URL: connectionUrl({ ...at.database!.connection, database: 'there_is_none' }),
    });
    assert.notEqual((await missing.exited).code, 0);
    assert.match(missing.output(), /database_unreachable/);
  });
});
