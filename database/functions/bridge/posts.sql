-- Messages that agents post: the late reply to a turn they answered with 202, and texts of their own (reminders).

-- Gives a verdict: ok, duplicate (with the first message's id), idempotency_key_reused (other words), not_found, turn_running, turn_closed, send_budget_spent,
-- opted_out, conversation_taken, or one of quiet_hours and sender_busy with the time at which it may be tried again. The recipient is the session's person, never chosen
-- by the agent. A refused post leaves nothing behind: no key, no charge, no reserved time.
create or replace function post_message(
  p_agent uuid, p_conversation uuid, p_in_reply_to uuid, p_key text, p_body text, p_parts json, p_more text, p_scope text,
  p_pacing boolean)
returns table (verdict text, message_id uuid, free_at timestamptz)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  c conversations;
  s agent_sessions;
  t turns;
  posted uuid;
  room_at timestamptz;
  wakes boolean := false;
begin
  select * into c from conversations where id = p_conversation for update;
  if not found then
    raise exception sqlstate 'DS001' using message = 'not_found';
  end if;
  -- First: what was taken once stays taken, whatever has become of the session since, and its repeat must not hear otherwise.
  if p_key is not null then
    insert into webhook_receipts (channel, provider_id) values ('post', p_agent || ':' || p_conversation || ':' || p_key)
    on conflict do nothing;
    if not found then
      return query select case when m.body <> p_body then 'idempotency_key_reused' else 'duplicate' end, r.message_id, null::timestamptz
      from webhook_receipts r left join messages m on m.id = r.message_id
      where r.channel = 'post' and r.provider_id = p_agent || ':' || p_conversation || ':' || p_key;
      return;
    end if;
  end if;
  -- A STOP ended the session; its agent is still told why it may not write.
  select * into s from agent_sessions
  where conversation_id = c.id and (is_active and id = c.session_id or c.session_id is null and end_reason = 'stop')
  order by id desc limit 1;
  if p_in_reply_to is not null then
    select * into t from turns
    where conversation_id = c.id and request_id(conversation_id, from_seq, to_seq) = p_in_reply_to
    order by id desc limit 1;
  end if;
  -- The agent was faster than our record of its 202: whose turn it is will be known in a moment.
  if t.state = 'running' then
    raise exception sqlstate 'DS001' using message = 'turn_running';
  end if;
  -- Somebody else's conversation looks like one that is not there.
  if s.agent_id is distinct from p_agent and t.agent_id is distinct from p_agent then
    raise exception sqlstate 'DS001' using message = 'not_found';
  end if;
  if exists (select 1 from consents x
      where (x.channel, x.scope, x.their_address, x.state) = (c.channel, coalesce(p_scope, c.our_address), c.their_address, 'out')) then
    raise exception sqlstate 'DS001' using message = 'opted_out';
  end if;
  if c.takeover_by is not null then
    raise exception sqlstate 'DS001' using message = 'conversation_taken';
  end if;
  if p_in_reply_to is not null then
    if t.state is distinct from 'deferred' then
      raise exception sqlstate 'DS001' using message = 'turn_closed';
    end if;
    update turns set state = 'replied', ended_at = clock_timestamp() where id = t.id;
    update conversations set outage_told_at = null, more = p_more where id = c.id;
    -- Workers keep the health of agents. After the sends, which somebody waits for.
    perform graphile_worker.add_job('deferred-answered', json_build_object('turn', t.id), max_attempts := 3, priority := 5);
  else
    update agent_sessions set proactive_left = proactive_left - 1
    where id = s.id and is_active and proactive_left > 0 and agent_id = p_agent;
    if not found then
      raise exception sqlstate 'DS001' using message =
        case when s.agent_id is distinct from p_agent or not s.is_active then 'not_found' else 'send_budget_spent' end;
    end if;
    -- Whoever has just texted is awake; nobody else is woken up.
    wakes := coalesce(last_texted(c) < clock_timestamp() - interval '1 hour', true);
    room_at := quiet_until(null, c.their_address, clock_timestamp());
    if wakes and room_at is not null then
      raise exception sqlstate 'DS001' using message = 'quiet_hours';
    end if;
  end if;

  perform queue_replies(json_build_array(json_build_object(
    'conversation_id', c.id, 'turn_id', t.id, 'kind', case when t.id is null then 'proactive' else 'reply' end,
    'body', p_body, 'parts', p_parts)), p_pacing);
  if p_in_reply_to is null then
    -- A carrier's own queue holds ten hours, and an agent's news is stale long before.
    select max(send_at) - interval '10 hours' into room_at
    from outbound_parts where conversation_id = c.id and position > c.out_seq;
    if room_at > clock_timestamp() then
      raise exception sqlstate 'DS001' using message = 'sender_busy';
    end if;
    -- Its turn in line may come when the person sleeps.
    room_at := quiet_until(null, c.their_address, room_at + interval '10 hours');
    if wakes and room_at is not null then
      raise exception sqlstate 'DS001' using message = 'quiet_hours';
    end if;
  end if;
  select id into posted from messages where conversation_id = c.id and direction = 'out' and id >= id_at(now() - interval '1 hour')
  order by id desc limit 1;
  update webhook_receipts set message_id = posted
  where p_key is not null and channel = 'post' and provider_id = p_agent || ':' || p_conversation || ':' || p_key;
  return query select 'ok', posted, null::timestamptz;
exception when sqlstate 'DS001' then
  return query select sqlerrm, null::uuid, room_at;
end $$;

-- Ends turns whose agent said 202 and never came back. Gives the conversations whose person has to be told.
create or replace function close_deferred(p_turn uuid, p_body text, p_parts json, p_pacing boolean)
returns boolean language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  c conversations;
begin
  select conversations.* into c from turns join conversations on conversations.id = turns.conversation_id
  where turns.id = p_turn for update of conversations;
  if c.takeover_by is not null and exists (select from turns where id = p_turn and state = 'deferred') then
    -- The operator may still answer it; if not, this comes after them.
    perform graphile_worker.add_job('close-deferred', json_build_object('turn', p_turn),
      run_at := c.takeover_until + interval '1 minute', max_attempts := 1000);
    return false;
  end if;
  update turns set state = 'fell_back', error_code = 'agent_timeout', ended_at = clock_timestamp()
  where id = p_turn and state = 'deferred';
  if not found then
    return false;
  end if;
  if c.outage_told_at is null or c.outage_told_at < clock_timestamp() - interval '1 hour' then
    update conversations set outage_told_at = clock_timestamp() where id = c.id;
    perform queue_replies(json_build_array(json_build_object(
      'conversation_id', c.id, 'turn_id', p_turn, 'kind', 'fallback', 'body', p_body, 'parts', p_parts)), p_pacing);
  end if;
  perform tell_watchers('turn', array[c.id]);
  return true;
end $$;

revoke execute on function post_message(uuid, uuid, uuid, text, text, json, text, text, boolean), close_deferred(uuid, text, json, boolean) from public;
grant execute on function post_message(uuid, uuid, uuid, text, text, json, text, text, boolean) to darkspere_web;
grant execute on function close_deferred(uuid, text, json, boolean) to darkspere_worker;
