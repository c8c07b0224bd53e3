// How an agent on the SDK keeps its place: against a registration service that a test plays, call by call.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type JoinOptions, joinDarkspere } from '@darkspere/agent';
import { newSigningSecret } from '../../src/security/standard-webhooks.ts';
import { darkspere, folder, type Seen } from '../support/demo-agent.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';

type Said = { status: number; body?: unknown };
const [FIRST, SECOND] = [newSigningSecret(), newSigningSecret()];
const ISSUED = { agent_id: 'agent-1', api_key: 'key-1', signing_secret: FIRST };

/** What a service answers: `METHOD last-part-of-the-path` → the answer. Registration works unless told otherwise. */
const service = (t: TestContext, routes: Readonly<Record<string, (seen: Seen) => Said>> = {}, port = 0) =>
  darkspere(
    t,
    (seen) => {
      const known = routes[`${seen.method} ${seen.path.split('/').at(-1)}`];
      if (known !== undefined) return known(seen);
      if (seen.path.endsWith('/register')) return { status: 201, body: ISSUED };
      return { status: 404 };
    },
    port,
  );

async function joined(t: TestContext, url: string, more: Partial<JoinOptions> = {}) {
  const log: string[] = [];
  const membership = await joinDarkspere({
    name: 'member',
    protocol: 'envelope',
    endpointUrl: 'http://127.0.0.1:1/',
    registrationUrl: url,
    darkspereUrl: url,
    registrationSecret: 'the-secret',
    stateFile: join(folder(t), 'state.json'),
    heartbeatMs: 20,
    log: (_level, line) => void log.push(line),
    ...more,
  });
  t.after(() => membership.stop());
  return { membership, log };
}

const calls = (seen: readonly Seen[]) =>
  seen.filter(({ path }) => !path.endsWith('heartbeat')).map(({ method, path }) => `${method} ${path}`);

describe('the place of an agent', () => {
  it('is taken with what it is, and over MCP with a token for Darkspere', async (t) => {
    const { seen, url } = await service(t);
    const { membership } = await joined(t, `${url}/`, {
      protocol: 'mcp',
      token: 'sesame',
      metadata: { team: 'a' },
      version: '2',
    });
    assert.deepEqual(JSON.parse(seen[0]!.body), {
      registration_secret: 'the-secret',
      agent_name: 'member',
      agent_type: 'chat',
      endpoint_url: 'http://127.0.0.1:1/',
      capabilities: ['chat'],
      protocol: 'mcp',
      max_concurrent_sessions: 100,
      version: '2',
      metadata: { team: 'a', api_key: 'sesame' },
    });
    assert.deepEqual([membership.agentId, membership.signingSecrets], ['agent-1', [FIRST]]);
  });

  it('is found again, at another address too', async (t) => {
    const stateFile = join(folder(t), 'state.json');
    const { seen, url } = await service(t, { 'PUT agent-1': () => ({ status: 200 }) });
    (await joined(t, url, { stateFile })).membership.stop();
    const { membership } = await joined(t, url, { stateFile, endpointUrl: 'http://127.0.0.1:2/' });
    assert.equal(membership.agentId, 'agent-1');
    assert.deepEqual(calls(seen), ['POST /api/agents/register', 'PUT /api/agents/agent-1']);
    const change = seen.find(({ method }) => method === 'PUT')!;
    assert.equal(change.headers.authorization, 'Bearer key-1');
    assert.equal(JSON.parse(change.body).endpoint_url, 'http://127.0.0.1:2/');
    assert.equal('registration_secret' in JSON.parse(change.body), false);
  });

  it('is another one where the service lets no address change, and the old one is left', async (t) => {
    const stateFile = join(folder(t), 'state.json');
    let id = 0;
    const { seen, url } = await service(t, {
      'POST register': () => ({ status: 201, body: { ...ISSUED, agent_id: `agent-${++id}` } }),
      'GET agent-1': () => ({ status: 200 }),
    });
    for (const port of [1, 1, 2]) {
      const { membership } = await joined(t, url, { stateFile, endpointUrl: `http://127.0.0.1:${port}/` });
      membership.stop();
    }
    const look = ['PUT /api/agents/agent-1', 'GET /api/agents/agent-1'];
    const anew = ['POST /api/agents/register', 'POST /api/agents/agent-1/deactivate'];
    assert.deepEqual(calls(seen), ['POST /api/agents/register', ...look, ...look, ...anew]);
  });

  it('belongs to one service: another is asked anew', async (t) => {
    const stateFile = join(folder(t), 'state.json');
    const [one, other] = [await service(t), await service(t)];
    for (const { url } of [one, other]) (await joined(t, url, { stateFile })).membership.stop();
    assert.deepEqual(calls(other.seen), ['POST /api/agents/register']);
  });

  it('is refused for good in words that name the field', async (t) => {
    const error = { code: 'egress_denied', message: 'endpoint_url: 10.0.0.1 may not be called.' };
    const { url } = await service(t, { 'POST register': () => ({ status: 422, body: { error } }) });
    const refused = { code: 'egress_denied', message: /endpoint_url: 10\.0\.0\.1 may not be called/ };
    await assert.rejects(joined(t, url), refused);
  });

  it('is taken as soon as Darkspere is there', async (t) => {
    const port = await freePort();
    const { membership, log } = await joined(t, `http://127.0.0.1:${port}`);
    assert.equal(membership.agentId, null);
    assert.match(log.join('\n'), /does not answer/);
    await service(t, {}, port);
    await until(() => membership.agentId, { what: 'the registration' });
  });
});

describe('heartbeats', () => {
  it('carry the load, and say at the end that it takes no more', async (t) => {
    const { seen, url } = await service(t, { 'POST heartbeat': () => ({ status: 200 }) });
    const { membership } = await joined(t, url, { status: () => ({ load: 0.256, activeSessions: 3 }) });
    const beats = () => seen.filter(({ path }) => path.endsWith('/heartbeat')).map(({ body }) => JSON.parse(body));
    await until(() => beats().length > 1, { what: 'heartbeats' });
    assert.deepEqual(beats()[0], { load: 0.26, active_sessions: 3, draining: false });
    await membership.sayDraining();
    assert.deepEqual(beats().at(-1), { load: 1, active_sessions: 3, draining: true });
  });

  it('that a service does not know are borne; a key that opens nothing is a place lost', async (t) => {
    let status = 404;
    const { seen, url } = await service(t, {
      'POST heartbeat': () => ({ status }),
      'PUT agent-1': () => ({ status: 401 }),
    });
    await joined(t, url);
    const beats = () => seen.filter(({ path }) => path.endsWith('/heartbeat')).length;
    await until(() => beats() > 3, { what: 'heartbeats' });
    assert.deepEqual(calls(seen), ['POST /api/agents/register']);
    status = 401;
    await until(() => calls(seen).filter((one) => one.endsWith('/register')).length === 2, { what: 'a new place' });
  });

  it('that are refused because the agent was deactivated end no such thing: it waits, and says so once', async (t) => {
    const refused = { status: 403, body: { error: { code: 'agent_deactivated' } } };
    let answer: Said = refused;
    const { seen, url } = await service(t, {
      'POST heartbeat': () => answer,
      'PUT agent-1': () => refused,
      'POST messages': () => answer,
    });
    const { membership, log } = await joined(t, url);
    const beats = () => seen.filter(({ path }) => path.endsWith('/heartbeat')).length;
    const more = () => {
      const enough = beats() + 4;
      return until(() => beats() >= enough, { what: 'heartbeats' });
    };
    await more();
    await assert.rejects(membership.post('c-1', 'Hello'), { code: 'agent_deactivated' });
    await more();
    assert.deepEqual(calls(seen), ['POST /api/agents/register', 'POST /v1/conversations/c-1/messages']);
    assert.equal(log.filter((line) => /was deactivated/.test(line)).length, 1);
    // Brought back, and taken out once more.
    answer = { status: 200 };
    await more();
    answer = refused;
    await until(() => log.filter((line) => /was deactivated/.test(line)).length === 2, { what: 'the second word' });
  });

  it('tell of a key and a secret that were replaced: the agent gets its own, and keeps both secrets while both hold', async (t) => {
    let [key_valid_until, old_secret_valid_until]: (string | null)[] = ['2099-01-01T00:00:00Z', '2099-01-01T00:00:00Z'];
    const stateFile = join(folder(t), 'state.json');
    const { seen, url } = await service(t, {
      'POST heartbeat': () => ({ status: 200, body: { key_valid_until, old_secret_valid_until } }),
      'POST rotate-key': () => {
        key_valid_until = null;
        return { status: 200, body: { api_key: 'key-2', old_valid_until: '2099-01-01T00:00:00Z' } };
      },
      'POST rotate-secret': () => {
        old_secret_valid_until = '2099-02-02T00:00:00Z';
        return { status: 200, body: { signing_secret: SECOND, old_valid_until: old_secret_valid_until } };
      },
    });
    const { membership } = await joined(t, url, { stateFile });
    await until(() => membership.signingSecrets.length === 2, { what: 'the rotation' });
    assert.deepEqual(membership.signingSecrets, [SECOND, FIRST]);
    const after = seen.length;
    await until(() => seen.slice(after).some(({ headers }) => headers.authorization === 'Bearer key-2'));
    assert.equal(calls(seen).filter((one) => one.includes('rotate')).length, 2);
    const kept = JSON.parse(readFileSync(stateFile, 'utf8'));
    assert.deepEqual([kept.api_key, kept.signing_secrets], ['key-2', [SECOND, FIRST]]);
  });
});

describe('texts of an agent', () => {
  it('are tried again under one key while Darkspere is away or the call is still open', async (t) => {
    const answers: Said[] = [
      { status: 503 },
      { status: 409, body: { error: { code: 'conflict' } } },
      { status: 201, body: { id: 'text-1', status: 'queued' } },
    ];
    const { seen, url } = await service(t, { 'POST messages': () => answers.shift()! });
    const { membership } = await joined(t, url);
    const sent = await membership.post('c-1', { message: 'Hello', media: ['https://a.example/x'] }, { inReplyTo: 'm' });
    assert.deepEqual(sent, { id: 'text-1', status: 'queued' });
    const posts = seen.filter(({ path }) => path === '/v1/conversations/c-1/messages');
    assert.equal(posts.length, 3);
    assert.equal(new Set(posts.map(({ headers }) => headers['idempotency-key'])).size, 1);
    assert.deepEqual(JSON.parse(posts[0]!.body), { text: 'Hello', media: ['https://a.example/x'], in_reply_to: 'm' });
  });

  it('wait for the place that is taken anew when their key opens nothing any more', async (t) => {
    let keys = 0;
    const { seen, url } = await service(t, {
      'POST register': () => ({ status: 201, body: { ...ISSUED, api_key: `key-${++keys}` } }),
      'PUT agent-1': () => ({ status: 401 }),
      'POST messages': ({ headers }) =>
        headers.authorization === 'Bearer key-2'
          ? { status: 201, body: { id: 'text-1', status: 'queued' } }
          : { status: 401, body: { error: { code: 'agent_key_invalid' } } },
    });
    const { membership } = await joined(t, url);
    assert.deepEqual(await membership.post('c-1', 'Hello', { inReplyTo: 'm' }), { id: 'text-1', status: 'queued' });
    assert.equal(calls(seen).filter((one) => one.endsWith('/register')).length, 2);
  });

  it('are refused in the end when the new key opens nothing either', async (t) => {
    const { url } = await service(t, {
      'PUT agent-1': () => ({ status: 401 }),
      'POST messages': () => ({ status: 401, body: { error: { code: 'agent_key_invalid' } } }),
    });
    const { membership } = await joined(t, url);
    await assert.rejects(membership.post('c-1', 'Hello'), { code: 'agent_key_invalid' });
  });

  it('that are refused say why', async (t) => {
    const error = { code: 'opted_out', message: 'The person texted STOP.' };
    const { url } = await service(t, { 'POST messages': () => ({ status: 409, body: { error } }) });
    const { membership } = await joined(t, url);
    await assert.rejects(membership.post('c-1', 'Hello'), { code: 'opted_out', message: /texted STOP/ });
  });
});
