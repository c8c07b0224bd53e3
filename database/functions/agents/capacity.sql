-- Slots: who may call an agent how often at once. A process holds a block of them for three seconds and renews it every second;
-- it uses them for two and a half, so that a slot is never another's while it is in use.

-- Calls at once that an agent takes: of one that is deactivated none, of one that was out as many as it is trusted with.
create or replace function most_slots(p_agent uuid)
returns int language sql stable security definer set search_path = public, pg_temp
as $$
  select case when a.status = 'deactivated' then 0 else least(a.max_concurrent_sessions, a.trickle) end
  from agent_registry a where a.id = p_agent
$$;

-- Makes the slots that a pool may use of an agent p_total, or as many as there are; gives how many. When that is too few, those who
-- hold some without using them hear of it. p_in_use, its calls under way, are counted whatever the agent takes: they run, and
-- nobody else may be given their slots. Only as many as it gives may begin, so calls from before a limit was lowered end one by one.
create or replace function claim_slots(p_agent uuid, p_pool text, p_total int, p_in_use int)
returns int language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  others int;
  granted int;
begin
  -- One claim of an agent at a time: each must see what the one before it was given.
  perform pg_advisory_xact_lock(7358004, hashtext(p_agent::text));
  -- And each renewal either before or after it: what is counted as gone here must not be renewed meanwhile.
  perform 1 from agent_slots s
  where s.agent_id = p_agent and s.valid_until > clock_timestamp() - interval '1 minute' order by s.pool_id for update;
  select coalesce(sum(s.slots), 0) into others
  from agent_slots s where s.agent_id = p_agent and s.pool_id <> p_pool and s.valid_until > clock_timestamp();
  granted := greatest(0, least(p_total, coalesce(most_slots(p_agent), 0) - others));
  if greatest(granted, p_in_use) = 0 then
    delete from agent_slots where agent_id = p_agent and pool_id = p_pool;
  else
    insert into agent_slots (agent_id, pool_id, slots, in_use, valid_until)
    values (p_agent, p_pool, greatest(granted, p_in_use), p_in_use, clock_timestamp() + interval '3 seconds')
    on conflict (agent_id, pool_id) do update
    set slots = excluded.slots, in_use = excluded.in_use, valid_until = excluded.valid_until;
  end if;
  if granted < p_total and others > 0 then
    perform pg_notify('agent_slots', 'wanted ' || p_agent || ' ' || p_pool);
  end if;
  return granted;
end $$;

-- Keeps a pool's slots for another three seconds: p_slots is [{ agent_id, slots, in_use }], fewer than before are given back, and
-- so are those that nobody uses of an agent that takes less than all hold. Gives what the pool may use, as claim_slots does; what
-- had run out in between is not in it. p_tell: others have asked for what is given back.
create or replace function renew_slots(p_pool text, p_slots json, p_tell boolean)
returns table (agent_id uuid, slots int)
language plpgsql security definer set search_path = public, pg_temp
as $$
#variable_conflict use_column
begin
  -- In one order: a claim holds all rows of one agent.
  perform 1 from agent_slots s where s.pool_id = p_pool and s.agent_id = any (
    array(select w.agent_id from json_to_recordset(p_slots) w (agent_id uuid)))
  order by s.agent_id for update;
  return query
  with renewed as (
    select s.agent_id, w.in_use, greatest(0, least(s.slots, w.slots, most_slots(s.agent_id) - others.slots))::int as slots
    from json_to_recordset(p_slots) w (agent_id uuid, slots int, in_use int)
    join agent_slots s on s.agent_id = w.agent_id and s.pool_id = p_pool and s.valid_until > clock_timestamp()
    cross join lateral (
      select coalesce(sum(o.slots), 0) as slots from agent_slots o
      where o.agent_id = s.agent_id and o.pool_id <> p_pool and o.valid_until > clock_timestamp()
    ) others
  ), given_back as (
    delete from agent_slots s using renewed r
    where s.agent_id = r.agent_id and s.pool_id = p_pool and greatest(r.slots, r.in_use) = 0
  )
  update agent_slots s
  set slots = greatest(r.slots, r.in_use), in_use = r.in_use, valid_until = clock_timestamp() + interval '3 seconds'
  from renewed r where s.agent_id = r.agent_id and s.pool_id = p_pool and greatest(r.slots, r.in_use) > 0
  returning s.agent_id, r.slots;
  if p_tell then
    perform pg_notify('agent_slots', 'free ' || w.agent_id || ' ' || p_pool) from json_to_recordset(p_slots) w (agent_id uuid);
  end if;
end $$;

-- Calls that other pools have under way, by agent.
create or replace function slots_in_use(p_not_pool text)
returns table (agent_id uuid, in_use int)
language sql stable security definer set search_path = public, pg_temp
as $$
  select s.agent_id, sum(s.in_use)::int from agent_slots s
  where s.pool_id <> p_not_pool and s.valid_until > clock_timestamp() group by 1
$$;

-- Takes the one trial of an agent that is out: no two processes have it at once, and one that dies gives it back. p_urgent: nobody
-- else is left to answer, so its pause does not count; a second after its last failure it may be asked all the same.
create or replace function claim_trial(p_agent uuid, p_pool text, p_for interval, p_urgent boolean)
returns boolean language plpgsql security definer set search_path = public, pg_temp
as $$
begin
  -- Locked first, so that the next statement sees the place of whoever took the trial while we waited for the row.
  perform 1 from agent_registry a where a.id = p_agent for no key update;
  update agent_registry a set
    circuit = case a.circuit when 'open' then 'half_open' else a.circuit end,
    trial_by = p_pool, trial_until = clock_timestamp() + p_for
  where a.id = p_agent and a.status <> 'deactivated'
    -- Further away than any trial takes: the clock was set back since. Who makes a trial holds a place for it; one that died does
    -- not for long.
    and (a.trial_until is null or a.trial_until not between clock_timestamp() and clock_timestamp() + interval '10 minutes'
      or not exists (
        select 1 from agent_slots s
        where s.agent_id = a.id and s.pool_id = a.trial_by and s.valid_until > clock_timestamp()))
    and (case when p_urgent then a.last_failure_at is null or a.last_failure_at < clock_timestamp() - interval '1 second'
           or a.last_failure_at > clock_timestamp()
         else a.cooling_until is null or a.cooling_until <= clock_timestamp() end);
  return found;
end $$;

-- Gives a trial back that said nothing: its person has stopped, or has said more.
create or replace function release_trial(p_agent uuid, p_pool text)
returns void language sql security definer set search_path = public, pg_temp
as $$
  update agent_registry set
    circuit = case circuit when 'half_open' then 'open' else circuit end, trial_by = null, trial_until = null
  where id = p_agent and trial_by = p_pool
$$;

revoke execute on function most_slots(uuid), claim_slots(uuid, text, int, int), renew_slots(text, json, boolean), slots_in_use(text),
  claim_trial(uuid, text, interval, boolean), release_trial(uuid, text) from public;
grant execute on function claim_slots(uuid, text, int, int), renew_slots(text, json, boolean), slots_in_use(text),
  claim_trial(uuid, text, interval, boolean), release_trial(uuid, text) to darkspere_worker;
