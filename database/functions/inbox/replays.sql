-- Replays: a turn asked again. They write nothing into the conversation and send nothing; only send_replay does, as the words of
-- an operator. Locks: the replay, then what operator_message locks.

-- Who is asked: the agent that is named; else the one that answered; else the last that was tried, the session's, or the best of the
-- number's type. Null: nobody is there.
create or replace function agent_for_replay(t turns, p_agent uuid) returns uuid
language sql stable
as $$
  select a.id
  from (
    select 0 as place, p_agent as id
    union all
    select 1, t.agent_id where p_agent is null
    union all
    (select 2, e.agent_id from exchanges e
     where p_agent is null and e.conversation_id = t.conversation_id and e.turn_id = t.id and e.kind = 'agent'
       and e.id >= id_at(t.started_at - interval '1 minute')
     order by e.id desc limit 1)
    union all
    select 3, s.agent_id from agent_sessions s where p_agent is null and s.id = t.session_id
    union all
    select 4, typed.id from agent_registry typed
    where p_agent is null and typed.account_id is null and typed.type = coalesce((
      select n.agent_type from conversations c join phone_numbers n on n.address = c.our_address
      where c.id = t.conversation_id), 'chat')
  ) candidate
  join agent_registry a on a.id = candidate.id
  where a.status <> 'deactivated' and a.disabled_at is null
  order by candidate.place, a.health_score desc, a.id
  limit 1
$$;

-- The texts of a turn in order, as the agent was asked them: of a flood the first ten and the newest forty.
create or replace function texts_of_turn(t turns)
returns table (id uuid, seq bigint, body text, media jsonb, left_out int)
language sql stable
as $$
  select m.id, m.seq, m.body, m.media, greatest(0, t.to_seq - t.from_seq - 49)::int
  from messages m
  where m.conversation_id = t.conversation_id and m.seq between t.from_seq and t.to_seq
    and (m.seq < t.from_seq + 10 or m.seq > t.to_seq - 40)
    -- An operator may have let them wait for a week.
    and m.id >= id_at(t.started_at - interval '8 days')
  order by m.seq
$$;

-- Gives a verdict: ok with the replay's id, not_found (no such turn, or its texts are kept no longer), or agent_none.
create or replace function request_replay(p_turn uuid, p_by text, p_text text, p_agent uuid)
returns table (verdict text, replay_id uuid)
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  t turns;
  words text;
  agent uuid;
  added uuid;
begin
  select * into t from turns where id = p_turn;
  select coalesce(p_text, string_agg(
    case when x.left_out > 0 and x.seq = t.from_seq + 9
      then x.body || E'\n[' || x.left_out || ' more texts came here and are left out]' else x.body end, E'\n' order by x.seq))
  into words from texts_of_turn(t) x;
  if t.id is null or words is null then
    return query select 'not_found', null::uuid;
    return;
  end if;
  agent := agent_for_replay(t, p_agent);
  if agent is null then
    return query select 'agent_none', null::uuid;
    return;
  end if;
  insert into replays (conversation_id, turn_id, requested_by, agent_id, text, is_edited)
  values (t.conversation_id, t.id, p_by, agent, words, p_text is not null)
  returning id into added;
  -- After the turns of people who wait.
  perform graphile_worker.add_job('replay', json_build_object('r', added), max_attempts := 10, priority := 10);
  perform tell_watchers('replay', array[t.conversation_id]);
  return query select 'ok', added;
end $$;

-- Takes a replay for a worker: what the agent was told when the turn began, and not what came since. No row: it is over, or has been
-- begun three times without an end, which ends it.
create or replace function start_replay(p_replay uuid)
returns table (conversation_id uuid, attempt int, session_id uuid, agent_id uuid, channel text, max_segments int, words text,
  media json, history json)
language plpgsql security definer set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  r replays;
  t turns;
begin
  select * into r from replays where id = p_replay for update;
  if not found or r.state in ('answered', 'failed') then
    return;
  end if;
  select * into t from turns where id = r.turn_id;
  update replays set
    state = case when r.attempts < 3 then 'running' else 'failed' end,
    error_code = case when r.attempts < 3 then null else 'internal_error' end,
    attempts = r.attempts + 1, started_at = clock_timestamp(),
    ended_at = case when r.attempts < 3 then null else clock_timestamp() end
  where id = r.id;
  perform tell_watchers('replay', array[r.conversation_id]);
  if r.attempts >= 3 then
    return;
  end if;
  return query
  select c.id, r.attempts + 1, t.session_id, r.agent_id, c.channel, coalesce(n.max_segments, 10), r.text,
    (select coalesce(json_agg(json_build_object('id', x.id, 'media', x.media) order by x.seq), '[]')
     from texts_of_turn(t) x where x.media <> '[]'),
    (select coalesce(json_agg(json_build_object(
        'role', case when h.direction = 'in' then 'user' else 'assistant' end, 'content', h.body, 'timestamp', id_time(h.id))
       order by h.id), '[]')
     from (
       select m.id, m.direction, m.body from messages m join agent_sessions s on s.id = t.session_id
       where m.conversation_id = c.id and m.id >= s.history_from and m.id < t.id
         and (m.seq < t.from_seq or m.kind in ('reply', 'proactive', 'operator'))
       order by m.id desc limit 10
     ) h)
  from conversations c left join phone_numbers n on n.address = c.our_address
  where c.id = t.conversation_id;
end $$;

-- Ends a replay and keeps its call; false when another worker has begun it since.
create or replace function finish_replay(
  p_replay uuid, p_attempt int, p_reply text, p_media_urls text[], p_segments int, p_error_code text, p_duration_ms real,
  p_exchanges json)
returns boolean language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  r replays;
begin
  update replays set
    state = case when p_reply is null then 'failed' else 'answered' end, reply = p_reply, media_urls = p_media_urls,
    segments = p_segments, error_code = p_error_code, duration_ms = p_duration_ms, ended_at = clock_timestamp()
  where id = p_replay and attempts = p_attempt and state = 'running'
  returning * into r;
  if r.id is null then
    return false;
  end if;
  perform record_exchanges(json_build_array(json_build_object(
    'conversation_id', r.conversation_id, 'replay_id', r.id, 'exchanges', p_exchanges)), '{}');
  perform tell_watchers('replay', array[r.conversation_id]);
  return true;
end $$;

-- Sends an answered replay to the person, once, as the words of an operator. Gives a verdict: those of operator_message, or
-- unanswered, or sent_before.
create or replace function send_replay(
  p_replay uuid, p_by text, p_body text, p_parts json, p_more text, p_scope text, p_pacing boolean, p_minutes int)
returns table (verdict text, message_id uuid, taken_by text)
language plpgsql security definer set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  r replays;
  said record;
begin
  select * into r from replays where id = p_replay for update;
  if not found or r.state <> 'answered' or r.sent_message_id is not null then
    return query select
      case when r.id is null then 'not_found' when r.sent_message_id is not null then 'sent_before' else 'unanswered' end,
      r.sent_message_id, null::text;
    return;
  end if;
  select * into said
  from operator_message(r.conversation_id, p_by, p_body, p_parts, p_more, null, p_scope, p_pacing, p_minutes, true);
  if said.verdict = 'ok' then
    update replays set sent_message_id = said.message_id where id = r.id;
    perform tell_watchers('replay', array[r.conversation_id]);
  end if;
  return query select said.verdict, said.message_id, said.taken_by;
end $$;

-- Forgets replays when their calls are forgotten; gives how many.
create or replace function prune_replays() returns int
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  n int;
begin
  delete from replays where id < id_at(now() - (
    select p.keep_months from partitioned_tables p where p.table_name = 'exchanges') * interval '1 month');
  get diagnostics n = row_count;
  return n;
end $$;

revoke execute on function agent_for_replay(turns, uuid), texts_of_turn(turns), request_replay(uuid, text, text, uuid),
  start_replay(uuid), finish_replay(uuid, int, text, text[], int, text, real, json),
  send_replay(uuid, text, text, json, text, text, boolean, int), prune_replays() from public;
grant execute on function request_replay(uuid, text, text, uuid),
  send_replay(uuid, text, text, json, text, text, boolean, int) to darkspere_web;
grant execute on function start_replay(uuid), finish_replay(uuid, int, text, text[], int, text, real, json), prune_replays()
  to darkspere_worker;
