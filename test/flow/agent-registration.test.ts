// The registration service as agents use it: joining and changing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { openAgent } from '../../src/agents/registry.ts';
import { createSecretBox } from '../../src/security/secrets.ts';
import { keyHolder } from '../support/operator.ts';
import { codeOf, errorOf, registrationDesk } from '../support/registrant.ts';
import { startWorld, type World } from '../support/world.ts';

const secretKey = randomBytes(32);

describe('the registration service', () => {
  let world: World;
  /** Each part has one of its own: wrong keys are counted. */
  const inOwnWorld = () => {
    before(async () => {
      world = await startWorld({ env: { DARKSPERE_SECRET_KEY: secretKey.toString('base64') } });
    });
    after(() => world.stop());
  };
  const { start, api, joined } = registrationDesk(() => world);

  describe('joining', () => {
    inOwnWorld();

    test('an agent is probed, kept with what was found, and shown its secrets once', async (t) => {
      const agent = await start(t, 'joins');
      const { id, key, secret, at, json } = await joined(agent, {
        version: '1.2',
        metadata: { tone: 'calm', api_key: 'sk' },
      });
      assert.deepEqual([json.success, json.message], [true, 'Agent registered successfully']);
      assert.deepEqual([json.probe.ok, json.probe.stages.length, agent.questions().length], [true, 6, 0]);
      assert.match(key, /^dsp_agent_/);
      assert.match(secret, /^whsec_/);
      const { json: own } = await api('GET', at, undefined, key);
      const { registered_at, updated_at, last_probe, ...rest } = own;
      assert.deepEqual(rest, {
        ...{ agent_id: id, agent_name: 'joins', agent_type: 'chat', endpoint_url: agent.url, protocol: 'envelope' },
        ...{ capabilities: ['chat'], max_concurrent_sessions: 100, version: '1.2', metadata: { tone: 'calm' } },
        ...{ status: 'active', health_score: 100, active_sessions: 0, draining: false, drain_reason: null },
        ...{ disabled_reason: null, last_heartbeat_at: null },
      });
      assert.deepEqual(last_probe, json.probe);
      assert.equal(registered_at, updated_at);
      for (const hidden of [key, secret, 'sk']) assert.ok(!JSON.stringify(own).includes(`"${hidden}"`));
    });

    test('one that cannot be reached is refused with the stage, and is not kept', async (t) => {
      const agent = await start(t, 'unreachable');
      await agent.close();
      const refused = await agent.register();
      assert.deepEqual(errorOf(refused), [422, 'probe_failed', 'endpoint_url']);
      assert.match(refused.json.error.message, /at the stage tcp: .*ECONNREFUSED.*\?probe=skip/);
      const { length } = await world.sql`select 1 from agent_registry where name = 'unreachable'`;
      assert.equal(length, 0);
      // It listens later.
      const skipped = await agent.register({}, '?probe=skip');
      assert.deepEqual([skipped.status, skipped.json.probe], [201, null]);
      assert.deepEqual(errorOf(await agent.register({}, '?probe=maybe')), [422, 'invalid_request', 'probe']);
      const nowhere = { endpoint_url: 'https://agent.invalid/' };
      const unknown = await agent.register(nowhere);
      assert.match(unknown.json.error.message, /at the stage dns: the name agent\.invalid does not resolve/);
      assert.deepEqual(errorOf(await agent.register(nowhere, '?probe=skip')), [422, 'invalid_request', 'endpoint_url']);
    });

    test('a start more is the same agent, whose old key and secret hold on while the new ones are in force', async (t) => {
      const agent = await start(t, 'restarts');
      const first = await joined(agent);
      const second = await joined(agent, { version: '2', max_concurrent_sessions: 7 });
      assert.equal(second.id, first.id);
      assert.notEqual(second.key, first.key);
      assert.match(second.json.message, /again/);
      for (const key of [first.key, second.key]) {
        const { json } = await api('GET', first.at, undefined, key);
        assert.deepEqual([json.version, json.max_concurrent_sessions], ['2', 7]);
      }
      // The same program may serve another type as well.
      assert.notEqual((await joined(agent, { agent_type: 'sales' })).id, first.id);
      assert.notEqual((await joined(agent, { agent_name: 'another' })).id, first.id);
    });

    test('six that start at the same moment are one', async (t) => {
      const agent = await start(t, 'at once');
      const all = await Promise.all(Array.from({ length: 6 }, () => joined(agent)));
      assert.equal(new Set(all.map(({ id }) => id)).size, 1);
      const keys = await Promise.all(all.map(({ key, at }) => api('GET', at, undefined, key)));
      // They may be copies behind one address: each keeps its own.
      assert.equal(keys.filter(({ status }) => status === 200).length, 6);
    });

    test('what is too large is refused by its name', async (t) => {
      const agent = await start(t, 'large');
      assert.deepEqual(errorOf(await agent.register({ metadata: { notes: 'x'.repeat(9_000) } })), [
        ...[422, 'invalid_request', 'metadata'],
      ]);
      assert.equal(codeOf(await agent.register({ metadata: { notes: 'x'.repeat(70_000) } })), '413 body_too_large');
      assert.equal(agent.heard.length, 0);
    });

    test('an operator’s key does instead of the secret; one that may only read does not', async (t) => {
      const agent = await start(t, 'by key');
      const { key } = await keyHolder(world, ['read', 'write']);
      const added = await api('POST', '/api/agents/register', agent.about, key);
      assert.equal(added.status, 201, added.text);
      // The secret alone does not take its place; the operator comes back to it.
      assert.notEqual((await joined(agent)).id, added.json.agent_id);
      const again = await api('POST', '/api/agents/register', agent.about, key);
      assert.match(again.json.message, /again/);
      const { key: reader } = await keyHolder(world, ['read']);
      assert.equal(codeOf(await api('POST', '/api/agents/register', agent.about, reader)), '403 forbidden');
      assert.equal(
        codeOf(await api('POST', '/api/agents/register', agent.about, 'dsk_nothing')),
        '401 unauthenticated',
      );
      assert.deepEqual(errorOf(await api('POST', '/api/agents/register', agent.about)), [
        ...[422, 'invalid_request', 'registration_secret'],
      ]);
    });

    test('keys that hold no more do not keep agents from registering again', async (t) => {
      const agent = await start(t, 'herd');
      for (let wrong = 0; wrong < 12; wrong++)
        await api('GET', `/api/agents/${crypto.randomUUID()}`, undefined, `dsp_agent_${wrong}`);
      assert.equal(codeOf(await api('GET', '/api/agents/stats', undefined, 'dsp_agent_x')), '429 rate_limited');
      const { at, key } = await joined(agent);
      assert.equal((await api('GET', at, undefined, key)).status, 200);
    });

    test('who guesses the secret does not escape by saying that it forwards for somebody else', async () => {
      const guess = async (forwarded: string) => {
        const body = JSON.stringify({ registration_secret: 'guess' });
        const headers = { 'content-type': 'application/json', 'x-forwarded-for': forwarded };
        const url = `${world.urls.agentRegistration}/api/agents/register`;
        return (await fetch(url, { method: 'POST', headers, body })).status;
      };
      for (let n = 0; n < 10; n++) await guess(`203.0.113.${n}`);
      assert.equal(await guess('203.0.113.200'), 429);
    });
  });

  describe('changing', () => {
    inOwnWorld();

    test('what is named changes and nothing else', async (t) => {
      const agent = await start(t, 'changes');
      const { key, at } = await joined(agent, { metadata: { a: 1, api_key: 'sk' } });
      const change = await api('PUT', at, { agent_name: 'changed', capabilities: ['chat', 'chat', 'media'] }, key);
      assert.deepEqual([change.status, change.json.probe], [200, null]);
      const { json } = await api('GET', at, undefined, key);
      assert.deepEqual(
        [json.agent_name, json.capabilities, json.metadata, json.endpoint_url],
        ['changed', ['chat', 'media'], { a: 1 }, agent.url],
      );
      assert.equal((await api('PUT', at, {}, key)).status, 200);
      assert.equal((await api('PUT', at, { version: null }, key)).status, 200);
    });

    test('an id may be written in capitals, as those do who keep it as a UUID', async (t) => {
      const agent = await start(t, 'capitals');
      const { id, key } = await joined(agent);
      const at = `/api/agents/${id.toUpperCase()}`;
      const answers = [
        await api('PUT', at, { version: '2' }, key),
        await api('POST', `${at}/heartbeat`, { load: 0 }, key),
      ];
      assert.deepEqual(
        answers.map(({ status, json }) => [status, json.agent_id]),
        [
          [200, id],
          [200, id],
        ],
      );
    });

    test('the same checks as at the registration, each naming its field', async (t) => {
      const agent = await start(t, 'strict');
      const { key, at } = await joined(agent);
      const cases: [object, string][] = [
        [{ status: 'active' }, 'status'],
        [{ health_score: 100 }, 'health_score'],
        [{ account_id: crypto.randomUUID() }, 'account_id'],
        [{ agent_name: '' }, 'agent_name'],
        [{ agent_name: 'a\u0000b' }, 'agent_name'],
        [{ agent_type: 'x'.repeat(51) }, 'agent_type'],
        [{ capabilities: 'chat' }, 'capabilities'],
        [{ max_concurrent_sessions: 0 }, 'max_concurrent_sessions'],
        [{ protocol: 'soap' }, 'protocol'],
        [{ version: 7 }, 'version'],
        [{ metadata: [] }, 'metadata'],
        [{ metadata: { api_key: 'a b' } }, 'metadata.api_key'],
        [{ metadata: { require_signed_replies: 'yes' } }, 'metadata.require_signed_replies'],
        [{ metadata: { preset: 'n8n-chat' } }, 'protocol'],
        [{ protocol: 'webhook' }, 'metadata.body'],
        [{ protocol: 'mcp', metadata: { tool: 7 } }, 'metadata.tool'],
        [{ endpoint_url: 'file:///etc/passwd' }, 'endpoint_url'],
        [{ endpoint_url: 'http://169.254.169.254/' }, 'endpoint_url'],
        [{ endpoint_url: 'http://[::ffff:a00:1]/' }, 'endpoint_url'],
        [{ endpoint_url: 'https://user:pw@agent.example/' }, 'endpoint_url'],
      ];
      for (const [body, param] of cases) {
        const answer = await api('PUT', at, body, key);
        assert.deepEqual([answer.status, answer.json.error.param], [422, param], JSON.stringify(body));
      }
      assert.equal((await api('GET', at, undefined, key)).json.endpoint_url, agent.url);
    });

    test('another address is probed before it is kept', async (t) => {
      const [agent, other] = [await start(t, 'moves'), await start(t, 'there')];
      const { key, at } = await joined(agent);
      const moved = await api('PUT', at, { endpoint_url: other.url }, key);
      assert.equal(moved.json.probe.ok, true, moved.text);
      assert.equal(other.heard.length, 2);
      await other.close();
      await agent.close();
      const refused = await api('PUT', at, { endpoint_url: agent.url }, key);
      assert.deepEqual(errorOf(refused), [422, 'probe_failed', 'endpoint_url']);
      assert.match(refused.json.error.message, /stage tcp/);
      assert.equal((await api('GET', at, undefined, key)).json.endpoint_url, other.url);
      assert.equal((await api('PUT', `${at}?probe=skip`, { endpoint_url: agent.url }, key)).status, 200);
    });

    test('a credential does not go along to another host', async (t) => {
      const [agent, other] = [await start(t, 'stays'), await start(t, 'elsewhere')];
      const { key, at, id } = await joined(agent, { metadata: { api_key: 'one' } });
      const credential = async () => (await openAgent(world.sql, createSecretBox(secretKey), id))!.agent.credential;
      assert.equal(await credential(), 'one');
      assert.equal((await api('PUT', at, { endpoint_url: `${agent.url}/v2` }, key)).status, 200);
      assert.equal(await credential(), 'one');
      assert.equal((await api('PUT', at, { endpoint_url: other.url }, key)).status, 200);
      assert.equal(await credential(), null);
      await api('PUT', at, { endpoint_url: agent.url, metadata: { api_key: 'two' } }, key);
      assert.equal(await credential(), 'two');
    });

    test('a credential is changed, and taken away, without being shown', async (t) => {
      const agent = await start(t, 'credential');
      const { key, at, id } = await joined(agent, { protocol: 'envelope', metadata: { api_key: 'one' } });
      await world.refreshAgents();
      const stored = () => world.sql`select secrets, credential from agent_registry where id = ${id}`;
      const [before] = await stored();
      assert.equal((await api('PUT', at, { metadata: { api_key: 'two' } }, key)).status, 200);
      const [changed] = await stored();
      assert.deepEqual(changed!.secrets, before!.secrets);
      assert.notEqual(changed!.credential, null);
      assert.equal((await api('PUT', at, { metadata: { b: 1 } }, key)).status, 200);
      assert.deepEqual((await stored())[0]!.credential, changed!.credential);
      assert.equal((await api('PUT', at, { metadata: { api_key: null } }, key)).status, 200);
      assert.notDeepEqual((await stored())[0]!.credential, changed!.credential);
    });
  });

  describe('description', () => {
    inOwnWorld();

    test('is served where it is, and leaves no route open', async () => {
      const { json } = await api('GET', '/api/agents/openapi.json');
      assert.ok(Object.keys(json.paths).includes('/api/agents/{id}/heartbeat'));
      assert.equal(Object.keys(json.paths).filter((path) => path.startsWith('/v1/')).length, 0);
      const open: string[] = [];
      for (const [path, methods] of Object.entries(json.paths as Record<string, object>))
        for (const method of Object.keys(methods)) {
          const at = path.replace('{id}', crypto.randomUUID());
          const answer = await api(method.toUpperCase(), at, method === 'get' ? undefined : {});
          if (answer.status !== 401) open.push(`${method} ${path}`);
        }
      assert.deepEqual(open, ['get /api/agents/openapi.json', 'post /api/agents/register']);
      const page = await fetch(`${world.urls.agentRegistration}/docs`, { headers: { accept: 'text/html' } });
      assert.match(await page.text(), /heartbeat/);
    });
  });
});
