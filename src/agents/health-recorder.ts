// Writes down how agents do: calls from the text path, probes from beside it.
import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import type { Category } from '../errors.ts';
import type { AgentStatus, Circuit } from './agent.ts';
import { bucketOf, count, FAILED, type Histogram } from './call-times.ts';
import {
  afterCounting,
  afterFailure,
  afterProbe,
  afterSuccess,
  type HealthState,
  isInTrouble,
  scoreOf,
} from './health.ts';
import type { Registry } from './registry.ts';

type Failure = {
  readonly kind: 'failure';
  readonly category: Category;
  readonly startedAt: Date;
  readonly at: Date;
  readonly wasTrial: boolean;
};
type HealthEvent =
  | { readonly kind: 'success' }
  | Failure
  | { readonly kind: 'probe'; readonly isUp: boolean; readonly startedAt: Date }
  | { readonly kind: 'counted' };

export type HealthRecorder = {
  /** Notes an answered call that took `ms`. Costs no query while the agent is in full health. */
  recordSuccess(agentId: string, ms: number): void;
  /**
   * Notes a failed call and writes it at once. Calls that were already under way when an earlier failure was written are
   * the same incident and do not count again: a restart that breaks 500 calls is one failure. Not for calls that we
   * cancelled. `wasTrial`: the call was the one trial of an agent that is out.
   */
  recordFailure(agentId: string, category: Category, startedAt: Date, wasTrial?: boolean): void;
  /** Notes a probe and resolves when it is written. A bad one does not count when a call was answered since it began or shortly before. */
  recordProbe(agentId: string, isUp: boolean, startedAt: Date): Promise<void>;
  /** Writes what is still in memory; resolves when all of it is stored. */
  flush(): Promise<void>;
  close(): Promise<void>;
};

/** An answered call outranks a probe that fails within this time. */
export const CALL_OUTRANKS_MS = 30_000;
/** Between writes about one agent while it is in trouble and answers: what comes meanwhile is one write. */
const GAP_MS = 100;
/** A failure this far ahead was written before the clock was set back; less is how far readings of it differ. */
const SET_BACK_MS = 2_000;
/** After a failure the agent is looked at before its pause ends. */
const PROBE_AFTER_FAILURE_MS = 1_000;

type Times = { count: number; sumMs: number; buckets: Histogram };

/**
 * Keeps the health columns of `agent_registry`. The local snapshot is changed first, so the very next choice in this
 * process already knows; writes follow, one at a time per agent, so an outage under load cannot use up the pool.
 */
export function createHealthRecorder(deps: {
  readonly sql: Sql;
  readonly registry: Pick<Registry, 'find' | 'patch'>;
  readonly onError: (error: unknown) => void;
  /** How often the times of calls are written. */
  readonly flushMs?: number;
  /** Whether there are probes, so that one can be asked for after a failure. */
  readonly probes?: boolean;
}): HealthRecorder {
  const { sql, registry } = deps;
  const probes = deps.probes ?? false;
  const times = new Map<string, Times>();
  const waiting = new Map<string, HealthEvent[]>();
  const writers = new Map<string, Promise<void>>();
  const counted = new Map<string, Date>();
  const closing = new AbortController();

  const write = (agentId: string, event: HealthEvent): Promise<void> => {
    const queue = waiting.get(agentId);
    if (queue !== undefined) queue.push(event);
    else {
      waiting.set(agentId, [event]);
      writers.set(agentId, drain(agentId));
    }
    return writers.get(agentId)!;
  };

  const drain = async (agentId: string): Promise<void> => {
    for (let events = waiting.get(agentId); events !== undefined && events.length > 0; events = waiting.get(agentId)) {
      waiting.set(agentId, []);
      try {
        const state = await store(sql, agentId, events, probes);
        if (state !== null && waiting.get(agentId)?.length === 0) registry.patch(agentId, state);
      } catch (error) {
        deps.onError(error);
      }
      const next = waiting.get(agentId) ?? [];
      if (next.length > 0 && next.every((event) => event.kind === 'success'))
        await sleep(GAP_MS, undefined, { signal: closing.signal }).catch(() => {});
    }
    waiting.delete(agentId);
    writers.delete(agentId);
  };

  const timesOf = (agentId: string): Times => {
    const known = times.get(agentId);
    if (known !== undefined) return known;
    const fresh: Times = { count: 0, sumMs: 0, buckets: new Map() };
    times.set(agentId, fresh);
    return fresh;
  };

  const flush = async (): Promise<void> => {
    const batch = [...times];
    times.clear();
    try {
      if (batch.length > 0) for (const [id, p95Ms] of await storeTimes(sql, batch)) noteCounted(id, p95Ms);
    } catch (error) {
      deps.onError(error);
    }
    await Promise.all(writers.values());
  };

  /** The percentiles are in the row already; the score follows where they change it. */
  function noteCounted(agentId: string, p95Ms: number | null): void {
    const agent = registry.find(agentId);
    if (agent === null || scoreOf({ ...agent, p95Ms }) === scoreOf(agent)) return;
    registry.patch(agentId, afterCounting(agent, p95Ms));
    void write(agentId, { kind: 'counted' });
  }

  const timer = setInterval(() => void flush(), deps.flushMs ?? 5_000);
  timer.unref();

  return {
    recordSuccess(agentId, ms) {
      const sum = timesOf(agentId);
      sum.count += 1;
      sum.sumMs += ms;
      count(sum.buckets, bucketOf(ms));
      const agent = registry.find(agentId);
      if (agent !== null && !isInTrouble(agent)) return;
      if (agent !== null) registry.patch(agentId, afterSuccess(agent));
      void write(agentId, { kind: 'success' });
    },
    recordFailure(agentId, category, startedAt, wasTrial = false) {
      count(timesOf(agentId).buckets, FAILED);
      if (isSameIncident(startedAt, counted.get(agentId)) && !wasTrial) return;
      const at = now();
      counted.set(agentId, at);
      const agent = registry.find(agentId);
      if (agent !== null)
        registry.patch(agentId, { ...afterFailure(agent, category, at, wasTrial), lastFailureAt: at });
      void write(agentId, { kind: 'failure', category, startedAt, at, wasTrial });
    },
    recordProbe: (agentId, isUp, startedAt) => write(agentId, { kind: 'probe', isUp, startedAt }),
    flush,
    async close() {
      clearInterval(timer);
      closing.abort();
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
  success_rate: number;
  p95_ms: number | null;
  probe_failures: number;
  backoff: number;
  circuit: Circuit;
  circuit_opened_at: Date | null;
  trickle: number | null;
  trial_until: Date | null;
  last_success_at: Date | null;
  last_failure_at: Date | null;
};

/**
 * Applies events in order to the row itself, which other processes change too. Null when the agent is gone.
 *
 * Written only over the version that was read, else read again, instead of locked in a transaction: when the connection of a
 * `sql.begin` breaks, postgres.js 3.4.9 sends its rollback on what is no connection any more, which ends the process or never
 * ends at all (test/flow/broken-writes.test.ts).
 */
async function store(
  sql: Sql,
  agentId: string,
  events: readonly HealthEvent[],
  probes: boolean,
): Promise<HealthState | null> {
  const succeeded = events.some((event) => event.kind === 'success');
  const failure = events.findLast((event) => event.kind === 'failure');
  const probeAt = probes && failure ? new Date(failure.at.getTime() + PROBE_AFTER_FAILURE_MS) : null;
  for (;;) {
    const [row] = await sql<HealthRow[]>`
      select xmin::text as row_version, status, health_score, consecutive_failures, cooling_until, success_rate, p95_ms,
        probe_failures, backoff, circuit, circuit_opened_at, trickle, trial_until, last_success_at, last_failure_at
      from agent_registry where id = ${agentId}`;
    if (row === undefined) return null;
    const before = stateOf(row);
    const state = events.reduce((known, event) => fold(known, event, row), before);
    const openedAt =
      state.circuit === 'closed' ? null : before.circuit === 'closed' ? (failure?.at ?? null) : row.circuit_opened_at;
    // Processes on other machines hear of trouble (and of its end) at commit, not at their next look.
    const written = await sql`
      with changed as (
        update agent_registry set
          status = ${state.status},
          health_score = ${state.healthScore},
          consecutive_failures = ${state.consecutiveFailures},
          cooling_until = ${state.coolingUntil},
          success_rate = ${state.successRate},
          probe_failures = ${state.probeFailures},
          backoff = ${state.backoff},
          circuit = ${state.circuit},
          circuit_opened_at = ${openedAt},
          trickle = ${state.trickle},
          trial_until = ${state.trialUntil},
          trial_by = case when ${state.trialUntil === null} then null else trial_by end,
          last_success_at = case when ${succeeded} then now() else last_success_at end,
          last_failure_at = greatest(last_failure_at, ${failure?.at ?? null}),
          updated_at = now()
        where id = ${agentId} and xmin = ${row.row_version}::text::xid
        returning id
      )
      select pg_notify('agents_changed', id::text), case when ${probeAt !== null} then schedule_probe(id, ${probeAt}) end
      from changed`;
    if (written.length > 0) return state;
  }
}

function stateOf(row: HealthRow): HealthState {
  return {
    status: row.status,
    healthScore: row.health_score,
    consecutiveFailures: row.consecutive_failures,
    coolingUntil: row.cooling_until,
    successRate: row.success_rate,
    p95Ms: row.p95_ms,
    probeFailures: row.probe_failures,
    backoff: row.backoff,
    circuit: row.circuit,
    trickle: row.trickle,
    trialUntil: row.trial_until,
  };
}

function fold(state: HealthState, event: HealthEvent, row: HealthRow): HealthState {
  switch (event.kind) {
    case 'success':
      return afterSuccess(state);
    case 'counted':
      return afterCounting(state, row.p95_ms);
    case 'probe': {
      const answeredAt = row.last_success_at?.getTime() ?? 0;
      const isOutranked = answeredAt > event.startedAt.getTime() - CALL_OUTRANKS_MS && state.consecutiveFailures === 0;
      return !event.isUp && isOutranked ? state : afterProbe(state, event.isUp);
    }
    case 'failure': {
      const isKnown = isSameIncident(event.startedAt, row.last_failure_at);
      return isKnown && !event.wasTrial ? state : afterFailure(state, event.category, event.at, event.wasTrial);
    }
  }
}

/** Whether a failure was written, here or by another process, while the call was under way. */
function isSameIncident(startedAt: Date, last: Date | null = null): boolean {
  return last !== null && startedAt < last && last.getTime() < now().getTime() + SET_BACK_MS;
}

/** Adds a batch of calls to the stored histograms; gives the 95th percentile of those agents, milliseconds. */
async function storeTimes(
  sql: Sql,
  batch: readonly (readonly [string, Times])[],
): Promise<(readonly [string, number | null])[]> {
  const calls = batch.map(([agent_id, sum]) => ({
    agent_id,
    count: sum.count,
    mean_ms: sum.count === 0 ? 0 : sum.sumMs / sum.count,
    buckets: Object.fromEntries(sum.buckets),
  }));
  const rows = await sql<{ agent_id: string; p95_ms: number | null }[]>`
    select agent_id, p95_ms from record_call_times(${JSON.stringify(calls)}::text::json)`;
  return rows.map((row) => [row.agent_id, row.p95_ms]);
}
