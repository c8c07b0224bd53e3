-- Telling agents of their sessions (session.start, session.end), those that registered with metadata.session_events: true.

-- A session was given to an agent, taken from one, or ended: adds a job for each agent that wants to hear of it, in the transaction in
-- which it happened. Called by triggers on agent_sessions; of a new session `was` is null. A session that an agent ends with its
-- first answer begins and ends in one job, so that nothing can come between.
create or replace function tell_of_session(was agent_sessions, is_now agent_sessions) returns void
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  happened_at timestamptz := clock_timestamp();
begin
  perform graphile_worker.add_job('session-events', json_build_object(
      'agent', told.id, 'session', is_now.id, 'conversation', c.id, 'channel', c.channel, 'started_at', is_now.started_at,
      -- Microseconds. Its row is locked by now, so what happens to a session has the order of these.
      'at', (extract(epoch from happened_at) * 1000000)::bigint,
      'start', case when told.begins then new_id() end,
      'end', case when told.reason is not null then
        json_build_object('id', new_id(), 'at', coalesce(is_now.ended_at, happened_at), 'reason', told.reason) end),
    -- Behind all that a person waits for.
    priority := 10, max_attempts := 3)
  from (
    select a.id,
      a.id is not distinct from is_now.agent_id and a.id is distinct from was.agent_id as begins,
      case
        when a.id is distinct from is_now.agent_id then 'moved'
        when is_now.is_active then null
        when is_now.end_reason = 'stop' then 'stopped'
        else is_now.end_reason
      end as reason
    from agent_registry a
    where a.id in (was.agent_id, is_now.agent_id) and a.protocol = 'envelope' and a.metadata @> '{"session_events": true}'
      and a.status <> 'deactivated' and a.disabled_at is null
  ) told
  join conversations c on c.id = is_now.conversation_id;
end $$;

revoke execute on function tell_of_session(agent_sessions, agent_sessions) from public;
