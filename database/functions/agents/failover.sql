-- Moving a session from one agent to another. A turn moves its own session with its end, which keeps both in one commit; this is
-- the same for operators, and the record of both.

-- Records moves: p_moves is [{ session_id, turn_id, failover: { old_agent, new_agent, reason } }], those of p_turns only.
create or replace function note_failovers(p_moves json, p_turns uuid[])
returns void language sql security definer set search_path = public, pg_temp
as $$
  insert into session_failovers (session_id, turn_id, old_agent, new_agent, reason)
  select m.session_id, m.turn_id, (m.failover ->> 'old_agent')::uuid, (m.failover ->> 'new_agent')::uuid, m.failover ->> 'reason'
  from json_to_recordset(p_moves) m (session_id uuid, turn_id uuid, failover json)
  where m.failover is not null and m.turn_id = any (p_turns)
$$;

-- The best healthy agent for a session besides the one it has, in the order of src/agents/routing.ts: health, room, speed.
create or replace function healthy_agent_for(p_session uuid) returns uuid
language sql stable set search_path = public, pg_temp
as $$
  select a.id
  from agent_sessions s
  join conversations c on c.id = s.conversation_id
  left join phone_numbers n on n.address = c.our_address
  join agent_registry a on a.type = coalesce(s.agent_type, n.agent_type, 'chat')
    -- What the number asks of its own agents, it does not ask of a type that the person has chosen.
    and (a.capabilities @> coalesce(n.required_capabilities, '{}') or coalesce(s.agent_type, n.agent_type) <> n.agent_type)
  cross join lateral (
    select greatest(0, 1 - coalesce(sum(slots.in_use), 0) / least(a.max_concurrent_sessions, a.trickle)::float8) as free
    from agent_slots slots where slots.agent_id = a.id and slots.valid_until > clock_timestamp()
  ) room
  where s.id = p_session and a.id is distinct from s.agent_id and a.status = 'active' and a.circuit = 'closed'
    and a.health_score >= 70 and (a.cooling_until is null or a.cooling_until <= clock_timestamp())
    and a.disabled_at is null and a.draining_since is null and a.account_id is null
  order by room.free > 0 desc, a.health_score desc, room.free desc, a.response_ms, a.id
  limit 1
$$;

-- Gives an open session to the best healthy agent of its type, history and all. No row: there is no such open session. Without a
-- new agent nothing has changed, and the reason says why: no_healthy_agent. Otherwise it says what was wrong with the old one:
-- gone, unhealthy, or moved when nothing was.
create or replace function failover_session_to_healthy_agent(session_id uuid)
returns table (old_agent uuid, new_agent uuid, reason text)
language plpgsql security definer set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  s agent_sessions;
  chosen uuid;
  why text;
begin
  select * into s from agent_sessions open where open.id = failover_session_to_healthy_agent.session_id and open.is_active
  for no key update;
  if not found then
    return;
  end if;
  chosen := healthy_agent_for(s.id);
  if chosen is null then
    return query select s.agent_id, null::uuid, 'no_healthy_agent';
    return;
  end if;
  select case when a.status = 'deactivated' or a.disabled_at is not null then 'gone'
      when a.status = 'active' and a.circuit = 'closed' and a.health_score >= 70
        and (a.cooling_until is null or a.cooling_until <= clock_timestamp()) then 'moved'
      else 'unhealthy' end
  into why from agent_registry a where a.id = s.agent_id;
  update agent_sessions set agent_id = chosen, failovers = failovers + case when s.agent_id is null then 0 else 1 end
  where id = s.id;
  if s.agent_id is not null then
    insert into session_failovers (session_id, old_agent, new_agent, reason) values (s.id, s.agent_id, chosen, why);
  end if;
  return query select s.agent_id, chosen, coalesce(why, 'unhealthy');
end $$;

revoke execute on function note_failovers(json, uuid[]), healthy_agent_for(uuid), failover_session_to_healthy_agent(uuid)
  from public;
grant execute on function failover_session_to_healthy_agent(uuid) to darkspere_admin;
