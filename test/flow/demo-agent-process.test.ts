import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { chat, darkspere, folder, post, SECRET, type Seen, until } from '../support/demo-agent.ts';
import { freePort } from '../support/free-port.ts';

const AGENT = join(import.meta.dirname, '../../examples/demo-agent/agent.ts');

describe('the demo agent as a process', () => {
  type Run = { child: ChildProcess; output: () => string; errors: () => string };

  function run(t: TestContext, env: Record<string, string>): Run {
    const child = fork(AGENT, { env: { PATH: process.env.PATH ?? '', ...env }, silent: true });
    const chunks = { out: '', err: '' };
    child.stdout!.on('data', (chunk) => (chunks.out += chunk));
    child.stderr!.on('data', (chunk) => (chunks.err += chunk));
    t.after(() => child.kill('SIGKILL'));
    return { child, output: () => chunks.out, errors: () => chunks.err };
  }

  function registrar(known = () => true) {
    let count = 0;
    return ({ method, path }: Seen) => {
      if (path === '/api/agents/register') {
        count += 1;
        const body = {
          success: true,
          agent_id: `agent-${count}`,
          api_key: `key-${count}`,
          signing_secret: SECRET,
          message: 'ok',
        };
        return { status: 201, body };
      }
      return { status: method === 'GET' && !known() ? 401 : 200 };
    };
  }

  const ready = ({ output, errors }: Run) => until(() => /ready at (\S+)\n/.exec(output())?.[1], `ready (${errors()})`);
  const ended = async ({ child }: Run) => (child.exitCode === null ? (await once(child, 'exit'))[0] : child.exitCode);

  it('waits for the registration service, registers once, and is known again after a restart', async (t) => {
    const port = await freePort();
    const state = join(folder(t), 'state', 'demo.json');
    const env = {
      DEMO_AGENT_STATE: state,
      DEMO_AGENT_PORT: String(await freePort()),
      REGISTRATION_URL: `http://127.0.0.1:${port}/`,
      REGISTRATION_SECRET: 'the-registration-secret',
    };
    const first = run(t, env);
    await until(() => reachable(env.DEMO_AGENT_PORT), 'listening before it is registered');
    assert.equal(existsSync(state), false);
    const { seen } = await darkspere(t, registrar(), port);
    const url = await ready(first);
    assert.deepEqual(JSON.parse(seen[0]!.body), {
      registration_secret: 'the-registration-secret',
      agent_name: 'demo',
      metadata: { source: 'demo' },
      agent_type: 'chat',
      endpoint_url: url,
      capabilities: ['chat'],
      protocol: 'envelope',
    });
    assert.equal(statSync(state).mode & 0o777, 0o600);
    assert.equal((await post(url, chat('hi'))).status, 200);
    assert.equal(first.output().trim().split('\n').length, 1);
    assert.equal(first.errors(), '');
    first.child.kill('SIGTERM');
    assert.equal(await ended(first), 0);

    const again = run(t, env);
    await ready(again);
    await until(() => seen.find(({ method }) => method === 'GET'), 'the question whether it is still known');
    assert.equal(seen.filter(({ path }) => path === '/api/agents/register').length, 1);
    again.child.kill('SIGTERM');
    await ended(again);

    const moved = run(t, { ...env, DEMO_AGENT_PORT: '0' });
    assert.notEqual(await ready(moved), url);
    assert.equal(seen.filter(({ path }) => path === '/api/agents/register').length, 2);
    const farewell = seen.find(({ path }) => path === '/api/agents/agent-1/deactivate');
    assert.equal(farewell?.headers.authorization, 'Bearer key-1');
    assert.equal(JSON.parse(readFileSync(state, 'utf8')).agent_id, 'agent-2');
  });

  it('registers anew when its credentials are no longer known', async (t) => {
    const state = join(folder(t), 'demo.json');
    const { seen, url } = await darkspere(
      t,
      registrar(() => false),
    );
    const port = await freePort();
    const saved = {
      agent_id: 'old',
      api_key: 'old',
      signing_secret: 'whsec_b2xk',
      endpoint_url: `http://127.0.0.1:${port}/`,
    };
    writeFileSync(state, JSON.stringify(saved));
    const env = {
      DEMO_AGENT_STATE: state,
      DEMO_AGENT_PORT: String(port),
      REGISTRATION_URL: url,
      REGISTRATION_SECRET: 'x',
    };
    const endpoint = await ready(run(t, env));
    await until(() => JSON.parse(readFileSync(state, 'utf8')).agent_id === 'agent-1', 'the new credentials');
    assert.deepEqual(
      seen.map(({ method, path }) => `${method} ${path}`),
      ['GET /api/agents/old', 'POST /api/agents/register'],
    );
    await until(async () => (await post(endpoint, chat('hi'))).status === 200, 'the new secret in use');
  });

  it('takes its settings from its parent, and ends with it', async (t) => {
    const { url } = await darkspere(t, registrar());
    const child = run(t, {});
    child.child.send({
      DEMO_AGENT_STATE: join(folder(t), 'demo.json'),
      DEMO_AGENT_PORT: '0',
      REGISTRATION_URL: url,
      REGISTRATION_SECRET: 'from-the-parent',
    });
    const [message] = await once(child.child, 'message');
    assert.deepEqual(message, { ready: true, url: await ready(child), agentId: 'agent-1' });
    child.child.disconnect();
    assert.equal(await ended(child), 0);
  });

  it('says why it cannot run, without the secret', async (t) => {
    const { url } = await darkspere(t, () => ({
      status: 401,
      body: { error: { code: 'registration_secret_invalid' } },
    }));
    const env = { DEMO_AGENT_STATE: join(folder(t), 'demo.json'), DEMO_AGENT_PORT: '0', REGISTRATION_URL: url };
    const child = run(t, { ...env, REGISTRATION_SECRET: 'a-wrong-secret' });
    assert.equal(await ended(child), 1);
    assert.match(child.errors(), /refused \(401, registration_secret_invalid\)/);
    assert.doesNotMatch(child.errors(), /a-wrong-secret/);
    const unset = run(t, { REGISTRATION_SECRET: 'x' });
    assert.equal(await ended(unset), 1);
    assert.match(unset.errors(), /DEMO_AGENT_STATE is not set/);
  });
});

async function reachable(port: string): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}/`).then(
    ({ status }) => status === 503,
    () => false,
  );
}
