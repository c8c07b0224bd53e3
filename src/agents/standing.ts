// What operators and the agent itself say about it: that it is to be left alone, is leaving, is back, is alive. Health, which
// follows from calls, is another thing and never overrules this.
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import type { AgentStatus } from './agent.ts';
import { noSuchAgent } from './registration.ts';

/** Who says that an agent is draining, when it says so itself. */
const BY_ITSELF = 'agent';

/** New sessions go to others, while there are any; those that it has go on. Said again, only the reason changes. Throws `not_found`. */
export async function drainAgent(sql: Sql, agentId: string, by: string, reason: string | null): Promise<void> {
  await changed(
    sql,
    sql`
      update agent_registry set draining_since = coalesce(draining_since, now()), draining_by = ${by},
        drain_reason = ${reason}, updated_at = now()
      where id = ${agentId} and status <> 'deactivated'
      returning id`,
  );
}

/** It is asked nothing from now on, until an operator enables it again; calls under way end. Throws `not_found`. */
export async function disableAgent(sql: Sql, agentId: string, by: string, reason: string): Promise<void> {
  await changed(
    sql,
    sql`
      update agent_registry set status = 'disabled', disabled_at = coalesce(disabled_at, now()), disabled_by = ${by},
        disabled_reason = ${reason}, updated_at = now()
      where id = ${agentId} and status <> 'deactivated'
      returning id`,
  );
}

/** Ends a drain and whatever disabled it, failures in a row too: the next texts show how it is. Throws `not_found`. */
export async function enableAgent(sql: Sql, agentId: string): Promise<void> {
  await changed(sql, sql`${fresh(sql)} where id = ${agentId} and status <> 'deactivated' returning id`);
}

/**
 * Takes an agent out until it is activated again: its key opens nothing else and it is asked nothing. Twice is once. `by`: the
 * operator; null: the agent itself, which may come back by itself. Throws `not_found`.
 */
export async function deactivateAgent(sql: Sql, agentId: string, by: string | null): Promise<void> {
  await changed(
    sql,
    sql`
      update agent_registry set status = 'deactivated', deactivated_at = coalesce(deactivated_at, now()),
        deactivated_by = coalesce(${by}, deactivated_by), updated_at = now()
      where id = ${agentId}
      returning id`,
  );
}

/**
 * Brings a deactivated agent back as it was; an operator's `disable` stays. What an operator has ended only an operator takes back:
 * throws `forbidden` when the agent asks for that by itself, and `not_found`.
 */
export async function activateAgent(sql: Sql, agentId: string, by: 'operator' | 'itself'): Promise<void> {
  const mayOverrule = by === 'operator';
  // Locked before it is looked at: it may be on its way out in this very moment.
  const [agent] = await sql<{ is_refused: boolean }[]>`
    with known as (
      select id, status = 'deactivated' as is_out, deactivated_by is not null and not ${mayOverrule} as is_kept_out
      from agent_registry where id = ${agentId} for no key update
    ), changed as (
      update agent_registry a set status = case when a.disabled_at is null then 'active' else 'disabled' end,
        deactivated_at = null, deactivated_by = null, ${untroubled(sql)}, updated_at = now()
      from known k
      where a.id = k.id and k.is_out and not k.is_kept_out
      returning a.id
    )
    select is_out and is_kept_out as is_refused, (select pg_notify('agents_changed', id::text) from changed) from known`;
  if (!agent) throw noSuchAgent();
  if (agent.is_refused) {
    throw new DarkspereError(
      'forbidden',
      'An operator has deactivated this agent, and only an operator brings it back.',
    );
  }
}

/** An agent in good standing, whatever was. Its score is that of one whose next answer shows that it is well. */
function fresh(sql: Sql) {
  return sql`
    update agent_registry set status = 'active', health_score = greatest(health_score, 70), ${untroubled(sql)},
      draining_since = null, draining_by = null, drain_reason = null, disabled_at = null,
      disabled_by = null, disabled_reason = null, updated_at = now()`;
}

/** What failures have left behind; what is known of its speed stays. */
function untroubled(sql: Sql) {
  return sql`
    consecutive_failures = 0, cooling_until = null, probe_failures = 0, backoff = 0, circuit = 'closed', circuit_opened_at = null,
    trickle = null, trial_by = null, trial_until = null`;
}

type Statement = ReturnType<typeof fresh>;

/** Runs an update and tells all processes. */
async function changed(sql: Sql, update: Statement): Promise<void> {
  const rows = await sql`
    with changed as (${update}) select pg_notify('agents_changed', id::text) from changed`;
  if (rows.length === 0) throw noSuchAgent();
}

export type Heartbeat = {
  /** 0 to 1. */
  readonly load: number;
  readonly sessions: number | null;
  /** Whether it wants new sessions; absent: as before. */
  readonly draining: boolean | null;
};

export type Standing = {
  readonly status: AgentStatus;
  readonly health_score: number;
  readonly draining_since: Date | null;
  readonly draining_by: string | null;
  readonly drain_reason: string | null;
  readonly disabled_reason: string | null;
  readonly old_secret_until: Date | null;
};

/** Notes that an agent is alive and what it says of itself; gives what it should know. Throws `not_found`. */
export async function noteHeartbeat(sql: Sql, agentId: string, beat: Heartbeat): Promise<Standing> {
  const { draining } = beat;
  const says = draining === true;
  const takesBack = draining === false;
  const [row] = await sql<Standing[]>`
    with before as (
      select id, draining_since from agent_registry where id = ${agentId}
    ), changed as (
      update agent_registry agent set last_heartbeat_at = now(), load = ${beat.load},
        reported_sessions = coalesce(${beat.sessions}::int, agent.reported_sessions),
        draining_since = case
          when ${says} then coalesce(agent.draining_since, now())
          when ${takesBack} and agent.draining_by = ${BY_ITSELF} then null else agent.draining_since end,
        draining_by = case
          when ${says} then coalesce(agent.draining_by, ${BY_ITSELF})
          when ${takesBack} and agent.draining_by = ${BY_ITSELF} then null else agent.draining_by end
      from before
      where agent.id = before.id and agent.status <> 'deactivated'
      returning agent.id, agent.status, agent.health_score, agent.draining_since, agent.draining_by, agent.drain_reason,
        agent.disabled_reason, agent.old_secret_until, before.draining_since is null as was_not
    )
    select changed.*, case
      when was_not <> (draining_since is null) then pg_notify('agents_changed', id::text) end as told
    from changed`;
  if (!row) throw noSuchAgent();
  return row;
}
