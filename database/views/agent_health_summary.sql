-- How every agent does, in a row each. Times in milliseconds, over the last quarter of an hour; null: too few calls to say.
-- free_capacity: calls more that it would be given now, fewer for a while after it was out, none while it is switched off.
create or replace view agent_health_summary as
select a.id as agent_id, a.name, a.type, a.protocol, case when a.disabled_at is null then a.status else 'disabled' end as status,
  a.health_score, a.success_rate, a.p50_ms, a.p95_ms, a.p99_ms,
  a.response_ms, a.consecutive_failures, a.probe_failures, a.circuit, a.cooling_until, a.max_concurrent_sessions,
  coalesce(calls.in_use, 0)::int as calls_in_progress,
  case when a.disabled_at is null
    then greatest(0, least(a.max_concurrent_sessions, a.trickle) - coalesce(calls.in_use, 0))::int else 0 end as free_capacity,
  (select count(*) from agent_sessions s where s.agent_id = a.id and s.is_active)::int as active_sessions,
  newest.outcome as last_check, newest.error_code as last_check_error, id_time(newest.id) as last_check_at,
  a.last_success_at, a.last_failure_at
from agent_registry a
left join lateral (
  select sum(s.in_use) as in_use from agent_slots s where s.agent_id = a.id and s.valid_until > clock_timestamp()
) calls on true
left join lateral (
  select c.id, c.outcome, c.error_code from agent_health_checks c where c.agent_id = a.id order by c.id desc limit 1
) newest on true
where a.status <> 'deactivated';

grant select on agent_health_summary to darkspere_web, darkspere_worker, darkspere_admin;
