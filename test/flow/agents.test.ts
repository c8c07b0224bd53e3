// Registering, finding and judging agents on a real database.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import type { Agent } from '../../src/agents/agent.ts';
import { createCapacity } from '../../src/agents/capacity.ts';
import { findAgentByKey } from '../../src/agents/credentials.ts';
import { createHealthRecorder } from '../../src/agents/health-recorder.ts';
import { type NewAgent, registerAgent } from '../../src/agents/registration.ts';
import { createRegistry } from '../../src/agents/registry.ts';
import { requestProbe } from '../../src/agents/staged-probe/request.ts';
import { follow, now } from '../../src/clock.ts';
import { registrationRoutes } from '../../src/http/registration.ts';
import { createServer } from '../../src/http/server.ts';
import { createSecretBox } from '../../src/security/secrets.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

let db: TestDatabase;
const secretBox = createSecretBox(randomBytes(32));
const resolve = async () => ['93.184.216.34'];
// A refresh of an hour: what arrives sooner came by notification.
const NEVER = 3_600_000;

const errors: unknown[] = [];
const onError = (error: unknown) => void errors.push(error);

const deps = () => ({ sql: db.pools.web, secretBox, egressAllow: ['127.0.0.0/8'], resolve });
const openRegistry = (inUse: (agentId: string) => number = () => 0) =>
  createRegistry({ sql: db.pools.worker, secretBox, refreshMs: NEVER, inUse, onError });

const ada: NewAgent = {
  name: 'Ada',
  type: 'chat',
  protocol: 'envelope',
  endpointUrl: 'https://agent.example/chat',
  capabilities: [],
  maxConcurrentSessions: 5,
  version: '1.0',
  metadata: { tone: 'calm', nested: { list: [1] } },
  credential: 'sk-1',
};

const add = (type: string) => registerAgent(deps(), { ...ada, type });

const rowOf = async (id: string) => (await db.admin`select * from agent_registry where id = ${id}`)[0]!;

// A suite, so that its database goes before the server under it does.
describe('agents on a real database', () => {
  before(async () => {
    db = await freshDatabase();
  });
  after(async () => {
    await db.drop();
    assert.deepEqual(errors, []);
  });

  test('an agent registered anywhere is known everywhere by notification, with its secrets opened', async () => {
    await using registry = disposable(await openRegistry());
    assert.deepEqual(registry.agents('arrives'), []);
    const { agentId, apiKey, signingSecret } = await add('arrives');
    const agent = await until(() => registry.find(agentId));
    assert.deepEqual(
      [
        agent.name,
        agent.status,
        agent.healthScore,
        agent.signingSecret,
        agent.credential,
        agent.metadata,
        agent.endpointUrl,
      ],
      ['Ada', 'active', 100, signingSecret, 'sk-1', ada.metadata, ada.endpointUrl],
    );
    assert.equal(registry.agents('arrives')[0], agent);
    // Neither secret can be read from the table.
    const row = JSON.stringify(await rowOf(agentId), (_key, value) =>
      value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value,
    );
    for (const secret of [apiKey, signingSecret, 'sk-1']) assert.equal(row.includes(secret), false);
  });

  test('a key finds its agent, and whether it was deactivated', async () => {
    const { agentId, apiKey } = await add('keys');
    assert.deepEqual(await findAgentByKey(db.pools.web, apiKey), {
      id: agentId,
      name: 'Ada',
      type: 'keys',
      accountId: null,
      keyUntil: null,
      isDeactivated: false,
      secretUntil: null,
      isCopy: false,
    });
    for (const key of ['', `${apiKey}x`, apiKey.slice(0, -1)])
      assert.equal(await findAgentByKey(db.pools.web, key), null);
    await db.admin`update agent_registry set status = 'deactivated' where id = ${agentId}`;
    assert.equal((await findAgentByKey(db.pools.web, apiKey))?.isDeactivated, true);
    await using registry = disposable(await openRegistry());
    assert.equal(registry.find(agentId), null);
  });

  test('an agent whose secrets cannot be opened is left out and reported, the others stay', async () => {
    const { agentId } = await add('sealed');
    const { agentId: other } = await registerAgent(
      { ...deps(), secretBox: createSecretBox(randomBytes(32)) },
      { ...ada, name: 'Eve', type: 'sealed' },
    );
    const reported: unknown[] = [];
    await using registry = disposable(
      await createRegistry({
        sql: db.pools.worker,
        secretBox,
        refreshMs: NEVER,
        inUse: () => 0,
        onError: (error) => reported.push(error),
      }),
    );
    assert.deepEqual(
      registry.agents('sealed').map((agent) => agent.id),
      [agentId],
    );
    assert.equal(reported.length, 1);
    await db.admin`delete from agent_registry where id = ${other}`;
  });

  test('running calls show at once, also after health changed', async () => {
    const { agentId } = await add('load');
    await using capacity = disposable(await createCapacity({ sql: db.pools.worker, poolId: 'here', onError }));
    await using registry = disposable(await openRegistry(capacity.inUse));
    const load = () => registry.agents('load')[0]!.callsInProgress;
    const take = async () => (await capacity.take(registry.find(agentId)!))!;
    const places = [await take(), await take()];
    assert.equal(load(), 2);
    registry.patch(agentId, { status: 'degraded', healthScore: 60, consecutiveFailures: 2, coolingUntil: null });
    assert.deepEqual([registry.find(agentId)!.status, registry.agents('load')[0]!.healthScore], ['degraded', 60]);
    places[0]!.leave();
    assert.equal(load(), 1);
    places[0]!.leave();
    assert.equal(load(), 1);
    places[1]!.leave();
    assert.equal(load(), 0);
    await registry.refresh();
    assert.equal(registry.find(agentId)!.status, 'active');
  });

  test('failures are known here at once and elsewhere soon; three in a row disable; one success restores', async () => {
    const { agentId } = await add('health');
    await using here = disposable(await openRegistry());
    await using there = disposable(await openRegistry());
    await using health = disposable(
      createHealthRecorder({ sql: db.pools.worker, registry: here, onError, flushMs: NEVER }),
    );
    for (let failure = 1; failure <= 3; failure++) {
      health.recordFailure(agentId, 'network', new Date());
      assert.equal(here.find(agentId)!.consecutiveFailures, failure);
    }
    await health.flush();
    const states = async () =>
      [await rowOf(agentId), here.find(agentId)!, there.find(agentId)!] as [
        { status: string; health_score: number },
        Agent,
        Agent,
      ];
    await until(() => there.find(agentId)!.status === 'disabled');
    const [row, local, remote] = await states();
    assert.deepEqual([row.status, row.health_score], ['disabled', 40]);
    assert.deepEqual(pick(local), pick(remote));
    health.recordSuccess(agentId, 100);
    await health.flush();
    await until(() => there.find(agentId)!.status === 'active');
    const [back, localBack] = await states();
    assert.deepEqual([back.status, back.health_score], ['active', 76]);
    assert.deepEqual(pick(localBack), ['active', 76, 0, null]);
  });

  test('calls that were under way when a failure was counted are the same incident', async () => {
    const { agentId } = await add('incident');
    await using registry = disposable(await openRegistry());
    await using health = disposable(createHealthRecorder({ sql: db.pools.worker, registry, onError, flushMs: NEVER }));
    await using other = disposable(createHealthRecorder({ sql: db.pools.worker, registry, onError, flushMs: NEVER }));
    const startedAt = new Date(Date.now() - 5_000);
    for (let call = 0; call < 500; call++) health.recordFailure(agentId, 'network', startedAt);
    await health.flush();
    // Another process broke on the same restart.
    other.recordFailure(agentId, 'network', startedAt);
    await other.flush();
    const row = await rowOf(agentId);
    assert.deepEqual([row.status, row.consecutive_failures, row.health_score], ['active', 1, 77]);
  });

  test('what was noted before the database’s clock was set back hides no failure after it', async () => {
    const { agentId } = await add('set back');
    await using registry = disposable(await openRegistry());
    await using health = disposable(createHealthRecorder({ sql: db.pools.worker, registry, onError, flushMs: NEVER }));
    await using other = disposable(createHealthRecorder({ sql: db.pools.worker, registry, onError, flushMs: NEVER }));
    follow(new Date(Date.now() + 3_600_000));
    health.recordFailure(agentId, 'network', now());
    await health.flush();
    await db.admin`update agent_registry set last_success_at = now() + interval '59 minutes' where id = ${agentId}`;
    follow(new Date());
    // A process that has not heard of the step yet may leave such a time behind it, too.
    other.recordFailure(agentId, 'network', now());
    await other.flush();
    assert.equal((await rowOf(agentId)).consecutive_failures, 2);
    await db.pools.worker`select shift_times(3600)`;
    const [row] = await db.admin<{ failed: boolean; answered: boolean }[]>`
      select last_failure_at between now() - interval '1 minute' and now() as failed,
        last_success_at between now() - interval '2 minutes' and now() as answered
      from agent_registry where id = ${agentId}`;
    assert.deepEqual({ ...row }, { failed: true, answered: true });
    health.recordFailure(agentId, 'network', now());
    await health.flush();
    assert.equal((await rowOf(agentId)).consecutive_failures, 3);
  });

  test('successes of a healthy agent are written together, response time smoothed', async () => {
    const { agentId } = await add('quiet');
    await using registry = disposable(await openRegistry());
    await using health = disposable(createHealthRecorder({ sql: db.pools.worker, registry, onError, flushMs: NEVER }));
    const writes = async () =>
      (await db.admin`select xmin::text as xmin, response_ms from agent_registry where id = ${agentId}`)[0]!;
    const { xmin } = await writes();
    for (let call = 0; call < 1_000; call++) health.recordSuccess(agentId, call % 2 ? 100 : 300);
    assert.equal((await writes()).xmin, xmin);
    await health.flush();
    const first = await writes();
    assert.notEqual(first.xmin, xmin);
    assert.equal(first.response_ms, 200);
    health.recordSuccess(agentId, 300);
    await health.flush();
    assert.equal(Math.round((await writes()).response_ms), 210);
    await health.flush();
    assert.notEqual((await rowOf(agentId)).last_success_at, null);
  });

  test('a probe that no worker makes says so instead of waiting for ever; one of an agent that is not there, that', async () => {
    const { agentId } = await add('unprobed');
    const code = (id: string) =>
      requestProbe(db.pools.web, id, 'full', 150).then(
        () => 'answered',
        (error) => error.code,
      );
    assert.deepEqual([await code(agentId), await code(crypto.randomUUID())], ['probe_unanswered', 'not_found']);
  });

  test('POST /api/agents/register answers 201 with secrets that work', async () => {
    const server = createServer({ name: 'test', logger: pino({ level: 'silent' }), isClosing: () => false });
    const probe = async () => assert.fail('it was to be skipped');
    await registrationRoutes(server, { ...deps(), probe, registrationSecret: 'the-registration-secret' });
    const response = await server.inject({
      method: 'POST',
      url: '/api/agents/register?probe=skip',
      payload: {
        registration_secret: 'the-registration-secret',
        agent_name: 'Grace 🤖',
        agent_type: 'http',
        endpoint_url: 'http://127.0.0.1:9100/v1',
        capabilities: ['chat', 'chat', 'media'],
        protocol: 'openai',
        metadata: { api_key: 'sk-2', model: 'm' },
      },
    });
    assert.equal(response.statusCode, 201, response.body);
    const { agent_id, api_key, signing_secret, ...rest } = response.json();
    assert.deepEqual(rest, { success: true, message: 'Agent registered successfully', probe: null });
    assert.equal((await findAgentByKey(db.pools.web, api_key))!.id, agent_id);
    await using registry = disposable(await openRegistry());
    const agent = registry.find(agent_id)!;
    assert.deepEqual(
      [
        agent.name,
        agent.protocol,
        agent.capabilities,
        agent.metadata,
        agent.credential,
        agent.signingSecret,
        agent.maxConcurrentSessions,
      ],
      ['Grace 🤖', 'openai', ['chat', 'media'], { model: 'm' }, 'sk-2', signing_secret, 100],
    );
    await server.close();
  });
});

function pick(agent: Agent) {
  return [agent.status, agent.healthScore, agent.consecutiveFailures, agent.coolingUntil];
}

function disposable<T extends { close(): Promise<void> }>(thing: T): T & AsyncDisposable {
  return Object.assign(thing, { [Symbol.asyncDispose]: () => thing.close() });
}
