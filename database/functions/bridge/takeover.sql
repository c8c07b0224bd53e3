-- Takeover: an operator answers by hand and the agent stays silent. Texts are stored as ever and wait for the operator; no turn
-- job lives meanwhile, and none has to look. All of these hold the conversation's lock from their first statement on.
--
-- Either the agent's answer or the takeover is first: both take the lock, and the takeover raises the epoch. An answer that was
-- committed before it goes out.

-- Moves the end of a takeover: a forgetful operator must not keep texts from being answered.
create or replace function keep_takeover(p_conversation uuid, p_minutes int) returns timestamptz
language plpgsql
as $$
declare
  ends_at timestamptz;
begin
  update conversations set takeover_until = clock_timestamp() + p_minutes * interval '1 minute'
  where id = p_conversation returning takeover_until into ends_at;
  perform graphile_worker.add_job('end-takeover', json_build_object('c', p_conversation),
    run_at := ends_at, max_attempts := 1000, job_key := 'takeover:' || p_conversation);
  perform tell_watchers('takeover', array[p_conversation]);
  return ends_at;
end $$;

-- Gives a verdict: ok, not_found, or conversation_taken with who has it. Who has it already gets more time.
create or replace function take_over(p_conversation uuid, p_by text, p_minutes int)
returns table (verdict text, taken_by text, since timestamptz, until timestamptz)
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  c conversations;
  was_running uuid;
begin
  select * into c from conversations where id = p_conversation for update;
  if not found then
    return query select 'not_found', null::text, null::timestamptz, null::timestamptz;
    return;
  end if;
  if c.takeover_by <> p_by then
    return query select 'conversation_taken', c.takeover_by, c.takeover_since, c.takeover_until;
    return;
  end if;
  if c.takeover_by is null then
    was_running := c.running_turn;
    update turns set state = 'cancelled', error_code = 'conversation_taken', ended_at = clock_timestamp()
    where id = was_running and state = 'running';
    -- The epoch refuses whatever the running turn still wants to write; the token ends its job, or the one that waits. The turn
    -- that was cut off is no failed try of its texts.
    update conversations set takeover_by = p_by, takeover_since = clock_timestamp(), epoch = epoch + 1, token = token + 1,
      running_turn = null, attempts = greatest(0, attempts - (was_running is not null)::int)
    where id = c.id returning * into c;
    if was_running is not null then
      perform pg_notify('darkspere_cancel', c.id || ' ' || c.epoch);
    end if;
  end if;
  return query select 'ok', c.takeover_by, c.takeover_since, keep_takeover(c.id, p_minutes);
end $$;

-- The agent answers again from now on; what waits gets its job.
create or replace function return_to_agent(p_conversation uuid) returns void
language plpgsql
as $$
declare
  c conversations;
begin
  update conversations set takeover_by = null, takeover_since = null, takeover_until = null, token = token + 1
  where id = p_conversation returning * into c;
  if c.last_seq > c.done_seq then
    perform graphile_worker.add_job('turn', json_build_object('c', c.id, 't', c.token, 'q', 0),
      max_attempts := 1000, priority := -10 * c.priority);
  end if;
  perform tell_watchers('takeover', array[c.id]);
end $$;

-- Gives a verdict: ok, not_found, not_taken_over, or conversation_taken with who has it.
create or replace function hand_back(p_conversation uuid, p_by text)
returns table (verdict text, taken_by text)
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  c conversations;
begin
  select * into c from conversations where id = p_conversation for update;
  if not found or c.takeover_by is null then
    return query select case when c.id is null then 'not_found' else 'not_taken_over' end, null::text;
    return;
  end if;
  if c.takeover_by <> p_by then
    return query select 'conversation_taken', c.takeover_by;
    return;
  end if;
  perform return_to_agent(c.id);
  perform graphile_worker.remove_job('takeover:' || c.id);
  return query select 'ok', p_by;
end $$;

-- The `end-takeover` job: true when the operator's time was over. Otherwise another job will come: each act of the operator
-- adds one, and so does this when it is early, as after the clock was set back.
create or replace function end_takeover(p_conversation uuid) returns boolean
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  c conversations;
begin
  select * into c from conversations where id = p_conversation for update;
  if c.takeover_by is null then
    return false;
  end if;
  if c.takeover_until > clock_timestamp() then
    perform graphile_worker.add_job('end-takeover', json_build_object('c', c.id),
      run_at := c.takeover_until, max_attempts := 1000, job_key := 'takeover:' || c.id);
    return false;
  end if;
  perform return_to_agent(c.id);
  return true;
end $$;

-- The session that an operator's words belong to: the conversation's, or a new one where a turn would open one too.
create or replace function session_of(p_conversation uuid) returns uuid
language plpgsql
as $$
declare
  c conversations;
  session uuid;
begin
  select * into c from conversations where id = p_conversation;
  update agent_sessions s set last_active_at = clock_timestamp()
  where s.id = c.session_id and s.is_active and s.last_active_at >= clock_timestamp() - coalesce(
    (select n.session_idle from phone_numbers n where n.address = c.our_address), interval '24 hours')
  returning s.id into session;
  if session is not null then
    return session;
  end if;
  update agent_sessions set is_active = false, ended_at = clock_timestamp(), end_reason = 'idle'
  where id = c.session_id and is_active;
  insert into agent_sessions (conversation_id, history_from)
  values (c.id, coalesce(
    (select m.id from messages m
     where m.conversation_id = c.id and m.seq > c.done_seq
       and m.id >= id_at(least(c.first_pending_at, now()) - interval '1 hour')
     order by m.id limit 1), new_id()))
  returning id into session;
  update conversations set session_id = session where id = c.id;
  return session;
end $$;

-- What an operator says, in order with everything else that leaves. It answers all texts that wait, and those that an agent had put
-- off (202). Gives a verdict: ok, duplicate (with the first message's id), not_found, not_taken_over, conversation_taken with
-- who has it, or opted_out. A refused one leaves nothing behind.
--
-- With p_unasked it needs no takeover; then it answers nothing that waits, and the agent goes on.
create or replace function operator_message(
  p_conversation uuid, p_by text, p_body text, p_parts json, p_more text, p_key text, p_scope text, p_pacing boolean,
  p_minutes int, p_unasked boolean default false)
returns table (verdict text, message_id uuid, taken_by text)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  c conversations;
  holder text;
  turn uuid;
  posted uuid;
begin
  if p_key is not null then
    insert into webhook_receipts (channel, provider_id) values ('operator', p_conversation || ':' || p_key)
    on conflict do nothing;
    if not found then
      return query select case when m.body <> p_body then 'idempotency_key_reused' else 'duplicate' end, r.message_id, null::text
      from webhook_receipts r left join messages m on m.id = r.message_id
      where r.channel = 'operator' and r.provider_id = p_conversation || ':' || p_key;
      return;
    end if;
  end if;
  select * into c from conversations where id = p_conversation for update;
  if not found then
    raise exception sqlstate 'DS001' using message = 'not_found';
  end if;
  holder := c.takeover_by;
  if holder <> p_by then
    raise exception sqlstate 'DS001' using message = 'conversation_taken';
  elsif holder is null and not p_unasked then
    raise exception sqlstate 'DS001' using message = 'not_taken_over';
  end if;
  if exists (select 1 from consents x
      where (x.channel, x.scope, x.their_address, x.state) = (c.channel, coalesce(p_scope, c.our_address), c.their_address, 'out')) then
    raise exception sqlstate 'DS001' using message = 'opted_out';
  end if;

  if holder is not null and c.last_seq > c.done_seq then
    insert into turns (conversation_id, session_id, epoch, from_seq, to_seq, state, ended_at)
    values (c.id, session_of(c.id), c.epoch, c.done_seq + 1, c.last_seq, 'replied', clock_timestamp())
    returning id into turn;
  else
    perform session_of(c.id);
  end if;
  perform queue_replies(json_build_array(json_build_object(
    'conversation_id', c.id, 'turn_id', turn, 'kind', 'operator', 'body', p_body, 'parts', p_parts)), p_pacing);
  select p.message_id into posted from outbound_parts p
  where p.conversation_id = c.id and p.kind = 'operator' order by p.position desc limit 1;

  update conversations set more = p_more, outage_told_at = null where id = c.id;
  if holder is not null then
    update turns set state = 'replied', reply_id = posted, ended_at = clock_timestamp()
    where conversation_id = c.id and state = 'deferred';
    update conversations set done_seq = last_seq, attempts = 0, interrupts = 0, first_pending_at = null where id = c.id;
    perform keep_takeover(c.id, p_minutes);
  end if;
  update webhook_receipts set message_id = posted
  where p_key is not null and channel = 'operator' and provider_id = p_conversation || ':' || p_key;
  return query select 'ok', posted, null::text;
exception when sqlstate 'DS001' then
  return query select sqlerrm, null::uuid, holder;
end $$;

revoke execute on function keep_takeover(uuid, int), take_over(uuid, text, int), return_to_agent(uuid), hand_back(uuid, text),
  end_takeover(uuid), session_of(uuid),
  operator_message(uuid, text, text, json, text, text, text, boolean, int, boolean) from public;
grant execute on function take_over(uuid, text, int), hand_back(uuid, text),
  operator_message(uuid, text, text, json, text, text, text, boolean, int, boolean) to darkspere_web;
grant execute on function end_takeover(uuid) to darkspere_worker;
