// What workers, operators and an agent itself do to its row and its places, each pair of it at the same moment (meetings.ts).
import { randomBytes } from 'node:crypto';
import { createHealthRecorder, type HealthRecorder } from '../../src/agents/health-recorder.ts';
import {
  activateAgent,
  deactivateAgent,
  disableAgent,
  drainAgent,
  enableAgent,
  noteHeartbeat,
} from '../../src/agents/standing.ts';
import type { Sql } from '../../src/database/pools.ts';
import type { TestDatabase } from '../support/database.ts';
import { type Act, type Play, verdictOf } from './meetings.ts';

type Scene = { readonly id: string; readonly name: string };

const someKey = () => randomBytes(32);
/** After every other failure: those of calls that were under way together are one incident, and would not be as one after the other. */
const began = () => new Date(Date.now() + 60_000);

const claims = (pool: string, total: number, inUse: number): Act<Scene> => ({
  as: 'worker',
  run: async ({ id }, sql) => (await sql`select claim_slots(${id}, ${pool}, ${total}, ${inUse}) as slots`)[0]!.slots,
});

const renews = (pool: string, slots: number, in_use: number): Act<Scene> => ({
  as: 'worker',
  async run({ id }, sql) {
    const kept = JSON.stringify([{ agent_id: id, slots, in_use }]);
    const [row] = await sql`select slots from renew_slots(${pool}, ${kept}::text::json, false)`;
    return row?.slots;
  },
});

const tries = (pool: string): Act<Scene> => ({
  as: 'worker',
  run: async ({ id }, sql) => (await sql`select claim_trial(${id}, ${pool}, '10 seconds', true) as is`)[0]!.is,
});

const notes = (what: (recorder: HealthRecorder, id: string) => unknown): Act<Scene> => ({
  as: 'worker',
  async run({ id }, sql) {
    const errors: unknown[] = [];
    const registry = { find: () => null, patch: () => {} };
    const recorder = createHealthRecorder({ sql, registry, onError: (error) => errors.push(error) });
    what(recorder, id);
    await recorder.close();
    return errors.map(String);
  },
});

const says = (how: (sql: Sql, id: string) => Promise<unknown>): Act<Scene> => ({
  as: 'web',
  run: ({ id }, sql) => verdictOf(how(sql, id)),
});

const rotates = (what: 'key' | 'secret'): Act<Scene> => ({
  as: 'web',
  run: async ({ id }, sql) => {
    const [row] =
      await sql`select ${sql(`rotate_agent_${what}`)}(${id}, null, ${someKey()}, '1 day') is not null as is`;
    return row!.is;
  },
});

const ACTS = {
  'p claims two places': claims('p', 2, 0),
  'q claims all places': claims('q', 100, 1),
  'p renews': renews('p', 2, 1),
  'p gives back': renews('p', 0, 0),
  'p tries': tries('p'),
  'q tries': tries('q'),
  'p gives the trial back': {
    as: 'worker',
    run: async ({ id }, sql) => (await sql`select release_trial(${id}, 'p')`).length,
  },
  'an answer': notes((recorder, id) => recorder.recordSuccess(id, 10)),
  'a failure': notes((recorder, id) => recorder.recordFailure(id, 'agent_error', began())),
  'the trial fails': notes((recorder, id) => recorder.recordFailure(id, 'agent_error', began(), true)),
  'a good probe': notes((recorder, id) => recorder.recordProbe(id, true, new Date())),
  'a bad probe': notes((recorder, id) => recorder.recordProbe(id, false, new Date())),
  'p begins a probe': {
    as: 'worker',
    run: async ({ id }, sql) => (await sql`select begin_probe(${id}, 'p', '1 minute') as is`)[0]!.is,
  },
  'q begins a probe': {
    as: 'worker',
    run: async ({ id }, sql) => (await sql`select begin_probe(${id}, 'q', '1 minute') as is`)[0]!.is,
  },
  'p ends its probe': {
    as: 'worker',
    run: async ({ id }, sql) =>
      (await sql`select end_probe(${id}, 'p', 'up', null, 1, 0, now() + interval '1 minute')`).length,
  },
  'a start of the agent': {
    as: 'web',
    async run({ name }, sql) {
      const agent = {
        id: crypto.randomUUID(),
        name,
        type: 'chat',
        protocol: 'envelope',
        endpoint_url: 'http://127.0.0.1:9/',
        capabilities: [],
        max_concurrent_sessions: 50,
        metadata: {},
        registered_with: 'secret',
      };
      const [row] = await sql`
        select is_new from register_agent(${JSON.stringify(agent)}::text::json, ${someKey()}, ${someKey()}, '1 day')`;
      return row!.is_new;
    },
  },
  'it drains': says((sql, id) => noteHeartbeat(sql, id, { load: 0, sessions: null, draining: true })),
  'it takes more': says((sql, id) => noteHeartbeat(sql, id, { load: 0, sessions: null, draining: false })),
  'it leaves': says((sql, id) => deactivateAgent(sql, id, null)),
  'it comes back': says((sql, id) => activateAgent(sql, id, 'itself')),
  'an operator drains it': says((sql, id) => drainAgent(sql, id, 'Ida', 'why')),
  'an operator disables it': says((sql, id) => disableAgent(sql, id, 'Ida', 'why')),
  'an operator enables it': says((sql, id) => enableAgent(sql, id)),
  'an operator deactivates it': says((sql, id) => deactivateAgent(sql, id, 'Ida')),
  'an operator activates it': says((sql, id) => activateAgent(sql, id, 'operator')),
  'a new key': rotates('key'),
  'a new secret': rotates('secret'),
} satisfies Readonly<Record<string, Act<Scene>>>;

export async function agentPlay(db: TestDatabase): Promise<Play<Scene>> {
  let agents = 0;
  for (const pool of ['p', 'q'])
    await db.admin`insert into worker_pools (pool_id, lock_key, host, pid) values (${pool}, 1, 'h', 1)`;

  /** An agent with these columns, and what came after it. */
  function after(
    state: Record<string, string | number>,
    ...steps: readonly (keyof typeof ACTS)[]
  ): () => Promise<Scene> {
    return async () => {
      await db.admin`delete from graphile_worker._private_jobs`;
      const name = `agent ${agents++}`;
      const row = { name, endpoint_url: 'http://127.0.0.1:9/', api_key_hash: someKey(), secrets: someKey(), ...state };
      const [added] = await db.admin<{ id: string }[]>`insert into agent_registry ${db.admin(row)} returning id`;
      const scene = { id: added!.id, name };
      for (const step of steps) await ACTS[step].run(scene, db.pools[ACTS[step].as], 0);
      return scene;
    };
  }

  const out = {
    status: 'disabled',
    health_score: 15,
    circuit: 'open',
    trickle: 1,
    consecutive_failures: 5,
    backoff: 5,
    success_rate: 0.6,
  };
  return {
    acts: ACTS,
    scenes: {
      'an agent is well': after({}),
      'places are taken': after({ max_concurrent_sessions: 4 }, 'p claims two places', 'q claims all places'),
      'an agent is out': after(out),
      'p makes its trial': after(out, 'p claims two places', 'p tries'),
      'an agent is on the way back': after(
        { ...out, circuit: 'closed', trickle: 4, consecutive_failures: 0 },
        'p claims two places',
      ),
      'p probes': after({}, 'p begins a probe'),
      'it drains': after({}, 'it drains'),
      'an operator has disabled it': after({}, 'an operator disables it'),
      'it has left': after({}, 'it leaves'),
      'an operator has deactivated it': after({}, 'an operator deactivates it'),
      'it has a copy': after({}, 'a start of the agent'),
    },
    left: async ({ name }) => [
      ...(await db.admin`
        select a.status, a.health_score, a.consecutive_failures, a.cooling_until is not null as cools, a.success_rate, a.probe_failures,
          a.backoff, a.circuit, a.trickle, a.trial_by, a.trial_until is not null as is_tried, a.probe_by, a.draining_by, a.disabled_by,
          a.disabled_reason, a.deactivated_by, a.deactivated_at is not null as is_gone, a.max_concurrent_sessions,
          a.signing_secret is not null as has_new_secret, a.old_key_hash is not null as has_old_key,
          a.old_signing_secret is not null as has_old_secret,
          array(select concat_ws(' ', pool_id, slots, in_use) from agent_slots s where s.agent_id = a.id order by 1) as places,
          array(select concat_ws(' ', is_ending, key_hash is null) from agent_copies c where c.agent_id = a.id order by 1) as copies,
          (select count(*)::int from graphile_worker._private_jobs) as jobs
        from agent_registry a where a.name = ${name} order by a.registered_at`),
    ],
  };
}
