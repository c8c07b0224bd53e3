-- Percentiles and probes. The score itself is computed in src/agents/health.ts, and written over the row it was read from.

-- Adds calls to the histograms: p_calls is [{ agent_id, count, mean_ms, buckets: { bucket: calls } }]. Gives the agents whose
-- percentiles are known from it. Each answered call weighs a tenth in response_ms, however they are batched.
create or replace function record_call_times(p_calls json)
returns table (agent_id uuid, p95_ms real)
language plpgsql security definer set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  -- A variable: what a volatile function gives is compared with every row instead of being looked up in the index.
  recent_from timestamptz := clock_timestamp() - interval '15 minutes';
begin
  insert into agent_call_times as known (agent_id, slot, bucket, calls)
  select c.agent_id, date_bin('5 minutes', clock_timestamp(), 'epoch'), b.key::smallint, b.value::int
  from json_to_recordset(p_calls) c (agent_id uuid, buckets json)
  cross join lateral json_each_text(c.buckets) b
  where exists (select 1 from agent_registry a where a.id = c.agent_id)
  -- One order for all, or two processes wait for each other.
  order by 1, 2, 3
  on conflict (agent_id, slot, bucket) do update set calls = known.calls + excluded.calls;

  return query
  with asked as materialized (
    select c.agent_id, c.count, c.mean_ms from json_to_recordset(p_calls) c (agent_id uuid, count int, mean_ms float8)
  ), recent as (
    select t.agent_id, t.bucket, sum(t.calls) as calls
    from agent_call_times t join asked on asked.agent_id = t.agent_id
    where t.slot > recent_from and t.bucket >= 0
    group by 1, 2
  ), running as (
    select r.agent_id, r.bucket, sum(r.calls) over (partition by r.agent_id order by r.bucket) as upto,
      sum(r.calls) over (partition by r.agent_id) as total
    from recent r
  ), found as (
    -- Of fewer than ten calls one slow one would be the 95th percentile.
    select r.agent_id, call_ms(min(r.bucket) filter (where r.upto >= 0.5 * r.total)) as p50,
      call_ms(min(r.bucket) filter (where r.upto >= 0.95 * r.total)) as p95,
      call_ms(min(r.bucket) filter (where r.upto >= 0.99 * r.total)) as p99
    from running r where r.total >= 10 group by 1
  ), locked as (
    select a.id from agent_registry a join asked on asked.agent_id = a.id order by a.id for no key update of a
  )
  update agent_registry a set
    p50_ms = f.p50, p95_ms = f.p95, p99_ms = f.p99,
    response_ms = case when asked.count = 0 then a.response_ms when a.response_ms = 0 then asked.mean_ms
      else a.response_ms * power(0.9, asked.count) + asked.mean_ms * (1 - power(0.9, asked.count)) end,
    last_success_at = case when asked.count > 0 then clock_timestamp() else a.last_success_at end
  from locked l join asked on asked.agent_id = l.id left join found f on f.agent_id = l.id
  where a.id = l.id
  returning a.id, a.p95_ms;
end $$;

-- The middle of a bucket, milliseconds.
create or replace function call_ms(p_bucket smallint) returns real language sql immutable parallel safe as $$
  select power(1.04::float8, p_bucket - 0.5)::real
$$;

-- Lets an agent be probed at that time, or sooner if that was planned already.
create or replace function schedule_probe(p_agent uuid, p_at timestamptz)
returns void language plpgsql security definer set search_path = public, pg_temp
as $$
begin
  if not exists (
    select 1 from graphile_worker._private_jobs j
    where j.key = 'probe:' || p_agent and j.locked_at is null and j.run_at <= p_at) then
    -- After the sends, which somebody waits for.
    perform graphile_worker.add_job('probe', json_build_object('agent', p_agent), job_key := 'probe:' || p_agent,
      run_at := p_at, max_attempts := 3, priority := 5);
  end if;
end $$;

-- Takes an agent's probe for a pool: one process at a time. False: another has it, or there is nothing to probe. Whom an operator
-- has disabled is asked nothing at all: no process knows it any more, and what a probe found would bring nothing back.
create or replace function begin_probe(p_agent uuid, p_pool text, p_for interval)
returns boolean language plpgsql security definer set search_path = public, pg_temp
as $$
begin
  update agent_registry a set probe_by = p_pool, probe_until = clock_timestamp() + p_for
  where a.id = p_agent and a.status <> 'deactivated' and a.disabled_at is null
    and (a.probe_until is null or a.probe_by = p_pool or a.probe_until not between clock_timestamp() and clock_timestamp() + p_for
      or not exists (select 1 from worker_pools w where w.pool_id = a.probe_by));
  return found;
end $$;

-- Gives the probe back and plans the next one. p_outcome null: it was not made, because a call has just said more.
create or replace function end_probe(
  p_agent uuid, p_pool text, p_outcome text, p_error_code text, p_duration_ms real, p_load real, p_next_at timestamptz)
returns void language plpgsql security definer set search_path = public, pg_temp
as $$
begin
  update agent_registry set probe_by = null, probe_until = null where id = p_agent and probe_by = p_pool;
  if p_outcome is not null then
    insert into agent_health_checks (agent_id, outcome, error_code, duration_ms, load, health_score, status)
    select a.id, p_outcome, p_error_code, p_duration_ms, p_load, a.health_score, a.status
    from agent_registry a where a.id = p_agent;
  end if;
  perform schedule_probe(a.id, p_next_at) from agent_registry a
  where a.id = p_agent and a.status <> 'deactivated' and a.disabled_at is null;
end $$;

-- Plans the first probe of agents that have none, as after an operator's enable: spread over the interval, or all would be asked in the same second for ever.
create or replace function ensure_probes(p_interval interval)
returns void language sql security definer set search_path = public, pg_temp
as $$
  select schedule_probe(a.id, clock_timestamp() + random() * p_interval)
  from agent_registry a
  -- Whom an operator has disabled is asked nothing.
  where a.status <> 'deactivated' and a.disabled_at is null
    and not exists (select 1 from graphile_worker._private_jobs j where j.key = 'probe:' || a.id)
    -- While it runs its job has no key any more.
    and (a.probe_until is null or a.probe_until < clock_timestamp())
$$;

-- Forgets old probes, histograms, failovers and the slots of processes that are gone; gives how many probes.
create or replace function prune_health(p_checks_older_than interval default '7 days')
returns int language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  n int;
  -- Variables, so that indexes are used (see above).
  first_check uuid := id_at(clock_timestamp() - p_checks_older_than);
  recent_from timestamptz := clock_timestamp() - interval '15 minutes';
  first_failover uuid;
begin
  delete from agent_health_checks where id < first_check;
  get diagnostics n = row_count;
  delete from agent_call_times where slot < clock_timestamp() - interval '2 hours';
  delete from agent_slots where valid_until < clock_timestamp() - interval '2 minutes';
  select id_at(clock_timestamp() - p.keep_months * interval '1 month') into first_failover
  from partitioned_tables p where p.table_name = 'messages';
  delete from session_failovers where id < first_failover;
  -- An agent that nobody has called for so long is no slower than it is. Locked in the order of record_call_times.
  with idle as (
    select a.id from agent_registry a
    where a.p95_ms is not null and not exists (
      select 1 from agent_call_times t where t.agent_id = a.id and t.slot > recent_from)
    order by a.id for no key update
  )
  update agent_registry a set p50_ms = null, p95_ms = null, p99_ms = null from idle where a.id = idle.id;
  return n;
end $$;

-- What was promised to agents for a time of a clock that has been set back: pauses, and places of processes that may be dead. What
-- was noted of them lies in the future too: nobody probes an agent that has just answered.
create or replace function shift_agent_times(p_step interval)
returns void language sql security definer set search_path = public, pg_temp
as $$
  update agent_slots set valid_until = valid_until - p_step where valid_until > clock_timestamp();
  update agent_registry set cooling_until = cooling_until - p_step where cooling_until > clock_timestamp();
  update agent_registry set last_success_at = last_success_at - p_step where last_success_at > clock_timestamp();
  update agent_registry set last_failure_at = last_failure_at - p_step where last_failure_at > clock_timestamp();
$$;

revoke execute on function shift_agent_times(interval), record_call_times(json), call_ms(smallint), schedule_probe(uuid, timestamptz),
  begin_probe(uuid, text, interval), end_probe(uuid, text, text, text, real, real, timestamptz), ensure_probes(interval),
  prune_health(interval) from public;
grant execute on function record_call_times(json), schedule_probe(uuid, timestamptz), begin_probe(uuid, text, interval),
  end_probe(uuid, text, text, text, real, real, timestamptz), ensure_probes(interval), prune_health(interval)
  to darkspere_worker;
