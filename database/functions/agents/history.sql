-- What is kept of the health of agents for their pages.

-- Calls and percentiles in five minutes each, from the histograms; p_agent null: of all agents.
create or replace function call_times_by_slot(p_agent uuid, p_from timestamptz, p_before timestamptz)
returns table (agent_id uuid, slot timestamptz, calls int, failures int, p50_ms real, p95_ms real, p99_ms real)
language sql stable security definer set search_path = public, pg_temp
as $$
  with counted as (
    select t.agent_id, t.slot, t.bucket, t.calls,
      sum(t.calls) filter (where t.bucket >= 0) over (partition by t.agent_id, t.slot order by t.bucket) as upto,
      sum(t.calls) filter (where t.bucket >= 0) over (partition by t.agent_id, t.slot) as answered
    from agent_call_times t
    -- Not `p_agent is null or …`: the plan for both would read the whole table for one agent.
    where t.agent_id = any (case when p_agent is null then array(select a.id from agent_registry a) else array[p_agent] end)
      and t.slot >= p_from and t.slot < p_before
  )
  select c.agent_id, c.slot, sum(c.calls)::int, coalesce(sum(c.calls) filter (where c.bucket < 0), 0)::int,
    call_ms(min(c.bucket) filter (where c.bucket >= 0 and c.upto >= 0.5 * c.answered)),
    call_ms(min(c.bucket) filter (where c.bucket >= 0 and c.upto >= 0.95 * c.answered)),
    call_ms(min(c.bucket) filter (where c.bucket >= 0 and c.upto >= 0.99 * c.answered))
  from counted c
  group by 1, 2
$$;

-- Keeps what the five minutes that have ended were like, where an agent was called or is other than before. Of minutes that nobody
-- looked at in time the calls are kept, and no score: what it was then is not known.
create or replace function keep_health_history()
returns void language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  running timestamptz := date_bin('5 minutes', clock_timestamp(), 'epoch');
  ended timestamptz := running - interval '5 minutes';
  -- All agents are kept at once: what is older than the newest is there. The newest once more, for what was committed late.
  kept_to timestamptz := (select max(h.slot) from agent_health_history h where h.slot < running);
begin
  insert into agent_health_history as kept
    (agent_id, slot, calls, failures, p50_ms, p95_ms, p99_ms, health_score, status)
  select a.id, c.slot, c.calls, c.failures, c.p50_ms, c.p95_ms, c.p99_ms,
    case when c.slot = ended then a.health_score end, case when c.slot = ended then a.status end
  from call_times_by_slot(null, greatest(running - interval '2 hours', kept_to), running) c
  join agent_registry a on a.id = c.agent_id
  on conflict (agent_id, slot) do nothing;

  insert into agent_health_history (agent_id, slot, calls, failures, health_score, status)
  select a.id, ended, 0, 0, a.health_score, a.status
  from agent_registry a
  left join lateral (
    select h.health_score, h.status from agent_health_history h
    where h.agent_id = a.id and h.health_score is not null order by h.slot desc limit 1
  ) newest on true
  where a.status <> 'deactivated' and (a.health_score, a.status) is distinct from (newest.health_score, newest.status)
  on conflict (agent_id, slot) do nothing;

  insert into agent_health_looks values (ended) on conflict do nothing;
  delete from agent_health_looks where slot < clock_timestamp() - interval '2 days';
  delete from agent_health_history where slot < clock_timestamp() - interval '2 days';
end $$;

revoke execute on function call_times_by_slot(uuid, timestamptz, timestamptz), keep_health_history() from public;
grant execute on function call_times_by_slot(uuid, timestamptz, timestamptz) to darkspere_web;
grant execute on function keep_health_history() to darkspere_worker;
