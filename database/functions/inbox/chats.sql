-- Operators talk to an agent directly. Nothing of it is a text: no session, no turn, nothing that is sent or billed, and nothing that
-- counts for the agent's health.

-- Asks a worker to ask an agent. ok: the question waits, and chat_id is it. rate_limited: this operator has asked p_most in the last
-- minute. not_found: there is no such agent, or it has left.
create or replace function request_chat(
  p_agent uuid, p_session uuid, p_by text, p_message text, p_history json, p_most int)
returns table (verdict text, chat_id uuid)
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  asked uuid;
begin
  if not exists (select from agent_registry a where a.id = p_agent and a.status <> 'deactivated') then
    return query select 'not_found', null::uuid;
    return;
  end if;
  -- One question of an operator at a time is counted.
  perform pg_advisory_xact_lock(7358058, hashtext(p_by));
  if (select count(*) from agent_chats c
      where c.asked_by = p_by and c.id >= id_at(now() - interval '1 minute')) >= p_most then
    return query select 'rate_limited', null::uuid;
    return;
  end if;
  insert into agent_chats (agent_id, session_id, asked_by, message, history)
  values (p_agent, p_session, p_by, p_message, p_history)
  returning id into asked;
  -- Behind the turns of people who wait. Once: who waited here is gone by the time that another worker would take it.
  perform graphile_worker.add_job('agent-chat', json_build_object('chat', asked), priority := 10, max_attempts := 1);
  return query select 'ok', asked;
end $$;

-- Takes a question, once. thread: where the agent's own memory of the session is, after an answer in it.
create or replace function start_chat(p_chat uuid)
returns table (agent_id uuid, session_id uuid, message text, history json, handle json, handle_at timestamptz)
language sql security definer set search_path = public, pg_temp
as $$
  with started as (
    update agent_chats set started_at = clock_timestamp() where id = p_chat and started_at is null
    returning agent_id, session_id, message, history
  )
  select s.agent_id, s.session_id, s.message, s.history, before.handle, before.ended_at
  from started s
  left join lateral (
    select c.result -> 'handle' as handle, c.ended_at from agent_chats c
    where c.session_id = s.session_id and c.agent_id = s.agent_id and c.id < p_chat and c.result -> 'handle' is not null
    order by c.id desc limit 1
  ) before on true
$$;

create or replace function finish_chat(p_chat uuid, p_result json)
returns void language sql security definer set search_path = public, pg_temp
as $$
  update agent_chats set ended_at = clock_timestamp(), result = p_result where id = p_chat
$$;

create or replace function prune_chats()
returns void language sql security definer set search_path = public, pg_temp
as $$
  delete from agent_chats where id < id_at(now() - interval '1 hour')
$$;

revoke execute on function request_chat(uuid, uuid, text, text, json, int), start_chat(uuid), finish_chat(uuid, json),
  prune_chats() from public;
grant execute on function request_chat(uuid, uuid, text, text, json, int) to darkspere_web;
grant execute on function start_chat(uuid), finish_chat(uuid, json), prune_chats() to darkspere_worker;
