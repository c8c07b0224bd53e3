// Capacity and circuits over many processes: on a real database, each process its own reservations.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { createAdmission } from '../../src/agents/admission.ts';
import type { Agent } from '../../src/agents/agent.ts';
import { type Capacity, createCapacity, type Place } from '../../src/agents/capacity.ts';
import { WELL } from '../../src/agents/health.ts';
import { openPools } from '../../src/database/pools.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { runs } from '../support/property.ts';
import { startProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

describe('capacity and circuits over processes', () => {
  let db: TestDatabase;
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  let agents = 0;
  let stack: AsyncDisposableStack;

  before(async () => {
    db = await freshDatabase({ web: 1, worker: 8, admin: 1 });
  });
  beforeEach(() => {
    stack = new AsyncDisposableStack();
  });
  after(async () => {
    await db.drop();
    assert.deepEqual(errors, []);
  });

  async function agentOf(most: number, more: Partial<Agent> = {}): Promise<Agent> {
    const [row] = await db.admin<{ id: string }[]>`
      insert into agent_registry (name, endpoint_url, api_key_hash, secrets, max_concurrent_sessions)
      values ('a', 'http://a', ${`key ${agents++}`}, '', ${most}) returning id`;
    return {
      ...WELL,
      id: row!.id,
      name: 'a',
      type: 'chat',
      protocol: 'envelope',
      endpointUrl: 'http://a',
      capabilities: [],
      maxConcurrentSessions: most,
      callsInProgress: 0,
      responseMs: 0,
      p99Ms: null,
      lastFailureAt: null,
      signingSecret: '',
      credential: null,
      metadata: {},
      ...more,
    };
  }

  async function processOf(poolId: string, sql = db.pools.worker): Promise<Capacity> {
    const capacity = await createCapacity({ sql, poolId, onError });
    stack.defer(() => capacity.close());
    return capacity;
  }

  const all = async (takes: readonly Promise<Place | null>[]) =>
    (await Promise.all(takes)).filter((place) => place !== null);

  test('any number of processes together never hold more places than the agent takes, and all of those', async () => {
    const agent = await agentOf(50);
    const processes = await Promise.all(['a', 'b', 'c', 'd'].map((poolId) => processOf(poolId)));
    let held = 0;
    let most = 0;
    const work = processes.flatMap((capacity) =>
      Array.from({ length: 60 }, async () => {
        for (let done = 0; done < 3; ) {
          const place = await capacity.take(agent);
          if (place === null) {
            await capacity.roomAt(new Set([agent.id]), 50, new AbortController().signal);
            continue;
          }
          held += 1;
          most = Math.max(most, held);
          await new Promise(setImmediate);
          held -= 1;
          place.leave();
          done += 1;
        }
      }),
    );
    await Promise.all(work);
    assert.ok(most <= 50, `${most} at once`);
    const [one] = processes;
    await Promise.all(processes.slice(1).map((capacity) => capacity.close()));
    // What the others gave back is there for the one that is left.
    const places = await until(async () => {
      const got = await all(Array.from({ length: 50 }, () => one!.take(agent)));
      if (got.length === 50) return got;
      for (const place of got) place.leave();
      return null;
    });
    assert.equal(await one!.take(agent), null);
    for (const place of places) place.leave();
    await stack.disposeAsync();
  });

  test('a process that holds places without using them gives them to one that needs them', async () => {
    const agent = await agentOf(1);
    const [here, there] = [await processOf('here'), await processOf('there')];
    const place = (await here.take(agent))!;
    assert.equal(await there.take(agent), null);
    place.leave();
    // It is kept by the process that had it, until somebody asks.
    const other = await until(() => there.take(agent));
    assert.equal(await here.take(agent), null);
    other.leave();
    await stack.disposeAsync();
  });

  test('what a dead process held is free after its reservation has run out', async () => {
    const agent = await agentOf(2);
    await db.admin`
      insert into agent_slots (agent_id, pool_id, slots, valid_until)
      values (${agent.id}, 'dead', 2, clock_timestamp() + interval '1 second')`;
    const capacity = await processOf('alive');
    assert.equal(await capacity.take(agent), null);
    (await until(() => capacity.take(agent)))!.leave();
    await stack.disposeAsync();
  });

  test('a process that was counted as gone uses nothing of what it had', async () => {
    const agent = await agentOf(4);
    const capacity = await processOf('slow');
    const place = (await capacity.take(agent))!;
    await db.admin`
      update agent_slots set valid_until = clock_timestamp() - interval '1 second' where agent_id = ${agent.id}`;
    await db.admin`
      insert into agent_slots (agent_id, pool_id, slots, valid_until)
      values (${agent.id}, 'fast', 4, clock_timestamp() + interval '1 minute')`;
    await capacity.renew();
    assert.equal(await capacity.take(agent), null);
    place.leave();
    await stack.disposeAsync();
  });

  const take = async (capacity: Capacity, agent: Agent, n: number) =>
    all(Array.from({ length: n }, () => capacity.take(agent)));

  test('calls that outlive their reservation are counted again before anybody is given more', async () => {
    const agent = await agentOf(4);
    const [slow, fast] = [await processOf('slow'), await processOf('fast')];
    const places = await take(slow, agent, 3);
    assert.equal(places.length, 3);
    await db.admin`
      update agent_slots set valid_until = clock_timestamp() - interval '1 second' where agent_id = ${agent.id}`;
    // One that was under way before may have read the time as it was.
    await until(async () => {
      await slow.renew();
      return (
        await db.admin`
          select from agent_slots where agent_id = ${agent.id} and slots = 3 and valid_until > clock_timestamp()`
      ).length;
    });
    assert.equal((await take(fast, agent, 4)).length, 1);
    places[0]!.leave();
    await until(() => fast.take(agent));
    assert.equal(await fast.take(agent), null);
    await stack.disposeAsync();
  });

  test('a process that the database does not hear uses nothing of what others may have by now', async () => {
    const agent = await agentOf(4);
    const { host, port } = db.connection;
    const wire = await startProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    stack.defer(() => wire.down());
    const pools = await openPools(
      { ...db.connection, host: '127.0.0.1', port: wire.port },
      { web: 1, worker: 2, admin: 1 },
    );
    stack.defer(() => pools.close());
    const far = await processOf('far', pools.worker);
    const near = await processOf('near');
    const before = await take(far, agent, 3);
    for (const place of before) place.leave();
    wire.fallSilent();
    // It still has places at hand, for less long than the database keeps them for it.
    const given: Place[] = [];
    await until(
      async () => {
        given.push(...(await take(near, agent, 1)));
        return given.length === 4;
      },
      { what: 'all places being given to the other' },
    );
    const asked = far.take(agent);
    wire.speak();
    assert.equal(await asked, null);
    await stack.disposeAsync();
  });

  test('less than was reserved: calls under way end, and no new one begins before there is room', async () => {
    const agent = await agentOf(100);
    const processes = [await processOf('a'), await processOf('b')];
    const held = (await Promise.all(processes.map((capacity) => take(capacity, agent, 10)))).flat();
    assert.equal(held.length, 20);
    const set = (most: number, trickle: number | null) => db.admin`
      update agent_registry set max_concurrent_sessions = ${most}, trickle = ${trickle} where id = ${agent.id}`;
    const renew = () => Promise.all(processes.map((capacity) => capacity.renew()));
    const takeAll = async () => (await Promise.all(processes.map((capacity) => take(capacity, agent, 10)))).flat();
    await set(3, null);
    await renew();
    assert.equal((await takeAll()).length, 0);
    for (const place of held.splice(0, 17)) place.leave();
    await renew();
    assert.equal((await takeAll()).length, 0);
    held.shift()!.leave();
    const [place, ...more] = await until(takeAll);
    assert.deepEqual(more, []);
    place!.leave();
    for (const other of held) other.leave();
    // The same for one that was out and is trusted with little.
    await set(100, null);
    for (const each of (await takeAll()).reverse()) each.leave();
    await set(100, 2);
    await renew();
    const trusted = await until(async () => {
      const got = await takeAll();
      return got.length > 0 && got;
    });
    assert.ok(trusted.length <= 2, `${trusted.length} calls`);
    await stack.disposeAsync();
  });

  test('what a dead process held is free soon after the clock of the database was set back, too', async () => {
    const agent = await agentOf(2);
    await db.admin`
      insert into agent_slots (agent_id, pool_id, slots, valid_until)
      values (${agent.id}, 'dead', 2, clock_timestamp() + interval '1 hour')`;
    await db.admin`
      update agent_registry set cooling_until = clock_timestamp() + interval '1 hour' where id = ${agent.id}`;
    await db.admin`select shift_times(3600)`;
    const capacity = await processOf('alive');
    (await until(() => capacity.take(agent)))!.leave();
    const [row] = await db.admin`
      select cooling_until < clock_timestamp() + interval '1 second' as is_over from agent_registry where id = ${agent.id}`;
    assert.equal(row!.is_over, true);
    await stack.disposeAsync();
  });

  const step = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), process: fc.nat(2), count: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ kind: fc.constant('leave' as const), process: fc.nat(2), count: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ kind: fc.constant('renew' as const), process: fc.nat(2) }),
    fc.record({ kind: fc.constant('limit' as const), most: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ kind: fc.constant('lapse' as const), process: fc.nat(2) }),
  );

  type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;
  /** A limit below what runs: a call that ends makes no room yet. */
  const loweredUnderCalls: Step[] = [
    { kind: 'take', process: 0, count: 4 },
    { kind: 'limit', most: 1 },
    { kind: 'leave', process: 0, count: 1 },
    { kind: 'take', process: 0, count: 1 },
  ];
  /** A call that goes on is counted again, also where the agent takes fewer by now than others have under way. */
  const lapsedUnderCalls: Step[] = [
    { kind: 'take', process: 1, count: 1 },
    { kind: 'take', process: 0, count: 4 },
    { kind: 'limit', most: 1 },
    { kind: 'lapse', process: 1 },
  ];

  test('property: whatever happens, nobody begins a call beyond the limit, and no place is lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const agent = await agentOf(6);
        const processes = [await processOf('p'), await processOf('q'), await processOf('r')];
        const held: Place[][] = [[], [], []];
        let most = 6;
        const total = () => held.flat().length;
        for (const one of steps) {
          if (one.kind === 'take') {
            const before = total();
            held[one.process]!.push(...(await take(processes[one.process]!, agent, one.count)));
            assert.ok(total() <= Math.max(before, most), `${before} and then ${total()} of ${most}`);
          } else if (one.kind === 'leave') {
            for (const place of held[one.process]!.splice(0, one.count)) place.leave();
          } else if (one.kind === 'renew') await processes[one.process]!.renew();
          else if (one.kind === 'lapse') {
            // It was away for so long that its reservation ran out, and is back before anybody has asked.
            await db.admin`
              update agent_slots set valid_until = clock_timestamp() - interval '1 second'
              where agent_id = ${agent.id} and pool_id = ${'pqr'[one.process]!}`;
            await processes[one.process]!.renew();
            const used = held[one.process]!.length;
            await until(async () => {
              const [row] = await db.admin`
                select slots from agent_slots
                where agent_id = ${agent.id} and pool_id = ${'pqr'[one.process]!} and valid_until > clock_timestamp()`;
              return (row?.slots ?? 0) >= used;
            });
          } else {
            most = one.most;
            await db.admin`update agent_registry set max_concurrent_sessions = ${most} where id = ${agent.id}`;
            for (const capacity of processes) await capacity.renew();
          }
        }
        for (const place of held.flat()) place.leave();
        const got = await until(async () => {
          const places = await take(processes[0]!, agent, 10);
          if (places.length === most) return places;
          for (const place of places) place.leave();
          return null;
        });
        for (const place of got) place.leave();
        await stack.disposeAsync();
        stack = new AsyncDisposableStack();
      }),
      runs(40, { examples: [[loweredUnderCalls], [lapsedUnderCalls]] }),
    );
  });

  test('an agent that comes back is trusted with a trickle, over all processes', async () => {
    const agent = await agentOf(100, { trickle: 2 });
    await db.admin`update agent_registry set trickle = 2 where id = ${agent.id}`;
    const processes = await Promise.all(['a', 'b', 'c'].map((poolId) => processOf(poolId)));
    const places = await all(processes.flatMap((capacity) => [1, 2, 3].map(() => capacity.take(agent))));
    assert.equal(places.length, 2);
    // What the view says is free is what it would be given.
    const free = async () => {
      const [row] = await db.admin`select free_capacity from agent_health_summary where agent_id = ${agent.id}`;
      return row!.free_capacity;
    };
    assert.equal(await free(), 0);
    for (const place of places) place.leave();
    await until(async () => (await free()) === 2);
    await db.admin`update agent_registry set trickle = null where id = ${agent.id}`;
    assert.equal(await free(), 100);
    await db.admin`update agent_registry set disabled_at = now() where id = ${agent.id}`;
    assert.equal(await free(), 0);
    await stack.disposeAsync();
  });

  test('of an agent whose circuit is open exactly one call is made, whoever asks; one that says nothing leaves it to the next', async () => {
    const agent = await agentOf(100, { circuit: 'open' });
    await db.admin`update agent_registry set circuit = 'open', trickle = 1 where id = ${agent.id}`;
    const capacities = new Map<string, Capacity>();
    const processes = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (poolId) => {
        await db.admin`insert into worker_pools (pool_id, lock_key, host, pid) values (${poolId}, 1, 'h', 1)`;
        const registry = { patch: () => {} };
        const capacity = await processOf(poolId);
        capacities.set(poolId, capacity);
        return createAdmission({ sql: db.pools.worker, poolId, capacity, registry, onError });
      }),
    );
    const choice = { agent, as: 'last resort' as const };
    const ask = () => Promise.all(processes.flatMap((one) => [1, 2, 3].map(() => one.admit(choice, 10_000))));
    const first = await ask();
    const admitted = first.filter((one) => typeof one === 'object');
    assert.deepEqual(
      admitted.map((one) => one.isTrial),
      [true],
    );
    const state = async () => (await db.admin`select circuit, trial_by from agent_registry where id = ${agent.id}`)[0]!;
    assert.equal((await state()).circuit, 'half_open');
    admitted[0]!.leave(true);
    await until(async () => (await state()).trial_by === null);
    assert.equal((await state()).circuit, 'open');
    await until(async () => (await ask()).some((one) => typeof one === 'object'));
    // The process that makes the trial dies.
    const { trial_by } = await state();
    await capacities.get(trial_by)!.close();
    await db.admin`delete from worker_pools where pool_id = ${trial_by}`;
    await until(async () => (await ask()).some((one) => typeof one === 'object'));
    assert.notEqual((await state()).trial_by, trial_by);
    await stack.disposeAsync();
  });

  test('a trial respects the pause while others are there; when nobody is left it comes a second after the last failure', async () => {
    const agent = await agentOf(100, { circuit: 'open' });
    const setFailed = (seconds: number) => db.admin`
      update agent_registry set circuit = 'open', trial_by = null, trial_until = null,
        last_failure_at = clock_timestamp() - ${seconds} * interval '1 second',
        cooling_until = clock_timestamp() + interval '1 minute' where id = ${agent.id}`;
    const claim = async (isUrgent: boolean) =>
      (await db.pools.worker`select claim_trial(${agent.id}, 'p', interval '10 seconds', ${isUrgent}) as is`)[0]!.is;
    await setFailed(0);
    assert.deepEqual([await claim(false), await claim(true)], [false, false]);
    await setFailed(2);
    assert.deepEqual([await claim(false), await claim(true)], [false, true]);
  });
});
