-- Agents that have asked for it hear when a session becomes theirs and when it is over. A trigger, because sessions begin, move and end
-- in many places and none of them may be forgotten; its conditions are compared in memory, so an ordinary turn pays nothing for it.

-- What is told stands in functions/agents/session-events.sql. Until that is there, for the moment in which a database is upgraded,
-- nothing is.
create function tell_of_session(was agent_sessions, is_now agent_sessions) returns void
language plpgsql as $$ begin end $$;

-- Here and not with the functions, which are made anew by each release: a trigger holds on to the function that it calls.
create function session_changed() returns trigger
language plpgsql security definer set search_path = public, pg_temp
as $$
begin
  perform tell_of_session(old, new);
  return null;
end $$;
revoke execute on function tell_of_session(agent_sessions, agent_sessions), session_changed() from public;

create trigger session_moved_or_ended after update on agent_sessions for each row
  when (old.is_active and (old.agent_id is distinct from new.agent_id or not new.is_active))
  execute function session_changed();
create trigger session_opened after insert on agent_sessions for each row
  when (new.agent_id is not null)
  execute function session_changed();
