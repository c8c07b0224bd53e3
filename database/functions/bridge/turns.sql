-- The mailbox: start, finish and give back turns. Every function locks its conversations by id first and works in batches.
--
-- The hot functions of this folder plan each statement once and keep the plan: planning anew would cost more than running
-- (bench/calls: 6 ms for all calls of one text, 8 with --anew). The planner settings beside it keep that plan on indexes whatever the
-- tables' sizes were when it was made, and statements are written so that the batch drives: `id = any (array(…))`.

-- The last n messages of a session, oldest first: what an agent is told of the conversation so far. Texts that still wait
-- for an answer are left out; they are the question.
create or replace function conversation_context(p_session uuid, p_n int default 10)
returns table (role text, content text, "timestamp" timestamptz)
language sql stable
as $$
  -- Names carry their schema instead of a search_path: a function with settings cannot be inlined.
  select case when recent.direction = 'in' then 'user' else 'assistant' end, recent.body, public.id_time(recent.id)
  from public.agent_sessions s
  join public.conversations c on c.id = s.conversation_id
  -- Lateral: the index is read backwards and only as far as needed, however long the session is (5,000 messages: 3 → 0.1 ms).
  cross join lateral (
    select m.id, m.direction, m.body
    from public.messages m
    where m.conversation_id = c.id and m.id >= s.history_from
      and (m.seq <= c.done_seq or m.kind in ('reply', 'proactive', 'operator'))
    order by m.id desc
    limit p_n
  ) recent
  where s.id = p_session
  order by recent.id
$$;

-- What an agent knows a turn by: the same texts asked again, after a crash or by another worker, have the same id, so that
-- an agent can recognise the repeat.
create or replace function request_id(p_conversation uuid, p_from bigint, p_to bigint) returns uuid
language sql immutable parallel safe as $$
  -- UUIDv8 (RFC 9562 §5.8): version and variant set, the rest is ours.
  select overlay(overlay(md5(p_conversation || ':' || p_from || '-' || p_to) placing '8' from 13 for 1) placing '8' from 17 for 1)::uuid
$$;

-- When the burst that waits in a conversation is taken as complete. A text from the future means that the clock was set back:
-- waiting for it could take hours. (Volatile, as the clock is: marked otherwise it could not be inlined.)
create or replace function burst_end(p_first timestamptz, p_last timestamptz, p_quiet_ms int) returns timestamptz
language sql volatile as $$
  select case when p_last <= clock_timestamp()
    then least(p_last + p_quiet_ms * interval '1 millisecond', p_first + interval '5 seconds') else clock_timestamp() end
$$;

-- The burst window of a number. Where every text has a turn of its own nothing is gained by waiting.
create or replace function quiet_time(n phone_numbers, p_quiet_ms int) returns int
language sql immutable as $$
  select case when n.busy_policy = 'queue' then 0 else coalesce(n.quiet_ms, p_quiet_ms) end
$$;

-- When the waiting texts of a conversation may be answered: after their burst, and not while it is held.
create or replace function start_due(p_first timestamptz, p_last timestamptz, p_held_until timestamptz, p_quiet_ms int)
returns timestamptz language sql volatile as $$
  select greatest(burst_end(p_first, p_last, p_quiet_ms), case when is_held(p_held_until) then p_held_until end)
$$;

-- Starts the turns of conversations whose job holds the right token. A conversation whose burst is still coming in, or that is
-- held, is not started: wait_ms says how long to wait, now_held that it is held from this moment on. One that has nothing
-- waiting, that an operator has, whose token is stale, or that was found running, gives no row: its job ends.
--
-- A turn takes everything that waits (with the policy `queue` one text, unless they were held). Of more than p_max_texts the
-- agent gets the first ten and the newest; left_out says how many are between them.
create or replace function start_turns(p_jobs json, p_quiet_ms int, p_max_texts int)
returns table (
  conversation_id uuid, wait_ms int, channel text, our_address text, their_address text, epoch int, tries int,
  turn_id uuid, request_id uuid, session_id uuid, agent_id uuid, agent_type text, required_capabilities text[], max_segments int,
  texts json, history json, left_out int, hold_ms int, hold_text text, thread jsonb, now_held boolean
)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  ready uuid[];
  too_fast uuid[];
  sessionless uuid[];
  lost uuid[];
  some_wait boolean;
begin
  perform 1 from conversations c
  where c.id = any (array(select j.c from json_to_recordset(p_jobs) j (c uuid))) order by c.id for update;

  -- Bursts: people type in pieces. Quiet for quiet_ms, but never longer than 5 s from the first text.
  select array_agg(h.id) filter (where not (h.waits or h.lost)),
    array_agg(h.id) filter (where not (h.waits or h.lost) and h.needs_session),
    array_agg(h.id) filter (where h.is_too_fast), array_agg(h.id) filter (where h.lost and not h.waits), bool_or(h.waits)
  into ready, sessionless, too_fast, lost, some_wait
  from (
    select c.id, pending.waits or pending.is_too_fast as waits, pending.is_too_fast,
      c.running_turn is not null as lost,
      s.id is null or not s.is_active
        or s.last_active_at < clock_timestamp() - coalesce(n.session_idle, interval '24 hours') as needs_session
    from json_to_recordset(p_jobs) j (c uuid, t int)
    join conversations c on c.id = j.c and c.token = j.t and c.last_seq > c.done_seq and c.takeover_by is null
    left join phone_numbers n on n.address = c.our_address
    left join agent_sessions s on s.id = c.session_id
    cross join lateral (
      select burst.waits,
        -- After each hold comes an answer.
        not burst.waits and (c.held_until > c.answered_at[1]) is not true and (
          goes_too_fast(c.answered_at, holds_in_a_row(c.holds, c.held_until))
          -- Somebody impatient says the same again and again too: it counts where it was answered.
          -- (`is true`: after an unknown the second half would be asked as well, and it reads messages.)
          or (c.answered_at[3] > clock_timestamp() - interval '10 minutes') is true and repeats_itself(c.id)
        ) is true as is_too_fast
      from (
        select start_due(c.first_pending_at, c.last_pending_at, c.held_until, quiet_time(n, p_quiet_ms))
          > clock_timestamp() + interval '1 millisecond' as waits
      ) burst
    ) pending
  ) h;
  if too_fast is not null then
    perform hold_conversations(too_fast);
    perform tell_watchers('turn', too_fast);
  end if;
  if lost is not null then
    -- A turn that is marked running belongs to a worker that died, or was presumed dead. One that lives still has this job too, and
    -- ends it for both when it finds its turn gone (the library deletes a finished job whoever has locked it). If we died
    -- after that, nobody would have these texts: so they get a job that nobody else has.
    perform give_back(j.c, j.t, 0) from json_to_recordset(p_jobs) j (c uuid, t int) where j.c = any (lost);
  end if;

  if some_wait then
    return query
    select c.id,
      greatest(1, ceil(1000 * extract(epoch from
        start_due(c.first_pending_at, c.last_pending_at, c.held_until, quiet_time(n, p_quiet_ms)) - clock_timestamp()))::int),
      null::text, null::text, null::text, null::int, null::int, null::uuid, null::uuid, null::uuid, null::uuid, null::text,
      null::text[], null::int, null::json, null::json, null::int, null::int, null::text, null::jsonb,
      coalesce(c.id = any (too_fast), false)
    from json_to_recordset(p_jobs) j (c uuid, t int)
    join conversations c on c.id = j.c and c.token = j.t and c.last_seq > c.done_seq and c.takeover_by is null
    left join phone_numbers n on n.address = c.our_address
    where c.id <> all (coalesce(ready, '{}'));
  end if;
  if ready is null then
    return;
  end if;

  if sessionless is not null then
    update agent_sessions set is_active = false, ended_at = clock_timestamp(), end_reason = 'idle'
    where id = any (array(select c.session_id from conversations c where c.id = any (sessionless))) and is_active;
    with opened as (
      insert into agent_sessions (conversation_id, history_from)
      -- Ids are made at arrival; the margin covers a clock that was set back a little, `least` one that was set back far. now()
      -- bounds what is looked at to a month or two: clock_timestamp() is volatile, and nothing is left out for it.
      select c.id, (select m.id from messages m
        where m.conversation_id = c.id and m.seq > c.done_seq
          and m.id >= id_at(least(c.first_pending_at, now()) - interval '1 hour')
        order by m.id limit 1)
      from conversations c
      where c.id = any (sessionless)
      returning id, conversation_id
    )
    update conversations c set session_id = o.id from opened o where c.id = o.conversation_id;
  end if;

  return query
  with started as (
    insert into turns (conversation_id, session_id, epoch, from_seq, to_seq)
    select c.id, c.session_id, c.epoch + 1, c.done_seq + 1,
      case when n.busy_policy = 'queue' and (c.held_until > c.first_pending_at) is not true
        then c.done_seq + 1 else c.last_seq end
    from conversations c left join phone_numbers n on n.address = c.our_address
    where c.id = any (ready)
    returning id, conversation_id, from_seq, to_seq
  ), fenced as (
    update conversations c set epoch = c.epoch + 1, attempts = c.attempts + 1, running_turn = started.id
    from started
    where c.id = started.conversation_id
    returning c.*, started.from_seq, started.to_seq
  )
  select f.id, 0, f.channel, f.our_address, f.their_address, f.epoch, f.attempts, f.running_turn,
    request_id(f.id, f.from_seq, f.to_seq), f.session_id,
    s.agent_id, coalesce(s.agent_type, n.agent_type, 'chat'),
    -- What the number asks of its own agents, it does not ask of a type that the person has chosen.
    case when s.agent_type <> n.agent_type then '{}' else coalesce(n.required_capabilities, '{}') end,
    coalesce(n.max_segments, 10),
    (select json_agg(json_build_object('id', m.id, 'body', m.body, 'media', m.media) order by m.seq)
     from messages m
     where m.conversation_id = f.id and m.seq between f.from_seq and f.to_seq
       and (m.seq < f.from_seq + 10 or m.seq > f.to_seq + 10 - p_max_texts)
       and m.id >= id_at(least(f.first_pending_at, now()) - interval '1 hour')),
    (select coalesce(json_agg(context), '[]') from conversation_context(f.session_id, 10) context),
    greatest(0, f.to_seq - f.from_seq + 1 - p_max_texts)::int, n.hold_ms, n.hold_text, s.thread, false
  from fenced f
  join agent_sessions s on s.id = f.session_id
  left join phone_numbers n on n.address = f.our_address;
  perform tell_watchers('turn', ready);
end $$;

-- Ends turns: reply parts and their send jobs, the turn, the session and the exchanges in one commit. A turn whose epoch
-- is over (STOP, a newer start) writes nothing but its exchanges, marked late, and gives no row. send_now is the part that
-- may leave at once, for the caller to send. An end that is committed already, because the answer to its commit got lost,
-- gives its row again and writes nothing. One with the state `interrupted` answers nothing: its texts wait again.
create or replace function finish_turns(p_turns json, p_pacing boolean)
returns table (conversation_id uuid, turn_id uuid, pending boolean, send_now uuid)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  -- Turns, not conversations: an old turn and its successor may end in one batch.
  valid uuid[];
  replies json;
  some_deferred boolean;
  some_repeated boolean;
  some_taken_over boolean;
  ending uuid[];
  due uuid[] := '{}';
begin
  perform 1 from conversations c
  where c.id = any (array(select t.conversation_id from json_to_recordset(p_turns) t (conversation_id uuid)))
  order by c.id for update;

  -- One honest text per outage window: whoever was told within the hour is not told again.
  select array_agg(t.turn_id) filter (where c.running_turn = t.turn_id), bool_or(t.state = 'deferred'),
    bool_or(c.running_turn is null), bool_or(t.failover is not null),
    array_agg(t.session_id) filter (where c.running_turn = t.turn_id and t.end_session),
    json_agg(json_build_object(
      'conversation_id', t.conversation_id, 'turn_id', t.turn_id, 'kind', t.kind, 'body', t.body, 'parts', t.parts))
    filter (where c.running_turn = t.turn_id and t.body is not null
      and (t.kind <> 'fallback' or c.outage_told_at is null or c.outage_told_at < clock_timestamp() - interval '1 hour'))
  into valid, some_deferred, some_repeated, some_taken_over, ending, replies
  from json_to_recordset(p_turns)
    t (conversation_id uuid, turn_id uuid, session_id uuid, epoch int, state text, kind text, body text, parts json, failover json,
       end_session boolean)
  join conversations c on c.id = t.conversation_id and c.epoch = t.epoch;

  if some_repeated then
    -- Each start raises the epoch, and so do STOP and give_back: with this epoch and no turn, it was this turn that ended.
    return query
    select c.id, t.turn_id, c.last_seq > c.done_seq, null::uuid
    from json_to_recordset(p_turns) t (conversation_id uuid, turn_id uuid, epoch int)
    join conversations c on c.id = t.conversation_id and c.epoch = t.epoch and c.running_turn is null;
    p_turns := coalesce((
      select json_agg(t.value)
      from json_array_elements(p_turns) t
      join conversations c on c.id = (t.value ->> 'conversation_id')::uuid
      where c.epoch <> (t.value ->> 'epoch')::int or c.running_turn is not null), '[]');
  end if;

  perform record_exchanges(p_turns, coalesce(valid, '{}'));
  if valid is null then
    return;
  end if;
  if replies is not null then
    due := queue_replies(replies, p_pacing, true);
  end if;

  -- Where the person has chosen who answers since the turn began, that is for the texts to come: the session goes on.
  ending := case when ending is null then '{}' else array(
    select s.id from agent_sessions s
    join conversations c on c.id = s.conversation_id
    join turns began on began.id = c.running_turn
    where s.id = any (ending) and s.is_active and s.last_active_at <= began.started_at) end;

  update agent_sessions s set
    last_active_at = clock_timestamp(),
    -- An agent or a type that the person chose while this one answered is not overruled.
    agent_id = case when s.agent_id is not distinct from t.agent_was then coalesce(t.agent_id, s.agent_id) else s.agent_id end,
    failovers = s.failovers + case when t.failover is null then 0 else 1 end,
    is_active = s.id <> all (ending),
    ended_at = case when s.id = any (ending) then clock_timestamp() end,
    end_reason = case when s.id = any (ending) then 'agent' end,
    thread = case
      when t.thread is not null then t.thread || jsonb_build_object('at', clock_timestamp())
      when t.state = 'interrupted' then s.thread
      -- Answered by another agent or by nobody: the agent's own memory misses a turn.
      when t.agent_id is not null then s.thread || '{"missed": "answered elsewhere"}'
      when s.thread ? 'missed' then s.thread
      else s.thread || '{"missed": "unanswered"}' end
  from json_to_recordset(p_turns)
    t (turn_id uuid, session_id uuid, agent_id uuid, agent_was uuid, state text, thread jsonb, failover json)
  where s.id = t.session_id and t.turn_id = any (valid) and s.is_active;

  if some_taken_over then
    perform note_failovers(p_turns, valid);
  end if;
  if some_deferred then
    -- An agent that said 202 has until deferred_until; then the person hears that nobody could answer.
    perform graphile_worker.add_jobs(array_agg(
      ('close-deferred', json_build_object('turn', t.turn_id), null, t.deferred_until, 1000, null, 0, null)::graphile_worker.job_spec))
    from json_to_recordset(p_turns) t (turn_id uuid, state text, deferred_until timestamptz)
    where t.turn_id = any (valid) and t.state = 'deferred'
    having count(*) > 0;
  end if;

  return query
  with input as materialized (
    select t.* from json_to_recordset(p_turns)
      t (turn_id uuid, state text, agent_id uuid, attempts int, error_code text, kind text, more text)
    where t.turn_id = any (valid)
  ), ended as (
    update turns t set state = case i.state when 'interrupted' then 'cancelled' else i.state end,
      agent_id = i.agent_id, attempts = i.attempts, error_code = i.error_code, ended_at = clock_timestamp()
    from input i where t.id = i.turn_id
    returning t.id, t.conversation_id, case i.state when 'interrupted' then t.from_seq - 1 else t.to_seq end as done
  )
  update conversations c set
    done_seq = e.done,
    -- An interruption is no failed try.
    attempts = case i.state when 'interrupted' then c.attempts - 1 else 0 end,
    interrupts = case i.state when 'interrupted' then c.interrupts + 1 else 0 end,
    answered_at = case i.state when 'interrupted' then c.answered_at else (array[clock_timestamp()] || c.answered_at)[1:9] end,
    running_turn = null,
    -- Of the text that is the first now: its burst begins with it.
    first_pending_at = case when c.last_seq > e.done then coalesce(
      (select id_time(m.id) from messages m
       where m.conversation_id = c.id and m.seq = e.done + 1 and m.id >= id_at(least(c.first_pending_at, now()) - interval '1 hour')
       order by m.id desc limit 1), c.first_pending_at) end,
    more = case i.state when 'interrupted' then c.more else i.more end,
    -- After a RESET it may be another one.
    session_id = case when c.session_id = any (ending) then null else c.session_id end,
    -- Only an answer ends the outage; a 202 is none yet.
    outage_told_at = case i.state
        when 'fell_back' then
          case when c.outage_told_at > clock_timestamp() - interval '1 hour' then c.outage_told_at else clock_timestamp() end
        when 'deferred' then c.outage_told_at
        when 'interrupted' then c.outage_told_at
      end
  from ended e join input i on i.turn_id = e.id
  where c.id = e.conversation_id
  returning c.id, e.id, c.last_seq > e.done,
    (select p.id from outbound_parts p where p.id = any (due) and p.conversation_id = c.id);

  -- Those that have something to say were told of where that was queued.
  perform tell_watchers('turn', array(
    select t.conversation_id from json_to_recordset(p_turns) t (conversation_id uuid, turn_id uuid, kind text)
    where t.turn_id = any (valid) and t.kind is distinct from 'reply'))
  where is_watched();
end $$;

-- Gives a conversation back: its worker stops or is gone, or the turn broke in a way nobody foresaw. The running job's token is made
-- stale and a new job added for later, in one step; the library's own retry is never used (its back-off would grow over
-- all texts a job has served).
create or replace function give_back(p_conversation uuid, p_token int, p_delay_ms int)
returns boolean language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  c conversations;
begin
  update conversations set token = token + 1, epoch = epoch + 1, running_turn = null
  where id = p_conversation and token = p_token and last_seq > done_seq and takeover_by is null
  returning * into c;
  if not found then
    return false;
  end if;
  update turns set state = 'lost', ended_at = clock_timestamp()
  where conversation_id = c.id and state = 'running' and epoch < c.epoch and id >= id_at(now() - interval '1 day');
  perform graphile_worker.add_job('turn', json_build_object('c', c.id, 't', c.token, 'q', 0),
    run_at := clock_timestamp() + p_delay_ms * interval '1 millisecond', max_attempts := 1000, priority := -10 * c.priority);
  perform tell_watchers('turn', array[c.id]);
  return true;
end $$;

-- The net under the mailbox: conversations that wait although no job can be alive, and takeovers that nobody ended. Should never
-- find any.
create or replace function rescue_conversations(p_older_than interval)
returns int language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  rescued int := 0;
  c record;
begin
  for c in
    select id, token from conversations
    where last_seq > done_seq and first_pending_at < clock_timestamp() - p_older_than and takeover_by is null
      and not exists (
        select 1 from turns t where t.id = running_turn and t.started_at > clock_timestamp() - p_older_than)
      and not exists (
        select 1 from graphile_worker._private_jobs j
        where j.task_id = (select id from graphile_worker._private_tasks where identifier = 'turn')
          and j.payload ->> 'c' = conversations.id::text and (j.payload ->> 't')::int = conversations.token)
  loop
    if give_back(c.id, c.token, 0) then
      rescued := rescued + 1;
    end if;
  end loop;
  for c in
    select id from conversations where takeover_by is not null and takeover_until < clock_timestamp() - p_older_than
  loop
    if end_takeover(c.id) then
      rescued := rescued + 1;
    end if;
  end loop;
  return rescued;
end $$;

revoke execute on function request_id(uuid, bigint, bigint), burst_end(timestamptz, timestamptz, int),
  quiet_time(phone_numbers, int),
  start_due(timestamptz, timestamptz, timestamptz, int), conversation_context(uuid, int), start_turns(json, int, int), finish_turns(json, boolean),
  give_back(uuid, int, int), rescue_conversations(interval) from public;
grant execute on function conversation_context(uuid, int), start_turns(json, int, int), finish_turns(json, boolean),
  give_back(uuid, int, int), rescue_conversations(interval) to darkspere_worker;
grant execute on function conversation_context(uuid, int) to darkspere_web, darkspere_admin;
