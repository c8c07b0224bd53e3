// The one trial of an agent that is out, over processes that each have their own snapshot, places and records, and that may die.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { type Admitted, createAdmission } from '../../src/agents/admission.ts';
import { createCapacity } from '../../src/agents/capacity.ts';
import { createHealthRecorder } from '../../src/agents/health-recorder.ts';
import { createRegistry } from '../../src/agents/registry.ts';
import { chooseAgent } from '../../src/agents/routing.ts';
import { now } from '../../src/clock.ts';
import { createSecretBox } from '../../src/security/secrets.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { runs } from '../support/property.ts';
import { until } from '../support/until.ts';

type Call = Admitted & { readonly startedAt: Date };

describe('trials over processes', () => {
  let db: TestDatabase;
  const secretBox = createSecretBox(randomBytes(32));
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  let started = 0;

  before(async () => {
    db = await freshDatabase({ web: 1, worker: 8, admin: 1 });
  });
  after(async () => {
    await db.drop();
    assert.deepEqual(errors, []);
  });

  /** An agent in trouble, of a type of its own: alone with an open circuit, or beside one that is well. */
  async function agentInTrouble(isAlone: boolean): Promise<{ id: string; type: string }> {
    const type = `type-${started++}`;
    const secrets = secretBox.seal({ signingSecret: '', credential: null });
    const add = async (name: string, state: Record<string, string | number>) => {
      const row = {
        name,
        type,
        endpoint_url: 'http://a',
        api_key_hash: Buffer.from(`${name} ${type}`),
        secrets,
        ...state,
      };
      const [added] = await db.admin<{ id: string }[]>`insert into agent_registry ${db.admin(row)} returning id`;
      return added!.id;
    };
    if (!isAlone) await add('well', {});
    const mild = { health_score: 75, success_rate: 0.75 };
    const out = { status: 'disabled', health_score: 15, circuit: 'open', trickle: 1, success_rate: 0.6 };
    const id = await add('troubled', isAlone ? { ...out, consecutive_failures: 5, backoff: 5 } : mild);
    return { id, type };
  }

  async function startProcess(type: string, id: string) {
    const poolId = `pool-${started++}`;
    const sql = db.pools.worker;
    const capacity = await createCapacity({ sql, poolId, onError });
    const registry = await createRegistry({ sql, secretBox, refreshMs: 60_000, inUse: capacity.inUse, onError });
    const admission = createAdmission({ sql, poolId, capacity, registry, onError });
    const health = createHealthRecorder({ sql, registry, onError });
    const close = async () => {
      await health.close();
      await registry.close();
      await capacity.close();
    };
    return {
      poolId,
      calls: [] as Call[],
      async ask(): Promise<Call | null> {
        await registry.refresh();
        const wish = { type, capabilities: [], sticky: null, exclude: new Set<string>(), now: now() };
        const choice = chooseAgent(registry.agents(type), wish)!;
        if (choice.agent.id !== id) return null;
        const admitted = await admission.admit(choice, 10_000);
        return typeof admitted === 'object' ? { ...admitted, startedAt: now() } : null;
      },
      async end({ agent, isTrial, startedAt, leave }: Call, how: 'answered' | 'failed' | 'nothing'): Promise<void> {
        if (how === 'answered') health.recordSuccess(agent.id, 10);
        if (how === 'failed') health.recordFailure(agent.id, 'agent_error', startedAt, isTrial);
        leave(how === 'nothing');
        await health.flush();
      },
      close,
      /** Nothing of it is given back. */
      async die(): Promise<void> {
        await close();
        await db.admin`update agent_slots set valid_until = clock_timestamp() where pool_id = ${poolId}`;
      },
    };
  }

  type Process = Awaited<ReturnType<typeof startProcess>>;

  const which = fc.nat(2);
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('ask' as const), all: fc.subarray([0, 1, 2]) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('end' as const),
        which,
        how: fc.constantFrom('answered' as const, 'failed' as const, 'failed' as const, 'nothing' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const), which }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
  );

  test('one of two who ask at the same moment has it, though its place is as new as its trial', async () => {
    const { id } = await agentInTrouble(true);
    let late: Promise<boolean> | undefined;
    await db.admin.begin(async (first) => {
      const [{ pid }] = await first<[{ pid: number }]>`
        select pg_backend_pid() as pid from agent_registry where id = ${id} for no key update`;
      const claiming = db.pools.worker<{ is: boolean }[]>`
        select claim_trial(${id}, 'late', interval '10 seconds', true) as is`;
      late = claiming.then(([row]) => row!.is);
      const waiting = () => db.pools.worker`select from pg_stat_activity where ${pid} = any (pg_blocking_pids(pid))`;
      await until(async () => (await waiting()).length > 0, { what: 'a claim that waits for the agent' });
      await db.pools.worker`select claim_slots(${id}, 'first', 1, 0)`;
      await first`select claim_trial(${id}, 'first', interval '10 seconds', true)`;
    });
    assert.equal(await late, false);
  });

  test('property: never two trials at once, and never none for ever', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 30 }), async (isAlone, steps) => {
        const { id, type } = await agentInTrouble(isAlone);
        const processes = await Promise.all([1, 2, 3].map(() => startProcess(type, id)));
        // The second after a failure and the pauses are over.
        const wait = () => db.admin`
          update agent_registry set last_failure_at = last_failure_at - interval '2 minutes',
            cooling_until = cooling_until - interval '2 minutes' where id = ${id}`;
        for (const one of steps) {
          if (one.kind === 'wait') {
            await wait();
            continue;
          }
          if (one.kind === 'ask') {
            const ask = async (process: Process) => {
              const call = await process.ask();
              if (call !== null) process.calls.push(call);
            };
            await Promise.all(one.all.map((n) => ask(processes[n]!)));
          } else if (one.kind === 'end') {
            const call = processes[one.which]!.calls.shift();
            if (call !== undefined) await processes[one.which]!.end(call, one.how);
          } else {
            await processes[one.which]!.die();
            processes[one.which] = await startProcess(type, id);
          }
          const trials = processes.flatMap(({ calls }) => calls).filter(({ isTrial }) => isTrial);
          assert.ok(trials.length <= 1, `${trials.length} trials`);
        }
        for (const process of processes) for (const call of process.calls.splice(0)) await process.end(call, 'nothing');
        // Whatever came before: from now on it answers, and is well in the end. The time of a trial whose process died is over.
        await db.admin`update agent_registry set trial_until = trial_until - interval '2 minutes' where id = ${id}`;
        await until(
          async () => {
            await wait();
            for (const process of processes) {
              const call = await process.ask();
              if (call !== null) await process.end(call, 'answered');
            }
            const [row] = await db.admin`select circuit, trickle, trial_by from agent_registry where id = ${id}`;
            return row!.circuit === 'closed' && row!.trickle === null && row!.trial_by === null;
          },
          { timeoutMs: 20_000, what: 'an agent that is trusted again' },
        );
        await Promise.all(processes.map((process) => process.close()));
      }),
      runs(15),
    );
  });
});
