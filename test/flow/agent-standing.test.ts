// The registration service as agents use it: changing keys, staying known, leaving and coming back, being an account's.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { call, keyHolder } from '../support/operator.ts';
import { accountKey, codeOf, errorOf, registrationDesk } from '../support/registrant.ts';
import { until } from '../support/until.ts';
import { startWorld, type World } from '../support/world.ts';

const secretKey = randomBytes(32);

describe('members of the registration service', () => {
  let world: World;
  /** Each part has one of its own: wrong keys are counted. */
  const inOwnWorld = () => {
    before(async () => {
      world = await startWorld({ env: { DARKSPERE_SECRET_KEY: secretKey.toString('base64') } });
    });
    after(() => world.stop());
  };
  const { start, api, joined } = registrationDesk(() => world);

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
          '403 agent_deactivated',
          path,
        );
      assert.equal((await api('POST', `${at}/activate`, undefined, key)).status, 200);
      assert.equal((await api('POST', `${at}/activate`, undefined, key)).status, 200);
      assert.equal((await api('GET', at, undefined, key)).json.status, 'active');
      // Somebody else at its place is somebody else.
      await api('POST', `${at}/deactivate`, undefined, key);
      assert.notEqual(`/api/agents/${(await joined(agent)).id}`, at);
    });

    test('what an operator ended only an operator takes back, also from one that registers anew', async (t) => {
      const agent = await start(t, 'ended');
      const { key, at, id } = await joined(agent);
      const operator = await keyHolder(world, ['read', 'write']);
      assert.equal((await operator.call('POST', `/v1/agents/${id}/deactivate`)).status, 200);
      const detailOf = async (which: string) => (await operator.call('GET', `/v1/agents/${which}`)).json;
      const statusOf = async (which: string) => (await detailOf(which)).status;
      assert.equal(codeOf(await api('POST', `${at}/activate`, undefined, key)), '403 forbidden');
      assert.equal(await statusOf(id), 'deactivated');
      const { name } = (await operator.call('GET', '/v1/session')).json;
      assert.deepEqual([(await detailOf(id)).deactivated_by, name.startsWith('test ')], [name, true]);

      const again = await joined(agent);
      assert.notEqual(again.id, id);
      const { json } = await operator.call('GET', `/v1/agents/${again.id}`);
      assert.equal(json.status, 'disabled');
      assert.match(json.disabled.reason, /was deactivated by .* registered again/);
      // Leaving and coming again is no way out either.
      await api('POST', `${again.at}/deactivate`, undefined, again.key);
      const third = await joined(agent);
      assert.equal(await statusOf(third.id), 'disabled');
      await operator.call('POST', `/v1/agents/${third.id}/enable`);
      assert.equal(await statusOf(third.id), 'active');
      // Whoever left by itself and was never switched off is welcome.
      await api('POST', `${third.at}/deactivate`, undefined, third.key);
      assert.equal((await detailOf(third.id)).deactivated_by, null);
      assert.equal(await statusOf((await joined(agent)).id), 'active');

      assert.equal((await operator.call('POST', `/v1/agents/${id}/activate`)).status, 200);
      const back = await detailOf(id);
      assert.deepEqual([back.status, back.deactivated_by], ['active', null]);
    });

    test('of its registrations the newest one counts, also after one on a machine whose clock was ahead', async (t) => {
      const agent = await start(t, 'from ahead');
      const left = await joined(agent);
      await api('POST', `${left.at}/deactivate`, undefined, left.key);
      // Ids are made by the machine that registers.
      await world.sql`update agent_registry set id = overlay(id::text placing '7' from 1 for 1)::uuid where id = ${left.id}`;
      const ended = await joined(agent);
      const operator = await keyHolder(world, ['read', 'write']);
      await operator.call('POST', `/v1/agents/${ended.id}/deactivate`);
      const again = await joined(agent);
      assert.equal((await operator.call('GET', `/v1/agents/${again.id}`)).json.status, 'disabled');
    });

    test('an agent that left by itself and was then ended by an operator stays ended', async (t) => {
      const agent = await start(t, 'ended twice');
      const { key, at, id } = await joined(agent);
      const operator = await keyHolder(world, ['read', 'write']);
      await api('POST', `${at}/deactivate`, undefined, key);
      await operator.call('POST', `/v1/agents/${id}/deactivate`);
      assert.equal(codeOf(await api('POST', `${at}/activate`, undefined, key)), '403 forbidden');
    });

    test('an operator who brings it back while another one ends it comes after them', async (t) => {
      const agent = await start(t, 'ended meanwhile');
      const { id } = await joined(agent);
      const operator = await keyHolder(world, ['read', 'write']);
      let isThrough = false;
      let back: ReturnType<typeof operator.call> | undefined;
      await world.sql.begin(async (other) => {
        await other`
          update agent_registry set status = 'deactivated', deactivated_by = 'Ida', deactivated_at = now() where id = ${id}`;
        const [self] = await other<{ pid: number }[]>`select pg_backend_pid() as pid`;
        const waiting = () => world.sql`select from pg_stat_activity where ${self!.pid} = any (pg_blocking_pids(pid))`;
        back = operator.call('POST', `/v1/agents/${id}/activate`).finally(() => {
          isThrough = true;
        });
        await until(async () => isThrough || (await waiting()).length > 0, { what: 'a call that waits for the agent' });
      });
      assert.equal((await back!).status, 200);
      assert.equal((await operator.call('GET', `/v1/agents/${id}`)).json.status, 'active');
    });

    test('an agent that an operator has registered does not choose by itself what it is asked for', async (t) => {
      const agent = await start(t, 'given');
      const operator = await keyHolder(world, ['read', 'write']);
      const about = { ...agent.about, agent_type: 'support', capabilities: ['chat', 'orders'] };
      const added = await api('POST', '/api/agents/register', about, operator.key);
      const at = `/api/agents/${added.json.agent_id}`;
      const change = (body: object, key: string = added.json.api_key) => api('PUT', at, body, key);
      for (const [param, value] of [
        ['agent_type', 'billing'],
        ['agent_name', 'somebody else'],
        ['capabilities', ['chat', 'orders', 'refunds']],
        ['capabilities', ['chat']],
      ] as const)
        assert.deepEqual(errorOf(await change({ [param]: value })), [422, 'invalid_request', param]);
      // As it is, in whatever order, it may be said again at each start; the rest is the agent's own.
      const same = { agent_name: 'given', agent_type: 'support', capabilities: ['orders', 'chat'] };
      assert.equal((await change({ ...same, version: '2', max_concurrent_sessions: 7 })).status, 200);
      assert.equal((await change({ agent_type: 'billing' }, operator.key)).status, 200);
      const { json } = await api('GET', at, undefined, added.json.api_key);
      assert.deepEqual([json.agent_type, json.version, json.max_concurrent_sessions], ['billing', '2', 7]);
      // Who came with the registration secret says what it is.
      const own = await joined(await start(t, 'chooses'));
      assert.equal((await api('PUT', own.at, { agent_type: 'billing' }, own.key)).status, 200);
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
      const counts: number[] = Object.values(json.by_status);
      assert.equal(
        json.total,
        counts.reduce((sum, n) => sum + n),
      );
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
});
