// The `probe` job on a real database: one process at a time, calls outrank it, and what it finds is kept.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { createHealthRecorder } from '../../src/agents/health-recorder.ts';
import { createProber } from '../../src/agents/prober.ts';
import { type Meeting, met, none } from '../../src/agents/protocols/meeting.ts';
import { failed } from '../../src/agents/protocols/wire.ts';
import { type NewAgent, registerAgent } from '../../src/agents/registration.ts';
import { createRegistry } from '../../src/agents/registry.ts';
import { disableAgent, enableAgent } from '../../src/agents/standing.ts';
import { newId } from '../../src/ids.ts';
import { createSecretBox } from '../../src/security/secrets.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

const NEVER = 3_600_000;
const INTERVAL_MS = 30_000;

describe('probes on a real database', () => {
  let db: TestDatabase;
  const secretBox = createSecretBox(randomBytes(32));
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);

  before(async () => {
    db = await freshDatabase();
  });
  after(async () => {
    await db.drop();
    assert.deepEqual(errors, []);
  });

  const NEW: NewAgent = {
    name: 'Ada',
    type: 'chat',
    protocol: 'envelope',
    endpointUrl: 'https://agent.example/',
    capabilities: [],
    maxConcurrentSessions: 5,
    version: null,
    metadata: {},
    credential: null,
  };

  /** Two processes with one agent; `meeting` is what comes of meeting it. */
  async function world(meeting: () => Promise<Meeting> | Meeting) {
    const resolve = async () => ['93.184.216.34'];
    // The same name at the same address would be the agent of the test before.
    const wanted = { ...NEW, endpointUrl: `https://agent.example/${newId()}` };
    const { agentId } = await registerAgent({ sql: db.pools.web, secretBox, egressAllow: [], resolve }, wanted);
    const stack = new AsyncDisposableStack();
    const open = async (poolId: string) => {
      await db.admin`insert into worker_pools (pool_id, lock_key, host, pid) values (${poolId}, 1, 'h', 1)`;
      const sql = db.pools.worker;
      const registry = await createRegistry({ sql, secretBox, refreshMs: NEVER, inUse: () => 0, onError });
      stack.defer(() => registry.close());
      const health = createHealthRecorder({ sql, registry, onError, flushMs: NEVER, probes: true });
      stack.defer(() => health.close());
      const meet = async () => meeting();
      return {
        registry,
        health,
        prober: createProber({ sql, poolId, registry, health, meet, intervalMs: INTERVAL_MS }),
      };
    };
    const row = async () => (await db.admin`select * from agent_health_summary where agent_id = ${agentId}`)[0]!;
    const checks = async () => {
      const rows = await db.admin<{ outcome: string; error_code: string | null; status: string }[]>`
        select outcome, error_code, status from agent_health_checks where agent_id = ${agentId} order by id`;
      return rows.map((check) => Object.values(check).join(' ').replace('  ', ' '));
    };
    /** Seconds until the next probe. */
    const nextIn = async () => {
      const [job] = await db.admin<{ s: number }[]>`
        select extract(epoch from run_at - clock_timestamp())::float8 as s from graphile_worker.jobs
        where key = ${`probe:${agentId}`} and locked_at is null`;
      return job?.s ?? null;
    };
    const a = await open(`a ${agentId}`);
    /** Runs the planned probe, whose job is taken by that. */
    const run = async () => {
      await db.admin`delete from graphile_worker._private_jobs where key = ${`probe:${agentId}`}`;
      await a.prober.run({ agent: agentId });
    };
    return { agentId, stack, run, a, b: await open(`b ${agentId}`), row, checks, nextIn };
  }

  const up: Meeting = { outcome: met('', { load: 0.2 }), status: 200 };
  const gone: Meeting = { outcome: failed('agent_refused', ''), status: null };
  const unasked: Meeting = { outcome: none(''), status: 405 };

  test('two processes never probe an agent at once; one that dies leaves it to the other', async () => {
    const hold = Promise.withResolvers<Meeting>();
    const begun = Promise.withResolvers<void>();
    let probes = 0;
    const { agentId, stack, a, b, checks } = await world(() => {
      probes += 1;
      begun.resolve();
      return hold.promise;
    });
    const first = a.prober.run({ agent: agentId });
    await begun.promise;
    await b.prober.run({ agent: agentId });
    assert.equal(probes, 1);
    await db.admin`delete from worker_pools where pool_id = ${`a ${agentId}`}`;
    const second = b.prober.run({ agent: agentId });
    hold.resolve(up);
    await Promise.all([first, second]);
    assert.equal(probes, 2);
    assert.deepEqual(await checks(), ['up active', 'up active']);
    await stack.disposeAsync();
  });

  test('three bad ones disable an agent, sooner each time; a good one brings it back; all of it is kept', async () => {
    let meeting = gone;
    const { stack, run, row, checks, nextIn } = await world(() => meeting);
    const waits: number[] = [];
    for (let n = 0; n < 3; n++) {
      await run();
      waits.push((await nextIn())!);
    }
    assert.ok(
      waits.every((seconds, n) => seconds > 1.4 * 2 ** n && seconds < 2.5 * 2 ** n),
      waits.join(' '),
    );
    assert.deepEqual([(await row()).status, (await row()).probe_failures], ['disabled', 3]);
    meeting = up;
    await run();
    assert.deepEqual(
      [(await row()).status, (await row()).health_score, (await row()).last_check],
      ['active', 100, 'up'],
    );
    assert.ok((await nextIn())! > 20);
    const down = 'down agent_refused';
    assert.deepEqual(await checks(), [`${down} active`, `${down} active`, `${down} disabled`, 'up active']);
    await stack.disposeAsync();
  });

  test('an agent that has just answered somebody is not asked, and one that cannot say is asked rarely', async () => {
    let probes = 0;
    const { agentId, stack, run, a, checks, nextIn } = await world(() => {
      probes += 1;
      return unasked;
    });
    a.health.recordSuccess(agentId, 100);
    await a.health.flush();
    await run();
    assert.deepEqual([probes, await checks()], [0, []]);
    assert.ok((await nextIn())! < 40);
    await db.admin`update agent_registry set last_success_at = clock_timestamp() - interval '1 hour' where id = ${agentId}`;
    await run();
    assert.deepEqual([probes, await checks()], [1, ['unknown active']]);
    assert.ok((await nextIn())! > 200);
    await stack.disposeAsync();
  });

  test('good probes heal nothing that calls have found; a call that fails brings the next probe near', async () => {
    const { agentId, stack, a, row, nextIn } = await world(() => up);
    await a.prober.ensure();
    assert.ok((await nextIn())! <= 30);
    for (let n = 0; n < 3; n++) a.health.recordFailure(agentId, 'network', new Date());
    await a.health.flush();
    assert.ok((await nextIn())! < 2);
    for (let n = 0; n < 5; n++) await a.prober.run({ agent: agentId });
    assert.deepEqual([(await row()).status, (await row()).consecutive_failures], ['disabled', 3]);
    await stack.disposeAsync();
  });

  test('whom an operator has disabled is not asked, until it is enabled', async () => {
    let probes = 0;
    const { agentId, stack, run, a, nextIn } = await world(async () => {
      if (++probes === 1) await disableAgent(db.pools.web, agentId, 'Ada', 'wrong answers');
      return up;
    });
    await run();
    // The one that was under way plans no other.
    assert.equal(await nextIn(), null);
    await a.prober.ensure();
    await run();
    assert.deepEqual([probes, await nextIn()], [1, null]);
    await enableAgent(db.pools.web, agentId);
    await a.prober.ensure();
    assert.ok((await nextIn())! <= 30);
    await run();
    assert.equal(probes, 2);
    await stack.disposeAsync();
  });

  test('percentiles come from the calls of all processes together', async () => {
    const { agentId, stack, a, b, row } = await world(() => up);
    for (let ms = 1; ms <= 50; ms++) a.health.recordSuccess(agentId, ms * 10);
    for (let ms = 51; ms <= 100; ms++) b.health.recordSuccess(agentId, ms * 10);
    await Promise.all([a.health.flush(), b.health.flush()]);
    const { p50_ms, p95_ms, p99_ms } = await row();
    for (const [found, exact] of [
      [p50_ms, 500],
      [p95_ms, 950],
      [p99_ms, 990],
    ] as const)
      assert.ok(Math.abs(found / exact - 1) < 0.03, `${found} is not ${exact}`);
    await stack.disposeAsync();
  });

  test('old checks, histograms and reservations are forgotten', async () => {
    const { agentId, stack } = await world(() => up);
    await db.admin`
      insert into agent_health_checks (id, agent_id, outcome, duration_ms, health_score, status)
      values (id_at(clock_timestamp() - interval '8 days'), ${agentId}, 'up', 1, 100, 'active'),
        (id_at(clock_timestamp() - interval '6 days'), ${agentId}, 'up', 1, 100, 'active')`;
    await db.admin`
      insert into agent_call_times values (${agentId}, clock_timestamp() - interval '3 hours', 5, 1)`;
    await db.admin`
      insert into agent_slots values (${agentId}, 'gone', 1, 0, clock_timestamp() - interval '1 hour')`;
    const [row] = await db.pools.worker`select prune_health() as n`;
    assert.equal(row!.n, 1);
    const left = await db.admin`
      select (select count(*) from agent_health_checks where agent_id = ${agentId})::int as checks,
        (select count(*) from agent_call_times where agent_id = ${agentId})::int as times,
        (select count(*) from agent_slots where agent_id = ${agentId})::int as slots`;
    assert.deepEqual({ ...left[0] }, { checks: 1, times: 0, slots: 0 });
    await stack.disposeAsync();
  });
});
