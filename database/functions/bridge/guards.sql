-- Loops and floods. Two machines that answer each other would do it until the carrier stops them (Twilio: error 14107 after 15
-- replies to one number in 30 s) and pay for every text. Nothing is refused here: a conversation that goes too fast is held,
-- its texts wait, and one turn answers them all.

-- Whether the next answer would be one too many: nine in 30 s, half of that with each hold in a row. A person is not that
-- fast; who was held by mistake waits half a minute.
create or replace function goes_too_fast(p_answered_at timestamptz[], p_holds int) returns boolean
language sql volatile as $$
  select coalesce(p_answered_at[greatest(1, 9 >> p_holds)] > clock_timestamp() - interval '30 seconds', false)
$$;

-- Holds in a row that still count: ten minutes after the last one all is forgiven. One that ends in more than an hour was
-- made before the clock was set back.
create or replace function holds_in_a_row(p_holds smallint, p_held_until timestamptz) returns int
language sql volatile as $$
  select case when p_held_until > clock_timestamp() - interval '10 minutes' then p_holds else 0 end
$$;

create or replace function is_held(p_held_until timestamptz) returns boolean
language sql volatile as $$
  select coalesce(p_held_until > clock_timestamp() and p_held_until <= clock_timestamp() + interval '1 hour', false)
$$;

-- Whether the last five texts within ten minutes are the same words: what an auto-reply says to every answer. Pictures alone have none.
create or replace function repeats_itself(p_conversation uuid) returns boolean
language plpgsql as $$
begin
  return (
    select count(*) = 5 and count(distinct lower(btrim(recent.body))) = 1 and min(btrim(recent.body)) <> ''
    from (
      select m.body from messages m
      where m.conversation_id = p_conversation and m.direction = 'in' and m.kind = 'text'
        and m.id >= id_at(now() - interval '10 minutes')
      order by m.id desc
      limit 5
    ) recent);
end $$;

-- Holds conversations: half a minute, twice as long each time in a row, an hour at most. Callers hold their locks.
create or replace function hold_conversations(p_conversations uuid[]) returns void
language sql as $$
  update conversations c set
    holds = least(7, holds_in_a_row(c.holds, c.held_until) + 1),
    held_until = clock_timestamp()
      + least(interval '1 hour', interval '30 seconds' * (1 << holds_in_a_row(c.holds, c.held_until)))
  where c.id = any (p_conversations)
$$;

-- Tells the person of a running turn to wait a moment, once per head. Gives the part that may leave at once; null when the
-- turn is over or they were told already.
create or replace function tell_to_wait(
  p_conversation uuid, p_turn uuid, p_epoch int, p_body text, p_parts json, p_pacing boolean)
returns uuid language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  due uuid[];
begin
  perform 1 from conversations c where c.id = p_conversation for update;
  update conversations c set hold_told_seq = c.done_seq + 1
  where c.id = p_conversation and c.epoch = p_epoch and c.running_turn = p_turn and c.hold_told_seq <= c.done_seq;
  if not found then
    return null;
  end if;
  due := queue_replies(json_build_array(json_build_object(
    'conversation_id', p_conversation, 'turn_id', null, 'kind', 'holding', 'body', p_body, 'parts', p_parts)), p_pacing, true);
  return due[1];
end $$;

revoke execute on function goes_too_fast(timestamptz[], int), holds_in_a_row(smallint, timestamptz), is_held(timestamptz),
  repeats_itself(uuid), hold_conversations(uuid[]), tell_to_wait(uuid, uuid, int, text, json, boolean) from public;
grant execute on function tell_to_wait(uuid, uuid, int, text, json, boolean) to darkspere_worker;
-- The view message_log calls it for whoever reads.
grant execute on function is_held(timestamptz) to darkspere_web, darkspere_worker, darkspere_admin;
