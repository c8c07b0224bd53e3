// Agents as operators and they themselves see them. Without their secrets, which the part that faces the internet cannot read.
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import type { AgentStatus, Circuit, Protocol } from './agent.ts';
import { HEALTHY_SCORE } from './health.ts';
import { DEMO_SOURCE } from './house-agents.ts';
import { noSuchAgent } from './registration.ts';
import type { Probe } from './staged-probe/stages.ts';

export type ListedAgent = {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly protocol: Protocol;
  readonly endpoint_url: string;
  readonly capabilities: string[];
  readonly version: string | null;
  /** An operator's `disable` is in it. */
  readonly status: AgentStatus;
  readonly health_score: number;
  readonly response_ms: number;
  readonly active_sessions: number;
  readonly max_concurrent_sessions: number;
  readonly consecutive_failures: number;
  readonly success_rate: number;
  /** Time to answer over the last quarter of an hour, milliseconds; null: too few calls to say. */
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
  readonly circuit: Circuit;
  /** Calls under way, over all processes, as of a second ago. */
  readonly calls_in_progress: number;
  readonly last_success_at: Date | null;
  readonly last_failure_at: Date | null;
  readonly account_id: string | null;
  readonly draining_since: Date | null;
  readonly draining_by: string | null;
  readonly drain_reason: string | null;
  readonly disabled_at: Date | null;
  readonly disabled_by: string | null;
  readonly disabled_reason: string | null;
  readonly last_heartbeat_at: Date | null;
  readonly load: number | null;
  readonly registered_at: Date;
};

export type AgentInFull = ListedAgent & {
  readonly metadata: Record<string, unknown>;
  readonly reported_sessions: number | null;
  readonly cooling_until: Date | null;
  readonly probe_failures: number;
  readonly circuit_opened_at: Date | null;
  /** Calls at once that it is trusted with after it was out; null: all that it takes. */
  readonly trickle: number | null;
  readonly last_check: 'up' | 'down' | 'unknown' | null;
  readonly last_check_error: string | null;
  readonly last_check_at: Date | null;
  readonly old_key_until: Date | null;
  readonly old_secret_until: Date | null;
  readonly updated_at: Date;
  readonly deactivated_at: Date | null;
  /** The operator or key that did it; null: the agent itself, or a start whose configuration no longer names it. */
  readonly deactivated_by: string | null;
  readonly last_probe: Probe | null;
};

/** Whose agents: an account's, nobody's account's (null), or all of them. */
export type Owner = { readonly accountId?: string | null | undefined };

export type AgentFilter = Owner & {
  readonly status?: AgentStatus | undefined;
  readonly type?: string | undefined;
  readonly protocol?: Protocol | undefined;
  /** Part of the name, in any case. */
  readonly name?: string | undefined;
  /** The id of the last one of the page before. */
  readonly cursor?: string | undefined;
  readonly limit: number;
};

/** All that were not deactivated, oldest first. */
export async function listAgents(sql: Sql): Promise<ListedAgent[]> {
  return sql<ListedAgent[]>`
    select ${listed(sql)} from agent_registry agent where status <> 'deactivated' order by id`;
}

/** A page, oldest first; without a status all but the deactivated ones. Throws invalid_request for a cursor that is none. */
export async function findAgents(
  sql: Sql,
  filter: AgentFilter,
): Promise<{ data: ListedAgent[]; next_cursor: string | null }> {
  const { status, type, protocol, name, cursor, limit } = filter;
  if (cursor !== undefined && !isUuid(cursor)) {
    throw new DarkspereError(
      'invalid_request',
      'cursor must be the next_cursor of the page before, unchanged. Leave it out for the first page.',
      { param: 'cursor' },
    );
  }
  const rows = await sql<ListedAgent[]>`
    select ${listed(sql)} from agent_registry agent
    where ${status === undefined ? sql`status <> 'deactivated'` : sql`${statusOf(sql)} = ${status}`}
      ${type === undefined ? sql`` : sql`and type = ${type}`}
      ${protocol === undefined ? sql`` : sql`and protocol = ${protocol}`}
      ${name === undefined ? sql`` : sql`and position(lower(${name}) in lower(name)) > 0`}
      ${cursor === undefined ? sql`` : sql`and id > ${cursor}`}
      ${ownedBy(sql, filter)}
    order by id limit ${limit + 1}`;
  const data = rows.slice(0, limit);
  return { data, next_cursor: rows.length > limit ? data.at(-1)!.id : null };
}

/** One agent, a deactivated one too. Throws `not_found`, also for one of somebody else. */
export async function readAgent(sql: Sql, agentId: string, owner: Owner = {}): Promise<AgentInFull> {
  const [row] = await sql<AgentInFull[]>`
    select ${listed(sql)}, metadata, reported_sessions, cooling_until, updated_at, deactivated_at,
      deactivated_by, last_probe, probe_failures, circuit_opened_at, trickle, checked.outcome as last_check, checked.error_code as last_check_error,
      id_time(checked.id) as last_check_at,
      case when old_key_until > now() then old_key_until end as old_key_until,
      case when old_secret_until > now() then old_secret_until end as old_secret_until
    from agent_registry agent
    left join lateral (
      select c.id, c.outcome, c.error_code from agent_health_checks c where c.agent_id = agent.id order by c.id desc limit 1
    ) checked on true
    where agent.id = ${agentId} ${ownedBy(sql, owner)}`;
  if (!row) throw noSuchAgent();
  return row;
}

export type Answerers = {
  readonly address: string;
  readonly agentType: string;
  /** Whether it requires more of them than the type. */
  readonly isPicky: boolean;
  /** Who may be asked, healthy or not: agents, the demo agent alone, or nobody. */
  readonly who: 'agents' | 'demo' | 'nobody';
};

/** Our numbers in use, and who answers each. */
export async function answerersOfNumbers(sql: Sql): Promise<Answerers[]> {
  return sql<Answerers[]>`
    select n.address, n.agent_type as "agentType", n.required_capabilities <> '{}' as "isPicky",
      case asked.are_demo when true then 'demo' when false then 'agents' else 'nobody' end as who
    from phone_numbers n cross join lateral (
      select bool_and(coalesce(a.metadata ->> 'source', '') = ${DEMO_SOURCE}) as are_demo from agent_registry a
      where a.type = n.agent_type and a.capabilities @> n.required_capabilities and a.status <> 'deactivated'
        and a.disabled_at is null and a.account_id is null
    ) asked
    where n.is_active order by n.address`;
}

export type Stats = {
  total: number;
  by_status: Record<string, number>;
  healthy: number;
  draining: number;
  alive: number;
  active_sessions: number;
  max_concurrent_sessions: number;
  average_health_score: number | null;
  by_type: { type: string; total: number; healthy: number }[];
  by_protocol: Record<string, number>;
};

/** How many agents there are and how they do, the deactivated ones not counted. */
export async function agentStats(sql: Sql, owner: Owner = {}): Promise<Stats> {
  const [row] = await sql<[Stats]>`
    with living as materialized (
      select id, type, protocol, ${statusOf(sql)} as status, health_score, max_concurrent_sessions, draining_since,
        last_heartbeat_at,
        ${statusOf(sql)} = 'active' and circuit = 'closed' and health_score >= ${HEALTHY_SCORE}
          and coalesce(cooling_until <= now(), true)
          as is_healthy
      from agent_registry agent where status <> 'deactivated' ${ownedBy(sql, owner)}
    )
    select count(*)::int as total,
      coalesce((select json_object_agg(status, n) from (select status, count(*) as n from living group by 1) g), '{}')
        as by_status,
      (count(*) filter (where is_healthy))::int as healthy,
      (count(*) filter (where draining_since is not null))::int as draining,
      (count(*) filter (where last_heartbeat_at > now() - interval '1 minute'))::int as alive,
      (select count(*)::int from agent_sessions s join living l on l.id = s.agent_id where s.is_active) as active_sessions,
      coalesce(sum(max_concurrent_sessions), 0)::float8 as max_concurrent_sessions,
      round(avg(health_score), 1)::float8 as average_health_score,
      coalesce((select json_agg(g order by g.type) from (
        select type, count(*) as total, count(*) filter (where is_healthy) as healthy from living group by 1) g), '[]')
        as by_type,
      coalesce((select json_object_agg(protocol, n) from (select protocol, count(*) as n from living group by 1) g), '{}')
        as by_protocol
    from living`;
  return row!;
}

function listed(sql: Sql) {
  return sql`
    agent.id, name, type, protocol, endpoint_url, capabilities, version, ${statusOf(sql)} as status, health_score, response_ms,
    max_concurrent_sessions, consecutive_failures, success_rate, p50_ms, p95_ms, p99_ms, circuit, last_success_at,
    last_failure_at, account_id, draining_since, draining_by, drain_reason, disabled_at, disabled_by, disabled_reason,
    last_heartbeat_at, load, registered_at,
    (select coalesce(sum(slots.in_use), 0)::int from agent_slots slots
      where slots.agent_id = agent.id and slots.valid_until > clock_timestamp()) as calls_in_progress,
    (select count(*)::int from agent_sessions s where s.agent_id = agent.id and s.is_active) as active_sessions`;
}

/** Health may have written another status since an operator disabled the agent. */
function statusOf(sql: Sql) {
  return sql`case when disabled_at is not null and status <> 'deactivated' then 'disabled' else status end`;
}

function ownedBy(sql: Sql, { accountId }: Owner) {
  return accountId === undefined ? sql`` : sql`and account_id is not distinct from ${accountId}::uuid`;
}
