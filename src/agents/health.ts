// How well agents do, learned from real calls. A call that failed outranks anything a probe says.
import { now } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import type { Category } from '../errors.ts';
import type { AgentStatus } from './agent.ts';
import type { Registry } from './registry.ts';
import { HEALTHY_SCORE } from './routing.ts';

export type HealthState = {
  readonly status: AgentStatus;
  readonly healthScore: number;
  readonly consecutiveFailures: number;
  readonly coolingUntil: Date | null;
};

const FAILURE_COST = 20;
/** A busy agent is at its limit, not broken: routing looks elsewhere for a moment. */
const BUSY_COST = 5;
const SUCCESS_GAIN = 10;
const DISABLED_AFTER = 3;
const MAX_PAUSE_MS = 60_000;

/** After a failed call: the score falls, and the pause doubles with each failure in a row: 2 s, 4 s … 60 s. */
export function afterFailure(state: HealthState, category: Category, now: Date): HealthState {
  const busy = category === 'rate_limit';
  const consecutiveFailures = state.consecutiveFailures + (busy ? 0 : 1);
  const healthScore = Math.max(0, state.healthScore - (busy ? BUSY_COST : FAILURE_COST));
  const pauseMs = Math.min(MAX_PAUSE_MS, 2 ** Math.max(1, Math.min(consecutiveFailures, 10)) * 1000);
  const until = new Date(now.getTime() + pauseMs);
  return {
    status: statusFor(state.status, healthScore, consecutiveFailures),
    healthScore,
    consecutiveFailures,
    coolingUntil: state.coolingUntil !== null && state.coolingUntil > until ? state.coolingUntil : until,
  };
}

/** After an answered call: trouble is over. One success is the trial that brings an agent back to healthy. */
export function afterSuccess(state: HealthState): HealthState {
  const healthScore = Math.min(100, Math.max(HEALTHY_SCORE, state.healthScore + SUCCESS_GAIN));
  return { status: statusFor(state.status, healthScore, 0), healthScore, consecutiveFailures: 0, coolingUntil: null };
}

/** Only its owner deactivates an agent, and only its owner brings it back. */
function statusFor(status: AgentStatus, healthScore: number, consecutiveFailures: number): AgentStatus {
  if (status === 'deactivated') return status;
  if (consecutiveFailures >= DISABLED_AFTER) return 'disabled';
  return healthScore < HEALTHY_SCORE ? 'degraded' : 'active';
}

function inTrouble(state: HealthState): boolean {
  return (
    state.status !== 'active' || state.healthScore < 100 || state.consecutiveFailures > 0 || state.coolingUntil !== null
  );
}

type HealthEvent =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly category: Category; readonly startedAt: Date; readonly at: Date };

export type HealthRecorder = {
  /** Notes an answered call that took `ms`. Costs no query while the agent is in full health. */
  recordSuccess(agentId: string, ms: number): void;
  /**
   * Notes a failed call and writes it at once. Calls that were already under way when an earlier failure was written are
   * the same incident and do not count again: a restart that breaks 500 calls is one failure. Not for calls that we
   * cancelled.
   */
  recordFailure(agentId: string, category: Category, startedAt: Date): void;
  /** Writes what is still in memory; resolves when all of it is stored. */
  flush(): Promise<void>;
  close(): Promise<void>;
};

/**
 * Keeps the health columns of `agent_registry`. The local snapshot is changed first, so the very next choice in this
 * process already knows; writes follow, one at a time per agent, so an outage under load cannot use up the pool.
 */
export function createHealthRecorder(deps: {
  readonly sql: Sql;
  readonly registry: Pick<Registry, 'find' | 'patch'>;
  readonly onError: (error: unknown) => void;
  /** How often the response times of healthy agents are written. */
  readonly flushMs?: number;
}): HealthRecorder {
  const { sql, registry } = deps;
  const answered = new Map<string, { count: number; sumMs: number }>();
  const waiting = new Map<string, HealthEvent[]>();
  const writers = new Map<string, Promise<void>>();
  const counted = new Map<string, Date>();

  const write = (agentId: string, event: HealthEvent): void => {
    const queue = waiting.get(agentId);
    if (queue !== undefined) {
      queue.push(event);
      return;
    }
    waiting.set(agentId, [event]);
    writers.set(agentId, drain(agentId));
  };

  const drain = async (agentId: string): Promise<void> => {
    for (let events = waiting.get(agentId); events !== undefined && events.length > 0; events = waiting.get(agentId)) {
      waiting.set(agentId, []);
      try {
        const state = await store(sql, agentId, events);
        if (state !== null && waiting.get(agentId)?.length === 0) registry.patch(agentId, state);
      } catch (error) {
        deps.onError(error);
      }
    }
    waiting.delete(agentId);
    writers.delete(agentId);
  };

  const flush = async (): Promise<void> => {
    const batch = [...answered];
    answered.clear();
    try {
      if (batch.length > 0) await storeTimes(sql, batch);
    } catch (error) {
      deps.onError(error);
    }
    await Promise.all(writers.values());
  };

  const timer = setInterval(() => void flush(), deps.flushMs ?? 5_000);
  timer.unref();

  return {
    recordSuccess(agentId, ms) {
      const sum = answered.get(agentId) ?? { count: 0, sumMs: 0 };
      answered.set(agentId, { count: sum.count + 1, sumMs: sum.sumMs + ms });
      const agent = registry.find(agentId);
      if (agent !== null && !inTrouble(agent)) return;
      if (agent !== null) registry.patch(agentId, afterSuccess(agent));
      write(agentId, { kind: 'success' });
    },
    recordFailure(agentId, category, startedAt) {
      const last = counted.get(agentId);
      if (last !== undefined && startedAt < last) return;
      const at = now();
      counted.set(agentId, at);
      const agent = registry.find(agentId);
      if (agent !== null) registry.patch(agentId, afterFailure(agent, category, at));
      write(agentId, { kind: 'failure', category, startedAt, at });
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

type HealthRow = {
  /** The transaction that wrote it. */
  row_version: string;
  status: AgentStatus;
  health_score: number;
  consecutive_failures: number;
  cooling_until: Date | null;
  last_failure_at: Date | null;
};

/**
 * Applies events in order to the row itself, which other processes change too. Null when the agent is gone.
 *
 * Written only over the version that was read, else read again, instead of locked in a transaction: when the connection of a
 * `sql.begin` breaks, postgres.js 3.4.9 sends its rollback on what is no connection any more, which ends the process or never
 * ends at all (test/flow/broken-writes.test.ts).
 */
async function store(sql: Sql, agentId: string, events: readonly HealthEvent[]): Promise<HealthState | null> {
  const succeeded = events.some((event) => event.kind === 'success');
  const failure = events.findLast((event) => event.kind === 'failure');
  for (;;) {
    const [row] = await sql<HealthRow[]>`
      select xmin::text as row_version, status, health_score, consecutive_failures, cooling_until, last_failure_at
      from agent_registry where id = ${agentId}`;
    if (row === undefined) return null;
    const state = fold(row, events);
    // Processes on other machines hear of trouble (and of its end) at commit, not at their next look.
    const written = await sql`
      with changed as (
        update agent_registry set
          status = ${state.status},
          health_score = ${state.healthScore},
          consecutive_failures = ${state.consecutiveFailures},
          cooling_until = ${state.coolingUntil},
          last_success_at = case when ${succeeded} then now() else last_success_at end,
          last_failure_at = greatest(last_failure_at, ${failure?.at ?? null}),
          updated_at = now()
        where id = ${agentId} and xmin = ${row.row_version}::text::xid
        returning id
      )
      select pg_notify('agents_changed', id::text) from changed`;
    if (written.length > 0) return state;
  }
}

function fold(row: HealthRow, events: readonly HealthEvent[]): HealthState {
  let state: HealthState = {
    status: row.status,
    healthScore: row.health_score,
    consecutiveFailures: row.consecutive_failures,
    coolingUntil: row.cooling_until,
  };
  for (const event of events) {
    if (event.kind === 'success') state = afterSuccess(state);
    // A failure that another process wrote while this call was under way is the same incident.
    else if (row.last_failure_at === null || event.startedAt >= row.last_failure_at) {
      state = afterFailure(state, event.category, event.at);
    }
  }
  return state;
}

/** Folds the mean of a batch into the smoothed time: each call weighs a tenth, however they are batched. */
async function storeTimes(
  sql: Sql,
  batch: readonly (readonly [string, { count: number; sumMs: number }])[],
): Promise<void> {
  const ids = batch.map(([id]) => id);
  const counts = batch.map(([, sum]) => sum.count);
  const means = batch.map(([, sum]) => sum.sumMs / sum.count);
  await sql`
    update agent_registry agent set
      response_ms = case when agent.response_ms = 0 then new.mean_ms
        else agent.response_ms * power(0.9, new.count) + new.mean_ms * (1 - power(0.9, new.count)) end,
      last_success_at = now()
    from unnest(${ids}::uuid[], ${counts}::int[], ${means}::float8[]) as new (id, count, mean_ms)
    where agent.id = new.id`;
}
