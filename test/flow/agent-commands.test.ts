// `darkspere agents`, run as an operator runs it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { findAgentByKey } from '../../src/agents/credentials.ts';
import { registerAgent } from '../../src/agents/registration.ts';
import { createRegistry } from '../../src/agents/registry.ts';
import { createSecretBox } from '../../src/security/secrets.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { runProgram } from '../support/program.ts';

const KEY = randomBytes(32);

describe('darkspere agents', { concurrency: 2 }, () => {
  let db: TestDatabase;
  let env: Record<string, string>;
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(request.method === 'GET' ? 200 : 503, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ data: [{ id: 'small' }] }));
  });
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    db = await freshDatabase({ web: 1, worker: 1, admin: 1 });
    env = {
      DATABASE_URL: db.url,
      DARKSPERE_SECRET_KEY: KEY.toString('base64'),
      DARKSPERE_EGRESS_ALLOW: '127.0.0.0/8',
    };
  });
  after(async () => {
    server.close();
    await db.drop();
  });

  async function darkspere(...args: string[]) {
    const { child, exited } = runProgram(['agents', ...args], env);
    let [said, complained] = ['', ''];
    child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => (complained += chunk.toString()));
    const { code } = await exited;
    return { code, said, complained };
  }

  const add = (name: string, endpointUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`) =>
    registerAgent(
      { sql: db.pools.web, secretBox: createSecretBox(KEY), egressAllow: ['127.0.0.0/8'] },
      {
        ...{ name, type: 'chat', protocol: 'openai', endpointUrl, capabilities: ['chat'], maxConcurrentSessions: 9 },
        ...{ version: null, metadata: { model: 'small' }, credential: 'sk-hidden' },
      },
    );

  test('lists and shows them, for people and for programs', async () => {
    const { agentId } = await add('lister');
    const listed = await darkspere();
    assert.equal(listed.code, 0, listed.complained);
    assert.match(listed.said, new RegExp(`^lister +chat +openai +active +100 +0 of 9 +0 +– +never +${agentId}$`, 'm'));
    const rows = (await darkspere('list', '--json')).said.trim().split('\n');
    assert.ok(rows.map((row) => JSON.parse(row)).some(({ id, name }) => id === agentId && name === 'lister'));
    const shown = await darkspere('show', 'lister');
    for (const line of [/^calls +0 of 9$/m, /^sessions +0$/m, /^answers in +–$/m, /^old key until \(UTC\) +none$/m]) {
      assert.match(shown.said, line);
    }
    await db.admin`update agent_registry set last_success_at = now(), response_ms = 80 where id = ${agentId}`;
    assert.match((await darkspere()).said, /^lister .* +0 of 9 +0 +80 ms +never /m);
    assert.match(shown.said, /^capabilities +chat$/m);
    assert.match(shown.said, /It was never probed\./);
    assert.ok(!shown.said.includes('sk-hidden'));
    assert.equal(JSON.parse((await darkspere('show', agentId, '--json')).said).id, agentId);
  });

  test('shows nothing that a terminal would obey, whatever an agent says of itself', async () => {
    const { agentId } = await add('repaints');
    const said = { note: 'a\u009b2Jb\u001b[2J\u202ec\u0085' };
    await db.admin`update agent_registry set metadata = ${db.admin.json(said)} where id = ${agentId}`;
    for (const args of [['show', agentId], ['show', agentId, '--json'], ['list', '--json'], ['list']]) {
      const shown = await darkspere(...args);
      assert.equal(shown.code, 0, shown.complained);
      assert.doesNotMatch(shown.said, /[^\n\P{Cc}]|\u202e/u, args.join(' '));
    }
    assert.deepEqual(JSON.parse((await darkspere('show', agentId, '--json')).said).metadata, said);
  });

  test('probes one from here, and says by its code how that went', async () => {
    const { agentId } = await add('probed');
    const well = await darkspere('probe', 'probed', '--depth', 'handshake');
    assert.equal(well.code, 0, well.complained);
    assert.match(well.said, /^handshake +passed +\S+ ms +its models are listed \(1\), small among them$/m);
    assert.match(well.said, /No stage failed\./);
    assert.match((await darkspere('show', 'probed')).said, /^Probed \d{4}-.*:$/m);
    await db.admin`update agent_registry set endpoint_url = 'http://127.0.0.1:1/' where id = ${agentId}`;
    const ill = await darkspere('probe', 'probed', '--json');
    const { ok, failed_stage, hint } = JSON.parse(ill.said);
    assert.deepEqual([ill.code, ok, failed_stage], [1, false, 'tcp']);
    assert.match(hint, /Start the agent/);
  });

  test('drains, disables and enables them', async () => {
    const { agentId } = await add('steered');
    const status = async () => {
      const [row] = await db.admin`
        select draining_since is not null as draining, drain_reason, disabled_reason, disabled_by from agent_registry
        where id = ${agentId}`;
      return { ...row };
    };
    assert.match((await darkspere('drain', 'steered', '--reason', 'update')).said, /^steered .*active, draining/m);
    assert.match((await darkspere('disable', 'steered', '--reason', 'broken')).said, /disabled \(broken\)/);
    assert.deepEqual(await status(), {
      ...{ draining: true, drain_reason: 'update', disabled_reason: 'broken', disabled_by: 'the command line' },
    });
    const enabled = JSON.parse((await darkspere('enable', agentId, '--json')).said);
    assert.deepEqual([enabled.status, enabled.draining_since], ['active', null]);
    assert.deepEqual(await status(), { draining: false, drain_reason: null, disabled_reason: null, disabled_by: null });
  });

  test('takes one out, says who did, and brings it back by its id', async () => {
    const { agentId, apiKey } = await add('leaver');
    // An operator's word on it from before does not hide that it is gone.
    await darkspere('disable', 'leaver', '--reason', 'broken');
    assert.match((await darkspere('deactivate', 'leaver')).said, /^leaver .* deactivated /m);
    assert.equal((await findAgentByKey(db.pools.web, apiKey))?.isDeactivated, true);
    assert.ok(!(await darkspere('list')).said.includes('leaver'));
    assert.match((await darkspere('activate', 'leaver')).complained, /There is no agent leaver/);
    assert.match((await darkspere('show', agentId)).said, /^deactivated by +the command line$/m);
    assert.match((await darkspere('activate', agentId)).said, /^leaver .* disabled \(broken\) /m);
    assert.match((await darkspere('show', agentId)).said, /^deactivated by +nobody$/m);
    assert.match((await darkspere('enable', 'leaver')).said, /^leaver .* active /m);
    assert.equal((await findAgentByKey(db.pools.web, apiKey))?.isDeactivated, false);
  });

  test('gives new keys and secrets, once', async () => {
    const { agentId, apiKey, signingSecret } = await add('rotated');
    const key = await darkspere('rotate', 'rotated', '--key');
    assert.match(key.said, /^dsp_agent_\S+\n$/);
    assert.match(key.complained, /not shown again\. The one before holds until \d{4}-/);
    assert.equal((await findAgentByKey(db.pools.web, key.said.trim()))?.id, agentId);
    assert.notEqual(await findAgentByKey(db.pools.web, apiKey), null);
    assert.match((await darkspere('rotate', 'rotated', '--key', '--retire')).said, /only the newest key holds/);
    assert.equal(await findAgentByKey(db.pools.web, apiKey), null);

    const secret = JSON.parse((await darkspere('rotate', 'rotated', '--secret', '--json')).said).signing_secret;
    const registry = await createRegistry({
      ...{ sql: db.pools.worker, secretBox: createSecretBox(KEY), refreshMs: 3_600_000, inUse: () => 0 },
      onError: (error) => assert.fail(String(error)),
    });
    const agent = registry.find(agentId)!;
    await registry.close();
    assert.deepEqual(
      [agent.signingSecret, agent.oldSigningSecret, agent.credential],
      [secret, signingSecret, 'sk-hidden'],
    );
  });

  test('a secret is not sealed with a key that is not the one of the others', async () => {
    const { agentId } = await add('sealed');
    const { child, exited, output } = runProgram(['agents', 'rotate', agentId, '--secret'], {
      ...env,
      DARKSPERE_SECRET_KEY: randomBytes(32).toString('base64'),
    });
    assert.ok(child.pid);
    assert.equal((await exited).code, 2);
    assert.match(output(), /sealed with another key/);
    const [row] = await db.admin`select signing_secret from agent_registry where id = ${agentId}`;
    assert.equal(row!.signing_secret, null);
  });

  test('what is wrong in the call is named, with code 2', async () => {
    await add('twin');
    await add('twin', 'http://127.0.0.1:1/');
    for (const [args, complaint] of [
      [['show', 'nobody'], /^not_found: There is no agent nobody/],
      [['show', 'twin'], /^invalid_request: Several agents are called twin/],
      [['show'], /missing required argument/],
      [['disable', 'twin'], /required option '--reason/],
      [['drain', 'twin', '--reason', ''], /1 to 300 characters/],
      [['probe', 'twin', '--depth', 'deep'], /Allowed choices are full, handshake/],
      [['rotate', 'twin'], /--key or --secret/],
      [['rotate', 'twin', '--key', '--secret'], /cannot be used with/],
      [['rotate', 'twin', '--key', '--keep-seconds', '-1'], /whole number from 0 to 604800/],
    ] as const) {
      const { code, said, complained } = await darkspere(...args);
      assert.deepEqual([code, said], [2, ''], args.join(' '));
      assert.match(complained, complaint);
    }
  });
});
