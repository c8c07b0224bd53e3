// What the papers tell people to run is run: the agent of the README, and every statement of the guides.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { newId } from '../../src/ids.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { newSigningSecret, signWebhook } from '../../src/security/standard-webhooks.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { blocks } from '../support/readme.ts';
import { read } from '../support/source-tree.ts';
import { until } from '../support/until.ts';

describe('the agent of the README', () => {
  const secret = newSigningSecret();
  let child: ChildProcess;
  let folder: string;
  let url: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'readme-agent-'));
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    const program = blocks('README.md', 'js')[0] ?? '';
    assert.ok(program.includes('listen(9000,'));
    await writeFile(join(folder, 'agent.mjs'), program.replace('listen(9000,', `listen(${port},`));
    child = spawn(process.execPath, [join(folder, 'agent.mjs')], { env: { SIGNING_SECRET: secret }, stdio: 'ignore' });
    await until(() => ask({}, secret), { what: 'the agent listening' });
  });
  after(async () => {
    child.kill();
    await rm(folder, { recursive: true });
  });

  function ask(payload: object, key: string, at = new Date()): Promise<Response> {
    const id = newId();
    const body = JSON.stringify({ type: 'chat.request', message_id: id, payload });
    return fetch(url, { method: 'POST', body, headers: { ...signWebhook(key, id, at, body) } });
  }

  it('answers what is signed', async () => {
    const answer = await ask({ session_id: 's-1', message: 'hello' }, secret);
    const { type, payload } = (await answer.json()) as { type: string; payload: object };
    assert.deepEqual(
      [answer.status, type, payload],
      [200, 'chat.response', { session_id: 's-1', message: 'You said: hello' }],
    );
  });

  it('answers while its secret is being changed, and outlives what is no call at all', async () => {
    const id = newId();
    const body = JSON.stringify({ type: 'chat.request', message_id: id, payload: { session_id: 's', message: 'x' } });
    const headers = signWebhook(secret, id, new Date(), body);
    const both = `${signWebhook(newSigningSecret(), id, new Date(), body)['webhook-signature']} ${headers['webhook-signature']}`;
    const call = (signature: string) =>
      fetch(url, { method: 'POST', body, headers: { ...headers, 'webhook-signature': signature } });
    assert.equal((await call(both)).status, 200);
    // As long as a signature, and longer in bytes.
    assert.equal((await call(`v1,${'\u00e9'.repeat(44)}`)).status, 401);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.end('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{');
    await once(socket.resume(), 'close');
    assert.equal((await call(both)).status, 200);
  });

  it('refuses what is signed wrongly or too long ago', async () => {
    const old = new Date(Date.now() - 400_000);
    const answers = [await ask({ message: 'x' }, newSigningSecret()), await ask({ message: 'x' }, secret, old)];
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [401, 401],
    );
  });
});

describe('the statements of the operations guide', () => {
  let db: TestDatabase;
  before(async () => {
    db = await freshDatabase();
  });
  after(() => db.drop());

  const statements = blocks('docs/guide/operations.md', 'sql')
    .join('\n')
    .replace(/--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
  assert.ok(statements.length > 5);
  for (const statement of statements) {
    it(`run: ${statement.slice(0, 60).replace(/\s+/g, ' ')}`, async () => {
      await db.admin.unsafe(statement.replace("'…'", `'${newId()}'`));
    });
  }
});

describe('the metrics of the operations guide', () => {
  it('are those there are', () => {
    const named = read('docs/guide/operations.md').match(/^\| `darkspere_\w+`/gm) ?? [];
    const there = Object.values(createMetrics()).flatMap((metric) => ('name' in metric ? [String(metric.name)] : []));
    assert.deepEqual(named.map((cell) => cell.slice(3, -1)).sort(), there.sort());
  });
});
