-- Keywords: STOP, START, HELP, RESET and MORE, each as one transaction that no turn and no send can cut into.

-- The conversations that an opt-out covers: the one with our number, or those with all of them where a messaging
-- service is the scope.
create or replace function conversations_of(p_channel text, p_ours text, p_theirs text, p_scope text)
returns setof uuid language sql stable
as $$
  select c.id from conversations c
  where c.their_address = p_theirs and c.channel = p_channel and (c.our_address = p_ours or p_scope is not null)
$$;

-- Locks conversations, and with them all that an opt-out in some of them covers (p_opted_out; null: in none): at once and in one order,
-- as a STOP does, which often comes together with what the carrier says of it.
create or replace function lock_with_covered(p_conversations uuid[], p_opted_out uuid[], p_scope text)
returns void language plpgsql
as $$
begin
  if p_opted_out is not null and p_scope is not null then
    p_conversations := p_conversations || array(
      select covered.id from conversations c
      cross join lateral conversations_of(c.channel, c.our_address, c.their_address, p_scope) covered (id)
      where c.id = any (p_opted_out));
  end if;
  perform 1 from conversations c where c.id = any (p_conversations) order by c.id for update;
end $$;

-- Ends everything that is under way for these conversations; callers hold their locks. What a worker has in its hands is
-- called back: it is cut off if it has not left, and whatever became of it, it never waits in line again.
create or replace function stop_conversations(p_conversations uuid[])
returns void language plpgsql
as $$
declare
  open_parts uuid[] := array(
    select p.id from conversations c join outbound_parts p on p.conversation_id = c.id and p.position > c.out_seq - 1000
    where c.id = any (p_conversations) and p.state in ('queued', 'sending', 'unknown'));
begin
  update turns set state = 'cancelled', ended_at = clock_timestamp()
  where id = any (array(select c.running_turn from conversations c where c.id = any (p_conversations))) and state = 'running';
  update turns set state = 'cancelled', ended_at = clock_timestamp()
  where conversation_id = any (p_conversations) and state = 'deferred';
  perform 1 from outbound_parts p where p.id = any (open_parts) order by p.id for update;
  update outbound_parts p set state = 'void', error_code = 'opted_out', ended_at = clock_timestamp()
  where p.id = any (open_parts) and p.state = 'queued';
  update outbound_parts p set recalled = true
  where p.id = any (open_parts) and p.state in ('sending', 'unknown') and p.kind <> 'notice';
  update agent_sessions s set is_active = false, ended_at = clock_timestamp(), end_reason = 'stop'
  where s.id = any (array(select c.session_id from conversations c where c.id = any (p_conversations))) and s.is_active;
  -- Raising the epoch refuses whatever the running turn still wants to write; the new token ends its job.
  update conversations c set epoch = epoch + 1, token = token + 1, done_seq = last_seq, attempts = 0, interrupts = 0,
    running_turn = null, session_id = null, first_pending_at = null, more = null, outage_told_at = null
  where c.id = any (p_conversations);
  -- With the new epoch: a worker that hears this late must not stop a turn that was started after it.
  perform pg_notify('darkspere_cancel', c.id || ' ' || c.epoch) from conversations c where c.id = any (p_conversations);
  perform tell_watchers('turn', p_conversations);
end $$;

-- Whether somebody has texted STOP after what was received then. When a carrier's 21610 comes says nothing of when that STOP was.
create or replace function stopped_since(p_consent consents, p_received timestamptz) returns boolean
language sql immutable parallel safe as $$
  select p_consent.state = 'out' and p_consent.source = 'keyword' and p_consent.changed_at > p_received
$$;

-- The carrier says that the person has opted out (21610): a STOP whose webhook we never saw. p_tried: when the carrier was given
-- what it refused. Whoever has texted START since is in; if not after all, the next text is refused again. Callers hold the locks of
-- what it covers (lock_with_covered).
create or replace function opt_out(p_channel text, p_ours text, p_theirs text, p_scope text, p_tried timestamptz)
returns void language plpgsql
as $$
declare
  covered uuid[];
begin
  insert into consents (channel, scope, their_address, state, source)
  values (p_channel, coalesce(p_scope, p_ours), p_theirs, 'out', 'carrier')
  on conflict (channel, scope, their_address) do update set state = 'out', source = 'carrier', changed_at = clock_timestamp()
  where consents.state <> 'out' and consents.changed_at <= p_tried;
  if found then
    covered := array(select conversations_of(p_channel, p_ours, p_theirs, p_scope));
    -- One that is new since.
    perform 1 from conversations c where c.id = any (covered) order by c.id for update;
    perform stop_conversations(covered);
  end if;
end $$;

-- p_action: stop, start, help, reset, more or choose (choice.sql). p_parts: the notice to send, null for none. p_received: when
-- the webhook came, by this database's clock; null: now. Gives the conversation, or no row when the webhook was a repeat.
--
-- For `more` p_more is the text that p_parts begins and p_rest ends. Where another MORE or a new answer has come in between, nothing is
-- written, and the row has no message.
create or replace function apply_keyword(
  p_channel text, p_provider_id text, p_ours text, p_theirs text, p_body text, p_action text, p_scope text,
  p_notice text, p_parts json, p_rest text, p_pacing boolean, p_received timestamptz, p_more text)
returns table (conversation_id uuid, message_id uuid)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  c conversations;
  stored uuid;
  covered uuid[];
  -- A clock that is ahead must not make a later text look older than this one.
  received timestamptz := least(coalesce(p_received, clock_timestamp()), clock_timestamp());
begin
  insert into webhook_receipts (channel, provider_id) values (p_channel, p_provider_id) on conflict do nothing;
  if not found then
    return;
  end if;
  perform new_conversations(
    json_build_array(json_build_object('ord', 0, 'channel', p_channel, 'ours', p_ours, 'theirs', p_theirs)), array[0]);
  covered := array(select conversations_of(p_channel, p_ours, p_theirs, case p_action when 'stop' then p_scope end));
  perform 1 from conversations where id = any (covered) order by id for update;
  select * into c from conversations where (channel, our_address, their_address) = (p_channel, p_ours, p_theirs);
  if p_action = 'more' and c.more is distinct from p_more then
    delete from webhook_receipts r where (r.channel, r.provider_id) = (p_channel, p_provider_id);
    return query select c.id, null::uuid;
    return;
  end if;

  insert into messages (conversation_id, direction, kind, body, provider_id)
  values (c.id, 'in', 'keyword', p_body, p_provider_id) returning id into stored;

  -- Two machines that send each other keywords: the carrier would end it, and we end it first.
  if p_action <> 'more' and goes_too_fast(c.answered_at, holds_in_a_row(c.holds, c.held_until)) then
    p_parts := null;
  end if;
  -- Who has stopped already hears nothing more but the answers to START and HELP; the carrier would refuse it besides.
  if p_action in ('stop', 'reset', 'choose') and exists (select 1 from consents s
      where (s.channel, s.scope, s.their_address, s.state) = (p_channel, coalesce(p_scope, p_ours), p_theirs, 'out')) then
    p_parts := null;
  end if;
  if p_action = 'stop' then
    insert into consents as known (channel, scope, their_address, state, source, changed_at)
    values (p_channel, coalesce(p_scope, p_ours), p_theirs, 'out', 'keyword', received)
    on conflict (channel, scope, their_address) do update set
      state = 'out', source = 'keyword', changed_at = greatest(known.changed_at, received);
    perform stop_conversations(covered);
  elsif p_action = 'start' then
    -- One that lay in a spool, or that the database let wait, does not undo a STOP that came after it.
    insert into consents as known (channel, scope, their_address, state, source, changed_at)
    values (p_channel, coalesce(p_scope, p_ours), p_theirs, 'in', 'keyword', received)
    on conflict (channel, scope, their_address) do update set
      state = 'in', source = 'keyword', changed_at = greatest(known.changed_at, received)
    where not stopped_since(known, received);
    if not found then
      p_parts := null;
    elsif p_scope is not null then
      perform tell_watchers('turn', array(select conversations_of(p_channel, p_ours, p_theirs, p_scope)));
    end if;
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
  perform release_parts(covered);
  if p_parts is not null and p_action <> 'more' then
    perform release_notice(c.id);
  end if;
  perform tell_watchers('text', array[c.id]);
  return query select c.id, stored;
end $$;

-- Whether a part for somebody who has stopped is between its claim and the record of what became of it. One that is so for
-- longer than a send takes waits for being looked up, and does not leave.
create or replace function has_sends_under_way(p_channel text, p_ours text, p_theirs text, p_scope text) returns boolean
language sql stable security definer set search_path = public, pg_temp
as $$
  select exists (
    select 1 from conversations_of(p_channel, p_ours, p_theirs, p_scope) covered (id)
    join conversations c on c.id = covered.id
    join outbound_parts p on p.conversation_id = c.id and p.position > c.out_seq - 1000
    where p.recalled and p.state = 'sending' and p.sending_at > clock_timestamp() - interval '40 seconds')
$$;

-- What MORE would send, and whether the person had opted out when the text was received: asked before a keyword is decided.
create or replace function keyword_state(p_channel text, p_ours text, p_theirs text, p_scope text, p_received timestamptz)
returns table (more text, opted_out boolean)
language sql stable security definer set search_path = public, pg_temp
as $$
  select
    (select c.more from conversations c where (c.channel, c.our_address, c.their_address) = (p_channel, p_ours, p_theirs)),
    exists (select 1 from consents s
      where (s.channel, s.scope, s.their_address, s.state) = (p_channel, coalesce(p_scope, p_ours), p_theirs, 'out')
        and not stopped_since(s, coalesce(p_received, clock_timestamp())))
$$;

revoke execute on function conversations_of(text, text, text, text), stopped_since(consents, timestamptz), lock_with_covered(uuid[], uuid[], text), stop_conversations(uuid[]), opt_out(text, text, text, text, timestamptz),
  has_sends_under_way(text, text, text, text), keyword_state(text, text, text, text, timestamptz),
  apply_keyword(text, text, text, text, text, text, text, text, json, text, boolean, timestamptz, text) from public;
grant execute on function has_sends_under_way(text, text, text, text), keyword_state(text, text, text, text, timestamptz),
  apply_keyword(text, text, text, text, text, text, text, text, json, text, boolean, timestamptz, text) to darkspere_web;
