-- What a program with an API key says over MCP: a text to somebody on the operator's list, or a reply to somebody who has texted.

create or replace function is_quiet(p_time time, p_from time, p_until time) returns boolean
language sql immutable parallel safe as $$
  select case when p_from < p_until then p_time >= p_from and p_time < p_until else p_time >= p_from or p_time < p_until end
$$;

-- When the quiet hours that hold at p_at in this zone are over; null when none do.
create or replace function quiet_end(p_at timestamptz, p_from time, p_until time, p_zone text) returns timestamptz
language sql stable parallel safe as $$
  select ((here.at::date + p_until) + case when here.at::time >= p_until then interval '1 day' else interval '0' end) at time zone p_zone
  from (select p_at at time zone p_zone as at) here
  where is_quiet(here.at::time, p_from, p_until)
$$;

-- When the quiet hours that hold at p_at for this person are over; null when none do. p_key null: for agents.
create or replace function quiet_until(p_key uuid, p_theirs text, p_at timestamptz) returns timestamptz
language sql stable security definer set search_path = public, pg_temp
as $$
  select quiet_end(p_at, l.quiet_from, l.quiet_until, coalesce(person.time_zone, l.time_zone))
  from (
    select * from program_limits where api_key_id = p_key or api_key_id is null order by api_key_id nulls last limit 1
  ) l
  left join lateral (
    select r.time_zone from allowed_recipients r
    where r.address = p_theirs and (r.api_key_id = p_key or r.api_key_id is null) order by r.api_key_id nulls last limit 1
  ) person on true
$$;

-- When the person of a conversation last texted, as far back as its session reaches; null: longer ago.
create or replace function last_texted(c conversations) returns timestamptz
language sql stable as $$
  select id_time(m.id) from messages m
  where m.conversation_id = c.id and m.direction = 'in' and m.id >= id_at(now() - coalesce(
    (select n.session_idle from phone_numbers n where n.address = c.our_address), interval '24 hours'))
  order by m.id desc limit 1
$$;

-- Says it in place of the agent: what waits has been answered then, and the agent goes on with what comes next. Where the key
-- itself has taken the conversation over, it stays so. Gives what operator_message gives.
create or replace function reply_as_program(c conversations, p_by text, p_body text, p_parts json, p_scope text, p_pacing boolean)
returns table (verdict text, message_id uuid)
language plpgsql
as $$
#variable_conflict use_column
declare
  answers boolean := c.takeover_by is null and (c.last_seq > c.done_seq
    or exists (select from turns t where t.conversation_id = c.id and t.state = 'deferred'));
begin
  if answers then
    perform take_over(c.id, p_by, 1);
  end if;
  return query select m.verdict, m.message_id
  from operator_message(c.id, p_by, p_body, p_parts, null, null, p_scope, p_pacing, 1, not answers) m;
  if answers then
    perform hand_back(c.id, p_by);
  end if;
end $$;

-- Whether an operator has put a number on the list, for this key or for all; one of ours is never on it.
create or replace function may_text(p_key uuid, p_theirs text) returns boolean
language sql stable security definer set search_path = public, pg_temp
as $$
  select exists (select from allowed_recipients r
      where r.address = p_theirs and (r.api_key_id = p_key or r.api_key_id is null))
    and not exists (select from phone_numbers n where n.address = p_theirs)
$$;

-- p_conversation: whose person is answered; null: p_theirs is texted from p_ours. Gives a verdict: ok, duplicate (with the first
-- message's id), idempotency_key_reused, not_found, recipient_not_allowed, session_over, conversation_taken, opted_out, or one of
-- quiet_hours, program_budget_spent, sender_busy with the time at which it may be tried again. A refused text leaves nothing
-- behind: no key, no charge, no reserved time.
create or replace function program_text(
  p_key uuid, p_by text, p_conversation uuid, p_ours text, p_theirs text, p_body text, p_parts json, p_once text, p_hash bytea,
  p_scope text, p_pacing boolean)
returns table (verdict text, message_id uuid, conversation_id uuid, free_at timestamptz)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  c conversations;
  was program_texts;
  l program_limits;
  is_reply boolean := p_conversation is not null;
  wanted int := (select sum((p ->> 'segments')::int) from json_array_elements(p_parts) p);
  room_at timestamptz;
  texted_at timestamptz;
  said record;
  posted uuid;
begin
  -- A program's texts are judged one after the other: a budget that two look at together would be spent twice. Before any other
  -- lock, so that nobody who holds one waits for this.
  perform pg_advisory_xact_lock(hashtextextended('program:' || p_key, 0));
  -- What all keys may send to a person is counted over all our numbers, so the conversation's lock is not enough.
  if p_conversation is null then
    perform pg_advisory_xact_lock(hashtextextended('texted:' || p_theirs, 0));
  end if;
  select * into was from program_texts t where t.api_key_id = p_key and t.idempotency_key = p_once;
  if was.id is not null then
    return query select case when was.request_hash = p_hash then 'duplicate' else 'idempotency_key_reused' end,
      was.message_id, was.conversation_id, null::timestamptz;
    return;
  end if;

  if is_reply then
    select * into c from conversations where id = p_conversation for update;
    if not found then
      raise exception sqlstate 'DS001' using message = 'not_found';
    end if;
  else
    if not exists (select from phone_numbers n where n.address = p_ours and n.is_active) then
      raise exception sqlstate 'DS001' using message = 'not_found';
    end if;
    if not may_text(p_key, p_theirs) then
      raise exception sqlstate 'DS001' using message = 'recipient_not_allowed';
    end if;
    perform new_conversations(
      json_build_array(json_build_object('ord', 0, 'channel', 'sms', 'ours', p_ours, 'theirs', p_theirs)), array[0]);
    select * into c from conversations
    where (channel, our_address, their_address) = ('sms', p_ours, p_theirs) for update;
  end if;
  texted_at := last_texted(c);
  if is_reply and texted_at is null then
    raise exception sqlstate 'DS001' using message = 'session_over';
  end if;
  if exists (select 1 from consents x
      where (x.channel, x.scope, x.their_address, x.state) = (c.channel, coalesce(p_scope, c.our_address), c.their_address, 'out')) then
    raise exception sqlstate 'DS001' using message = 'opted_out';
  end if;
  if c.takeover_by <> p_by then
    raise exception sqlstate 'DS001' using message = 'conversation_taken';
  end if;
  -- Whoever has just texted is not disturbed by an answer.
  if not is_reply or texted_at < clock_timestamp() - interval '1 hour' then
    room_at := quiet_until(p_key, c.their_address, clock_timestamp());
    if room_at is not null then
      raise exception sqlstate 'DS001' using message = 'quiet_hours';
    end if;
  end if;
  select * into l from program_limits where api_key_id = p_key or api_key_id is null order by api_key_id nulls last limit 1;
  select min(t.created_at) + interval '1 day' into room_at
  from program_texts t where t.api_key_id = p_key and t.created_at > clock_timestamp() - interval '1 day'
  having coalesce(sum(t.segments), 0) + wanted > l.segments_per_day;
  if not found and not is_reply then
    select min(t.created_at) + interval '1 day' into room_at
    from program_texts t
    where t.their_address = c.their_address and t.kind = 'send' and t.created_at > clock_timestamp() - interval '1 day'
    having count(*) >= l.texts_per_person;
  end if;
  if found then
    raise exception sqlstate 'DS001' using message = 'program_budget_spent';
  end if;

  if is_reply then
    select * into said from reply_as_program(c, p_by, p_body, p_parts, p_scope, p_pacing);
    if said.verdict <> 'ok' then
      raise exception sqlstate 'DS001' using message = said.verdict;
    end if;
    posted := said.message_id;
  else
    -- What is said belongs to a session, so that an agent knows of it when the person answers.
    perform session_of(c.id);
    perform queue_replies(json_build_array(json_build_object(
      'conversation_id', c.id, 'kind', 'proactive', 'body', p_body, 'parts', p_parts)), p_pacing);
    select p.message_id into posted from outbound_parts p where p.conversation_id = c.id and p.position = c.out_seq + 1;
    -- As for agents (posts.sql); and its turn in line may come when the person sleeps.
    select max(p.send_at) - interval '10 hours' into room_at
    from outbound_parts p where p.conversation_id = c.id and p.position > c.out_seq;
    if room_at > clock_timestamp() then
      raise exception sqlstate 'DS001' using message = 'sender_busy';
    end if;
    room_at := quiet_until(p_key, c.their_address, room_at + interval '10 hours');
    if room_at is not null then
      raise exception sqlstate 'DS001' using message = 'quiet_hours';
    end if;
  end if;
  insert into program_texts (api_key_id, kind, idempotency_key, request_hash, conversation_id, message_id, their_address, segments)
  values (p_key, case when is_reply then 'reply' else 'send' end, p_once, p_hash, c.id, posted, c.their_address, wanted);
  return query select 'ok', posted, c.id, null::timestamptz;
exception when sqlstate 'DS001' then
  return query select sqlerrm, null::uuid, c.id, room_at;
end $$;

revoke execute on function is_quiet(time, time, time), quiet_end(timestamptz, time, time, text), quiet_until(uuid, text, timestamptz), last_texted(conversations), may_text(uuid, text),
  reply_as_program(conversations, text, text, json, text, boolean),
  program_text(uuid, text, uuid, text, text, text, json, text, bytea, text, boolean) from public;
grant execute on function may_text(uuid, text),
  program_text(uuid, text, uuid, text, text, text, json, text, bytea, text, boolean) to darkspere_web;
