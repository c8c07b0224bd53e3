-- Keywords: STOP, START, HELP, RESET and MORE, each as one transaction that no turn and no send can cut into.

create or replace function opt_out(p_channel text, p_scope text, p_their text)
returns void language plpgsql
as $$
begin
  insert into consents (channel, scope, their_address, state, source) values (p_channel, p_scope, p_their, 'out', 'carrier')
  on conflict (channel, scope, their_address) do update set state = 'out', source = 'carrier', changed_at = clock_timestamp()
  where consents.state <> 'out';
end $$;

-- p_action: stop, start, help, reset or more. p_parts: the notice to send, null for none. Gives the conversation, or no row
-- when the webhook was a repeat. For `more` nothing is written and no row is given when nothing was left to send.
create or replace function apply_keyword(
  p_channel text, p_provider_id text, p_ours text, p_theirs text, p_body text, p_action text, p_scope text,
  p_notice text, p_parts json, p_rest text, p_pacing boolean)
returns table (conversation_id uuid, message_id uuid)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  c conversations;
  stored uuid;
begin
  insert into webhook_receipts (channel, provider_id) values (p_channel, p_provider_id) on conflict do nothing;
  if not found then
    return;
  end if;
  perform new_conversations(
    json_build_array(json_build_object('ord', 0, 'channel', p_channel, 'ours', p_ours, 'theirs', p_theirs)), array[0]);
  select * into c from conversations
  where (channel, our_address, their_address) = (p_channel, p_ours, p_theirs) for update;

  insert into messages (conversation_id, direction, kind, body, provider_id)
  values (c.id, 'in', 'keyword', p_body, p_provider_id) returning id into stored;

  -- Two machines that send each other keywords: the carrier would end it, and we end it first.
  if p_action <> 'more' and goes_too_fast(c.answered_at, holds_in_a_row(c.holds, c.held_until)) then
    p_parts := null;
  end if;
  -- Who has stopped already hears nothing more but the answers to START and HELP; the carrier would refuse it besides.
  if p_action in ('stop', 'reset') and exists (select 1 from consents s
      where (s.channel, s.scope, s.their_address, s.state) = (p_channel, coalesce(p_scope, p_ours), p_theirs, 'out')) then
    p_parts := null;
  end if;
  if p_action = 'stop' then
    insert into consents (channel, scope, their_address, state, source)
    values (p_channel, coalesce(p_scope, p_ours), p_theirs, 'out', 'keyword')
    on conflict (channel, scope, their_address) do update set state = 'out', source = 'keyword', changed_at = clock_timestamp();
    -- Raising the epoch refuses whatever the running turn still wants to write; the new token ends its job.
    update turns set state = 'cancelled', ended_at = clock_timestamp() where id = c.running_turn and state = 'running';
    update turns set state = 'cancelled', ended_at = clock_timestamp()
    where conversation_id = c.id and state = 'deferred';
    update outbound_parts set state = 'void', error_code = 'opted_out', ended_at = clock_timestamp()
    where id in (
      select id from outbound_parts where conversation_id = c.id and position > c.out_seq - 1000 and state = 'queued'
      order by id for update);
    update agent_sessions set is_active = false, ended_at = clock_timestamp(), end_reason = 'stop'
    where id = c.session_id and is_active;
    update conversations set epoch = epoch + 1, token = token + 1, done_seq = last_seq, attempts = 0, interrupts = 0, running_turn = null,
      session_id = null, first_pending_at = null, more = null, outage_told_at = null
    where id = c.id;
    -- With the new epoch: a worker that hears this late must not stop a turn that was started after it.
    perform pg_notify('darkspere_cancel', c.id || ' ' || c.epoch + 1);
    -- Where the opt-out covers other numbers of ours too, what is claimed for those may not leave either.
    perform pg_notify('darkspere_cancel', o.id || ' 0') from conversations o
    where p_scope is not null and o.id <> c.id and o.channel = p_channel and o.their_address = p_theirs
      and o.our_address = any (array(select n.address from phone_numbers n));
  elsif p_action = 'start' then
    insert into consents (channel, scope, their_address, state, source)
    values (p_channel, coalesce(p_scope, p_ours), p_theirs, 'in', 'keyword')
    on conflict (channel, scope, their_address) do update set state = 'in', source = 'keyword', changed_at = clock_timestamp();
  elsif p_action = 'reset' then
    update agent_sessions set is_active = false, ended_at = clock_timestamp(), end_reason = 'reset'
    where id = c.session_id and is_active;
    update conversations set session_id = null, more = null where id = c.id;
  elsif p_action = 'more' then
    update conversations set more = p_rest where id = c.id;
  end if;

  if p_parts is not null then
    update conversations set answered_at = (array[clock_timestamp()] || answered_at)[1:9]
    where id = c.id and p_action <> 'more';
    perform queue_replies(
      json_build_array(json_build_object('conversation_id', c.id, 'kind', case p_action when 'more' then 'reply' else 'notice' end,
        'body', p_notice, 'parts', p_parts)), p_pacing);
  end if;
  perform release_parts(array[c.id]);
  return query select c.id, stored;
end $$;

-- Whether a part of a reply to this person is between its claim and the record of what became of it: from this number, or
-- from any where an opt-out covers them all. One that is so for longer than a send takes waits for being looked up, and does
-- not leave.
create or replace function has_sends_under_way(p_conversation uuid, p_scope text) returns boolean
language sql stable security definer set search_path = public, pg_temp
as $$
  select exists (
    select 1 from conversations stopped
    join conversations c on (c.channel, c.their_address) = (stopped.channel, stopped.their_address)
      and c.our_address = any (array(select n.address from phone_numbers n where p_scope is not null) || stopped.our_address)
    join outbound_parts p on p.conversation_id = c.id
    where stopped.id = p_conversation and p.position > c.out_seq - 1000 and p.kind <> 'notice'
      and p.state = 'sending' and p.sending_at > clock_timestamp() - interval '40 seconds')
$$;

-- What MORE would send, and whether the person has opted out: asked before a keyword is decided.
create or replace function keyword_state(p_channel text, p_ours text, p_theirs text, p_scope text)
returns table (more text, opted_out boolean)
language sql stable security definer set search_path = public, pg_temp
as $$
  select
    (select c.more from conversations c where (c.channel, c.our_address, c.their_address) = (p_channel, p_ours, p_theirs)),
    exists (select 1 from consents s
      where (s.channel, s.scope, s.their_address, s.state) = (p_channel, coalesce(p_scope, p_ours), p_theirs, 'out'))
$$;

revoke execute on function opt_out(text, text, text), has_sends_under_way(uuid, text), keyword_state(text, text, text, text),
  apply_keyword(text, text, text, text, text, text, text, text, json, text, boolean) from public;
grant execute on function has_sends_under_way(uuid, text), keyword_state(text, text, text, text),
  apply_keyword(text, text, text, text, text, text, text, text, json, text, boolean) to darkspere_web;
