-- A send is two commits around the carrier's call: claim the part, and record what became of it.

-- Takes parts for the pool p_pool to send, and gives a row for each that is to be sent, with the seconds for which it is still
-- worth delivering. A part that an opt-out blocks, or that is worth nothing any more, becomes void: its row says why
-- (`void_code`) and what stood in the way of its last try (`error_reason`). One that is `sending` already is not given: it is
-- left to its pool while that lives, for as long as a send can take; otherwise nobody knows, so it becomes `unknown` and gets a
-- job that looks for it.
create or replace function claim_parts(p_pool text, p_parts uuid[], p_scope text)
returns table (part_id uuid, conversation_id uuid, channel text, our_address text, their_address text,
  body text, media_urls text[], attempts int, kind text, valid_seconds int, void_code text, error_reason text)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  claimable uuid[];
  under_way uuid[];
  blocked uuid[];
  worthless uuid[];
  mine uuid[];
  lost uuid[];
begin
  with taken as (
    select p.id, p.kind, c.channel, c.our_address, c.their_address,
      p.created_at + worth_sending(p.kind) <= clock_timestamp() as is_expired,
      -- Longer than the carrier is given to answer (30 s). A try from the future was made before the clock was set back.
      p.state = 'sending' and abs(extract(epoch from clock_timestamp() - p.sending_at)) < 40
        and exists (select 1 from worker_pools w where w.pool_id = p.claimed_by) as is_under_way
    from outbound_parts p join conversations c on c.id = p.conversation_id
    where p.id = any (p_parts) and p.state in ('queued', 'sending')
    order by p.id
    for update of p
  ), judged as (
    select t.*, t.kind <> 'notice' and consent.state is not distinct from 'out' as is_blocked
    from taken t
    left join consents consent
      on (consent.channel, consent.scope, consent.their_address)
        = (t.channel, coalesce(p_scope, t.our_address), t.their_address)
  ), voided as (
    update outbound_parts p set
      state = 'void', error_code = case when j.is_blocked then 'opted_out' else 'expired' end, ended_at = clock_timestamp(),
      -- Why it did not leave in its time is what the carrier said to its last try.
      error_reason = case when j.is_blocked then null else p.error_reason end
    from judged j where p.id = j.id and (j.is_blocked or j.is_expired) and p.state = 'queued'
    returning p.id, p.conversation_id
  )
  select array_agg(j.id) filter (where v.id is null and not j.is_under_way),
    array_agg(j.id) filter (where j.is_under_way), array_agg(v.conversation_id) filter (where v.id is not null),
    array_agg(v.id) filter (where v.id is not null)
  into claimable, under_way, blocked, worthless
  from judged j left join voided v using (id);
  if blocked is not null then
    perform 1 from conversations c where c.id = any (blocked) order by c.id for update;
    perform release_parts(blocked);
  end if;
  -- Bulk gives way to replies, and a refused part needs a new time on its sender. Last, because the locks of the pacing come after those of conversations and parts.
  claimable := without_yielding(claimable);

  with moved as (
    update outbound_parts p set
      state = case when p.state = 'queued' then 'sending' else 'unknown' end,
      attempts = p.attempts + case when p.state = 'queued' then 1 else 0 end,
      sending_at = case when p.state = 'queued' then clock_timestamp() else p.sending_at end,
      claimed_by = p_pool,
      error_reason = case when p.state = 'queued' then null else 'the worker died while sending' end
    where p.id = any (claimable)
    returning p.id, p.state
  )
  select array_agg(id) filter (where state = 'sending'), array_agg(id) filter (where state = 'unknown')
  into mine, lost from moved;

  -- In this transaction: a worker that dies right after it would leave an unknown part that nobody looks for.
  perform graphile_worker.add_jobs(array_agg(
    ('settle', json_build_object('p', id), null, null, 1000, 'settle:' || id, 0, null)::graphile_worker.job_spec))
  from unnest(lost) id
  having count(*) > 0;
  if under_way is not null then
    perform graphile_worker.add_jobs(array_agg((
      'send', json_build_object('p', id), null, clock_timestamp() + interval '3 seconds', 1000, 'send:' || id, 0, null
      )::graphile_worker.job_spec))
    from unnest(under_way) id;
  end if;
  perform tell_watchers('send', array(select p.conversation_id from outbound_parts p where p.id = any (p_parts))) where is_watched();

  return query
  select p.id, p.conversation_id, c.channel, c.our_address, c.their_address, p.body, p.media_urls, p.attempts, p.kind,
    greatest(1, extract(epoch from p.created_at + worth_sending(p.kind) - clock_timestamp()))::int,
    case when p.state = 'void' then p.error_code end, p.error_reason
  from outbound_parts p join conversations c on c.id = p.conversation_id
  where p.id = any (mine || worthless);
end $$;

-- What became of sends: accepted, refused (queued again later, or failed) or unknown. A status callback may have been
-- faster than the carrier's own answer, so a state is never moved back. Only what is said of the newest try counts: an older
-- one, recorded late or once more, would put a part back in line while it leaves. Except that the carrier has it after all.
create or replace function record_sends(p_sends json, p_scope text)
returns void language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  touched uuid[];
  opted_out uuid[];
begin
  select array_agg(distinct p.conversation_id), array_agg(p.conversation_id) filter (where s.opted_out) into touched, opted_out
  from json_to_recordset(p_sends) s (part_id uuid, opted_out boolean) join outbound_parts p on p.id = s.part_id;
  perform lock_with_covered(touched, opted_out, p_scope);

  with news as (
    select distinct on (s.part_id) s.* from json_to_recordset(p_sends)
      s (part_id uuid, attempts int, state text, provider_id text, segments int, error_code text, error_reason text,
         run_at_ms int, opted_out boolean)
    order by s.part_id, s.state = 'accepted' desc, s.attempts desc
  ), input as materialized (
    select n.*, p.state in ('sending', 'unknown') and p.attempts = n.attempts
        or p.state in ('queued', 'sending', 'unknown') and n.state = 'accepted' as counts,
      -- A STOP called it back: it surely did not leave, and never will.
      n.state = 'queued' and p.recalled as withdrawn
    from news n join outbound_parts p on p.id = n.part_id
    where p.state <> 'void'
    order by p.id
    for update of p
  ), written as (
    update outbound_parts p set
      state = case when i.counts and i.withdrawn then 'void' when i.counts then i.state else p.state end,
      provider_id = coalesce(p.provider_id, i.provider_id),
      provider_segments = coalesce(i.segments, p.provider_segments),
      accepted_at = case when i.state = 'accepted' then coalesce(p.accepted_at, clock_timestamp()) else p.accepted_at end,
      ended_at = case when i.counts and (i.withdrawn or i.state = 'failed') then clock_timestamp() else p.ended_at end,
      error_code = case when i.counts and i.withdrawn then 'opted_out' when i.counts then i.error_code else p.error_code end,
      error_reason = case when i.counts then i.error_reason else p.error_reason end
    from input i
    where p.id = i.part_id
    returning p.id, p.conversation_id, p.message_id, p.state, i.run_at_ms, i.counts, p.created_at + worth_sending(p.kind) as expires_at
  ), again as (
    -- A refused part waits for its next try, an unknown one for being looked up. A try that lies behind what the part is worth
    -- is made at its end, where it becomes void: what waits behind it must not wait longer than that.
    select count(*) from graphile_worker.add_jobs((
      select array_agg((
        case w.state when 'queued' then 'send' else 'settle' end, json_build_object('p', w.id), null,
        case w.state when 'queued' then least(due_at, w.expires_at) else due_at end, 1000,
        case w.state when 'queued' then 'send:' else 'settle:' end || w.id, 0, null)::graphile_worker.job_spec)
      from written w cross join lateral (
        select clock_timestamp() + coalesce(w.run_at_ms, 5000) * interval '1 millisecond' as due_at) next
      where w.counts and w.state in ('queued', 'unknown')))
    where exists (select 1 from written where counts and state in ('queued', 'unknown'))
  ), voided as (
    -- The rest of a reply whose part failed is not worth sending.
    update outbound_parts p set state = 'void', error_code = 'earlier_part_failed', ended_at = clock_timestamp()
    from written w
    where w.counts and w.state = 'failed' and p.conversation_id = w.conversation_id and p.message_id = w.message_id
      and p.state = 'queued' and p.id <> w.id
  )
  select touched into touched from again;

  perform opt_out(c.channel, c.our_address, c.their_address, p_scope, p.sending_at)
  from json_to_recordset(p_sends) s (part_id uuid, attempts int, opted_out boolean)
  join outbound_parts p on p.id = s.part_id and p.attempts = s.attempts
  join conversations c on c.id = p.conversation_id
  where s.opted_out;

  perform record_exchanges(p_sends, '{}');
  perform tell_watchers('send', touched);
  touched := array(select id from conversations where id = any (touched) and out_head <= out_seq);
  if touched <> '{}' then
    perform release_parts(touched);
  end if;
end $$;

revoke execute on function claim_parts(text, uuid[], text), record_sends(json, text) from public;
grant execute on function claim_parts(text, uuid[], text), record_sends(json, text) to darkspere_worker;
