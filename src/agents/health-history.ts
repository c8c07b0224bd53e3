// How an agent did over time, in steps of five minutes: what was kept, and what has happened since.
import type { Sql } from '../database/pools.ts';
import type { AgentStatus } from './agent.ts';

export const HISTORY_STEP_MS = 300_000;
const WINDOWS = { '2h': 7_200_000, '24h': 86_400_000 } as const;
export type Window = keyof typeof WINDOWS;

export type HealthPoint = {
  /** Begin of the five minutes. */
  readonly at: Date;
  readonly calls: number;
  readonly failures: number;
  /** Of the calls that were answered, milliseconds; null: there was none. */
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
  /** At the end of the five minutes; null: not known, as while Darkspere did not run. */
  readonly health_score: number | null;
  readonly status: AgentStatus | null;
};

type Row = Omit<HealthPoint, 'at'> & { readonly slot: Date };

/** A worker looks within so long of the end of five minutes. */
const LOOKED_WITHIN_MS = 60_000;
const UNKNOWN = { health_score: null, status: null };
const NOTHING = { calls: 0, failures: 0, p50_ms: null, p95_ms: null, p99_ms: null };

/** Every step of a window, oldest first; the last one is not over. No steps: there is no such agent. */
export async function healthHistory(sql: Sql, agentId: string, window: Window): Promise<HealthPoint[]> {
  const [now] = await sql<Now[]>`
    select clock_timestamp() as at, date_bin('5 minutes', clock_timestamp(), 'epoch') as last,
      date_bin('5 minutes', clock_timestamp() - ${WINDOWS[window]} * interval '1 millisecond', 'epoch') + interval '5 minutes'
        as first, health_score, status
    from agent_registry where id = ${agentId}`;
  if (!now) return [];
  const rows = await sql<Row[]>`
    (select slot, calls, failures, p50_ms, p95_ms, p99_ms, health_score, status
     from agent_health_history where agent_id = ${agentId} and slot < ${now.first} and health_score is not null
     order by slot desc limit 1)
    union all
    (select slot, calls, failures, p50_ms, p95_ms, p99_ms, health_score, status
     from agent_health_history where agent_id = ${agentId} and slot >= ${now.first})
    union all
    -- What the job has not come to yet.
    (select recent.slot, recent.calls, recent.failures, recent.p50_ms, recent.p95_ms, recent.p99_ms, null, null
     from call_times_by_slot(${agentId}, ${now.first}, 'infinity') recent
     where not exists (
       select from agent_health_history kept where kept.agent_id = ${agentId} and kept.slot = recent.slot))`;
  const looks = await sql<{ slot: Date }[]>`select slot from agent_health_looks where slot >= ${now.first}`;
  return filled(rows, new Set(looks.map(({ slot }) => slot.getTime())), now);
}

type Now = {
  readonly at: Date;
  readonly first: Date;
  readonly last: Date;
  readonly health_score: number;
  readonly status: AgentStatus;
};

/** Where somebody looked and kept nothing, nothing had changed: the score is the one before. */
function filled(rows: readonly Row[], looks: ReadonlySet<number>, now: Now): HealthPoint[] {
  const bySlot = new Map(rows.map((row) => [row.slot.getTime(), row]));
  const before = rows.find((row) => row.slot < now.first);
  let known: Pick<HealthPoint, 'health_score' | 'status'> = {
    health_score: before?.health_score ?? null,
    status: before?.status ?? null,
  };
  const points: HealthPoint[] = [];
  const lastMs = now.last.getTime();
  const mayStillBeLookedAt = now.at.getTime() - lastMs < LOOKED_WITHIN_MS;
  let wasSeen = false;
  for (let ms = now.first.getTime(); ms <= lastMs; ms += HISTORY_STEP_MS) {
    const row = bySlot.get(ms);
    if (row && row.health_score !== null) known = { health_score: row.health_score, status: row.status };
    if (ms === lastMs) known = { health_score: now.health_score, status: now.status };
    const { calls, failures, p50_ms, p95_ms, p99_ms } = row ?? NOTHING;
    const isDue: boolean = wasSeen && mayStillBeLookedAt && ms === lastMs - HISTORY_STEP_MS;
    wasSeen = looks.has(ms) || row?.health_score != null || ms === lastMs || isDue;
    points.push({ at: new Date(ms), calls, failures, p50_ms, p95_ms, p99_ms, ...(wasSeen ? known : UNKNOWN) });
  }
  return points;
}
