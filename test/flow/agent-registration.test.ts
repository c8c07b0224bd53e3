// The registration service as agents use it: joining, changing, changing keys, leaving and coming back.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { openAgent } from '../../src/agents/registry.ts';
import { createSecretBox } from '../../src/security/secrets.ts';
import { type Answer, call, keyHolder } from '../support/operator.ts';
import { accountKey, atRegistration, type Registrant, startRegistrant } from '../support/registrant.ts';
import { startWorld, type World } from '../support/world.ts';

const secretKey = randomBytes(32);
const codeOf = ({ status, json }: Answer) => `${status} ${json?.error?.code}`;
const errorOf = ({ status, json }: Answer) => [status, json?.error?.code, json?.error?.param];

describe('the registration service', () => {
  let world: World;
  /** Each part has one of its own: wrong keys are counted. */
  const inOwnWorld = () => {
    before(async () => {
      world = await startWorld({ env: { DARKSPERE_SECRET_KEY: secretKey.toString('base64') } });
    });
    after(() => world.stop());
  };

  const start = async (t: TestContext, name: string): Promise<Registrant> => {
    const agent = await startRegistrant(world, name);
    t.after(() => agent.close());
    return agent;
  };
  const api = (method: string, path: string, body?: unknown, key?: string) =>
    atRegistration(world, method, path, body, key);
  const joined = async (agent: Registrant, more: object = {}) => {
    const answer = await agent.register(more);
    assert.equal(answer.status, 201, answer.text);
    const { agent_id: id, api_key: key, signing_secret: secret } = answer.json;
    return { id, key, secret, json: answer.json, at: `/api/agents/${id}` } as Record<
      'id' | 'key' | 'secret' | 'at',
      string
    > & {
      json: Answer['json'];
    };
  };

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
      // The newest, and the one before.
      assert.equal(keys.filter(({ status }) => status === 200).length, 2);
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

  describe('credentials', () => {
    inOwnWorld();

    test('a key that asks for a new one holds on, however often no answer arrives', async (t) => {
      const agent = await start(t, 'rotates');
      const { key, at } = await joined(agent);
      const lost = (await api('POST', `${at}/rotate-key`, undefined, key)).json.api_key;
      const rotated = await api('POST', `${at}/rotate-key`, { keep_old_for_seconds: 60 }, key);
      assert.equal(rotated.status, 200, rotated.text);
      const fresh = rotated.json.api_key;
      const inSeconds = (Date.parse(rotated.json.old_valid_until) - Date.now()) / 1_000;
      assert.ok(inSeconds > 0 && inSeconds < 120);
      const beat = (whose: string) => api('POST', `${at}/heartbeat`, { load: 0 }, whose);
      assert.equal(codeOf(await beat(lost)), '401 agent_key_invalid');
      assert.equal((await beat(fresh)).json.key_valid_until, null);
      assert.equal((await beat(key)).json.key_valid_until, rotated.json.old_valid_until);
      assert.equal((await api('POST', `${at}/retire-old`, { what: 'key' }, fresh)).status, 200);
      assert.equal(codeOf(await beat(key)), '401 agent_key_invalid');
    });

    test('a key that has leaked is ended at once, by whoever has another one', async (t) => {
      const agent = await start(t, 'leaks');
      const { key, at } = await joined(agent);
      const { key: operator } = await keyHolder(world, ['read', 'write']);
      const { json } = await api('POST', `${at}/rotate-key`, { keep_old_for_seconds: 0 }, operator);
      assert.equal(json.old_valid_until, null);
      assert.equal(codeOf(await api('GET', at, undefined, key)), '401 agent_key_invalid');
      assert.equal((await api('GET', at, undefined, json.api_key)).status, 200);
    });

    test('a key is over when its time is', async (t) => {
      const agent = await start(t, 'expires');
      const { key, at, id } = await joined(agent);
      await api('POST', `${at}/rotate-key`, undefined, key);
      await world.sql`update agent_registry set old_key_until = now() - interval '1 second' where id = ${id}`;
      assert.equal(codeOf(await api('GET', at, undefined, key)), '401 agent_key_invalid');
    });

    test('calls are signed with both secrets while both hold', async (t) => {
      const agent = await start(t, 'signs');
      const line = await world.line();
      const { key, at, id, secret } = await joined(agent, { agent_type: line.type });
      const ask = async () => {
        const before = agent.questions().length;
        await world.refreshAgents();
        const person = line.person();
        await person.text('hi');
        await line.story(person);
        return agent.questions().slice(before)[0]!;
      };
      const secrets: Record<string, string> = { first: secret };
      assert.deepEqual(agent.signers(await ask(), secrets), ['first']);
      const rotate = async () => (await api('POST', `${at}/rotate-secret`, {}, key)).json.signing_secret as string;
      secrets.second = await rotate();
      const both = await ask();
      assert.deepEqual(agent.signers(both, secrets), ['first', 'second']);
      assert.match(String(both.headers['webhook-signature']), /^v1,\S+ v1,\S+$/);
      secrets.third = await rotate();
      assert.deepEqual(agent.signers(await ask(), secrets), ['second', 'third']);
      const beat = await api('POST', `${at}/heartbeat`, { load: 0 }, key);
      assert.notEqual(beat.json.old_secret_valid_until, null);
      await api('POST', `${at}/retire-old`, { what: 'secret' }, key);
      assert.deepEqual(agent.signers(await ask(), secrets), ['third']);
      secrets.fourth = await rotate();
      await world.sql`update agent_registry set old_secret_until = now() - interval '1 second' where id = ${id}`;
      assert.deepEqual(agent.signers(await ask(), secrets), ['fourth']);
      // A start brings one of its own, and the one before holds on.
      secrets.fifth = (await joined(agent, { agent_type: line.type })).secret;
      assert.deepEqual(agent.signers(await ask(), secrets), ['fourth', 'fifth']);
    });

    test('what is wrong with a rotation is named', async (t) => {
      const agent = await start(t, 'rotates wrongly');
      const { key, at } = await joined(agent);
      for (const keep_old_for_seconds of [-1, 604_801, 1.5, '60'])
        assert.deepEqual(errorOf(await api('POST', `${at}/rotate-secret`, { keep_old_for_seconds }, key)), [
          ...[422, 'invalid_request', 'keep_old_for_seconds'],
        ]);
      assert.deepEqual(errorOf(await api('POST', `${at}/retire-old`, { what: 'all' }, key)), [
        422,
        'invalid_request',
        'what',
      ]);
    });
  });

  describe('staying and leaving', () => {
    inOwnWorld();

    test('a heartbeat is noted, and answers with what the agent should know', async (t) => {
      const agent = await start(t, 'beats');
      const { key, at, id } = await joined(agent);
      const beat = (body: object) => api('POST', `${at}/heartbeat`, body, key);
      const first = await beat({ load: 0.25, active_sessions: 3 });
      assert.deepEqual(first.json, {
        ...{ success: true, agent_id: id, status: 'active', health_score: 100, draining: false, drain_reason: null },
        ...{ disabled_reason: null, key_valid_until: null, old_secret_valid_until: null },
      });
      const [row] = await world.sql`
        select load, reported_sessions, last_heartbeat_at > now() - interval '1 minute' as is_fresh
        from agent_registry where id = ${id}`;
      assert.deepEqual({ ...row }, { load: 0.25, reported_sessions: 3, is_fresh: true });
      for (const [body, param] of [
        [{}, 'load'],
        [{ load: 1.5 }, 'load'],
        [{ load: '0' }, 'load'],
        [{ load: 0, active_sessions: -1 }, 'active_sessions'],
        [{ load: 0, status: 'well' }, 'status'],
      ] as const)
        assert.deepEqual(errorOf(await beat(body)), [422, 'invalid_request', param]);
    });

    test('an agent that is leaving says so, and its next start ends it; an operator’s word it does not end', async (t) => {
      const agent = await start(t, 'drains');
      const { key, at, id } = await joined(agent);
      const isDraining = async (body: object) => (await api('POST', `${at}/heartbeat`, body, key)).json.draining;
      assert.equal(await isDraining({ load: 0, draining: true }), true);
      assert.equal(await isDraining({ load: 0 }), true);
      assert.equal(await isDraining({ load: 0, draining: false }), false);
      assert.equal(await isDraining({ load: 0, draining: true }), true);
      const again = await joined(agent);
      assert.equal((await api('GET', at, undefined, again.key)).json.draining, false);
      const operator = await keyHolder(world, ['read', 'write']);
      await operator.call('POST', `/v1/agents/${id}/drain`, { reason: 'new model' });
      assert.equal(await isDraining({ load: 0, draining: false }), true);
      await joined(agent);
      const { json } = await api('GET', at, undefined, again.key);
      assert.deepEqual([json.draining, json.drain_reason], [true, 'new model']);
    });

    test('who leaves is asked nothing and opens nothing, until it comes back', async (t) => {
      const agent = await start(t, 'leaves');
      const { key, at } = await joined(agent);
      const left = await api('POST', `${at}/deactivate`, undefined, key);
      assert.deepEqual(left.json, { success: true, agent_id: at.split('/').at(-1), message: 'Agent deactivated' });
      for (const [method, path] of [
        ['GET', at],
        ['PUT', at],
        ['POST', `${at}/heartbeat`],
        ['POST', `${at}/deactivate`],
        ['POST', `${at}/rotate-key`],
        ['GET', '/api/agents/stats'],
      ] as const)
        assert.equal(
          codeOf(await api(method, path, method === 'GET' ? undefined : {}, key)),
          '401 agent_key_invalid',
          path,
        );
      assert.equal((await api('POST', `${at}/activate`, undefined, key)).status, 200);
      assert.equal((await api('POST', `${at}/activate`, undefined, key)).status, 200);
      assert.equal((await api('GET', at, undefined, key)).json.status, 'active');
      // Somebody else at its place is somebody else.
      await api('POST', `${at}/deactivate`, undefined, key);
      assert.notEqual(`/api/agents/${(await joined(agent)).id}`, at);
    });

    test('somebody else’s agent looks like one that is not there', async (t) => {
      const [mine, theirs] = [await start(t, 'mine'), await start(t, 'theirs')];
      const me = await joined(mine);
      const them = await joined(theirs);
      for (const id of [them.id, crypto.randomUUID(), 'no-id', '%2e%2e'])
        for (const [method, path, body] of [
          ['GET', '', undefined],
          ['PUT', '', { agent_name: 'x' }],
          ['POST', '/heartbeat', { load: 0 }],
          ['POST', '/deactivate', undefined],
          ['POST', '/activate', undefined],
          ['POST', '/rotate-key', {}],
          ['POST', '/rotate-secret', {}],
          ['POST', '/retire-old', {}],
        ] as const)
          assert.equal(
            codeOf(await api(method, `/api/agents/${id}${path}`, body, me.key)),
            '404 not_found',
            `${method} ${path}`,
          );
      assert.equal((await api('GET', them.at, undefined, them.key)).json.agent_name, 'theirs');
    });

    test('how many there are, and how they do', async (t) => {
      const agent = await start(t, 'counted');
      const { key, at } = await joined(agent, { agent_type: 'counted', max_concurrent_sessions: 3 });
      await api('POST', `${at}/heartbeat`, { load: 0, draining: true }, key);
      const { json } = await api('GET', '/api/agents/stats', undefined, key);
      assert.deepEqual(
        json.by_type.find(({ type }: { type: string }) => type === 'counted'),
        { type: 'counted', total: 1, healthy: 1 },
      );
      assert.equal(json.total, json.by_status.active);
      assert.ok(json.total >= 1 && json.alive >= 1 && json.draining >= 1 && json.by_protocol.envelope >= 1);
      assert.equal(codeOf(await api('GET', '/api/agents/stats')), '401 unauthenticated');
    });
  });

  describe('agents of an account', () => {
    inOwnWorld();

    test('are the account’s alone, to see, to change and to be asked', async (t) => {
      const agent = await start(t, 'private');
      const line = await world.line();
      const person = line.person();
      const ours = await accountKey(world, ['read', 'write']);
      const others = await accountKey(world, ['read', 'write']);
      const about = { ...agent.about, agent_type: line.type };
      const added = await api('POST', '/api/agents/register', about, ours.key);
      assert.equal(added.status, 201, added.text);
      const at = `/api/agents/${added.json.agent_id}`;
      assert.equal((await api('GET', at, undefined, ours.key)).status, 200);
      assert.equal((await api('GET', at, undefined, added.json.api_key)).status, 200);
      assert.equal(codeOf(await api('GET', at, undefined, others.key)), '404 not_found');
      assert.equal(codeOf(await api('PUT', at, { agent_name: 'x' }, others.key)), '404 not_found');
      const count = async (key: string) => (await api('GET', '/api/agents/stats', undefined, key)).json.total;
      assert.deepEqual([await count(ours.key), await count(others.key)], [1, 0]);
      // The same name at the same address is another agent when it is another's.
      const theirs = await api('POST', '/api/agents/register', about, others.key);
      assert.notEqual(theirs.json.agent_id, added.json.agent_id);

      // The number is nobody's account's: a private agent is not asked for it.
      const shared = await line.agent(() => 'shared');
      await person.text('hello');
      await line.story(person);
      assert.deepEqual([shared.heard(), agent.questions().length], [['hello'], 0]);
      assert.deepEqual(
        person.texts().map(({ body }) => body),
        ['shared'],
      );
    });

    test('its keys open nothing else', async () => {
      const { key } = await accountKey(world, ['read', 'write']);
      const as = (method: string, path: string, body?: unknown) =>
        call(world.urls.gateway!, method, path, body, { authorization: `Bearer ${key}` });
      for (const path of ['/v1/conversations', '/v1/messages', '/v1/overview?window=1h', '/v1/instance', '/v1/events'])
        assert.equal(codeOf(await as('GET', path)), '403 forbidden', path);
      assert.deepEqual((await as('GET', '/v1/agents')).json, { data: [], next_cursor: null });
      const { json } = await call(world.urls.gateway!, 'GET', '/v1/openapi.json');
      assert.equal(
        codeOf(await as('POST', `/v1/agents/${crypto.randomUUID()}/disable`, { reason: 'x' })),
        '403 forbidden',
      );
      assert.ok(json.paths['/v1/agents/{id}/disable']);
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
