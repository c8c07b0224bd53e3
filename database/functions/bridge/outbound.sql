-- Parts: queue them with a reserved time, release them one after the other, and what the carrier reports of them later. The
-- send itself is in sending.sql.

-- How long after it was made a text is worth delivering. Bulk may have a place in line ten hours ahead (as long as Twilio keeps
-- a text itself) and gives way to replies after that.
create or replace function worth_sending(p_kind text) returns interval
language sql immutable parallel safe as $$
  select case p_kind when 'proactive' then interval '12 hours' else interval '4 hours' end
$$;

-- Puts replies into the log and their parts in line, and reserves the sender's time. Callers hold the conversation locks.
-- Gives what release_parts gives.
-- kind proactive is bulk: it queues behind every reply of its sender.
create or replace function queue_replies(p_replies json, p_pacing boolean, p_hand_over boolean default false)
returns uuid[] language plpgsql
as $$
declare
  -- First, because the locks of the pacing come after those of parts.
  passing uuid[] := pass_bulk(p_replies);
begin
  with reply as materialized (
    select t.*, row_number() over () as place
    from json_to_recordset(p_replies) t (conversation_id uuid, turn_id uuid, kind text, body text, parts json)
  ), stored as (
    insert into messages (conversation_id, direction, kind, body, turn_id)
    select conversation_id, 'out', kind, body, turn_id from reply order by place
    returning id, conversation_id
  ), linked as (
    update turns t set reply_id = s.id
    from reply r join stored s using (conversation_id)
    where t.id = r.turn_id
  ), part as materialized (
    select r.conversation_id, r.turn_id, r.kind, r.place, p.ordinality as n, s.id as message_id, c.out_seq,
      paced_sender(c.channel, c.our_address) as our_address,
      p.value ->> 'text' as body,
      (p.value ->> 'segments')::int as segments,
      array(select json_array_elements_text(coalesce(p.value -> 'media_urls', '[]'))) as media_urls,
      r.kind = 'proactive' as is_bulk
    from reply r
    join stored s using (conversation_id)
    join conversations c on c.id = r.conversation_id
    cross join lateral json_array_elements(r.parts) with ordinality p
  ), load as (
    select our_address, is_bulk, sum(segments) as segments, array_agg(segments order by place, n) as parts,
      array_agg(place order by place, n) as replies
    from part group by our_address, is_bulk
  ), sender as materialized (
    -- One row per sender is locked here, so reservations of several processes line up.
    select r.our_address, r.is_bulk, r.rate, r.starts_at, r.part_times
    from reserve_time((select json_agg(load) from load), p_pacing) r
  ), placed as (
    insert into outbound_parts (conversation_id, message_id, turn_id, position, kind, body, media_urls, segments, send_at,
      state, error_code, ended_at)
    select t.conversation_id, t.message_id, t.turn_id, t.out_seq + t.n, t.kind, t.body, t.media_urls, t.segments, t.send_at,
      case when late then 'void' else 'queued' end, case when late then 'expired' end, case when late then clock_timestamp() end
    from (
      select p.*, coalesce(sender.part_times[row_number() over line],
        sender.starts_at + interval '1 second' / sender.rate * (sum(p.segments) over line - p.segments)) as send_at
      from part p join sender using (our_address, is_bulk)
      window line as (partition by p.our_address, p.is_bulk order by p.place, p.n)
    ) t
    -- Its turn would come when it is worth nothing any more: it is not kept in line for that.
    cross join lateral (select t.send_at > clock_timestamp() + worth_sending(t.kind) as late) judged
    returning conversation_id
  )
  update conversations c set out_seq = c.out_seq + added.n
  from (select conversation_id, count(*) as n from placed group by conversation_id) added
  where c.id = added.conversation_id;

  if passing <> '{}' then
    update conversations c set
      out_seq = (select max(p.position) from outbound_parts p where p.conversation_id = c.id)
    where c.id = any (passing);
  end if;

  perform tell_watchers('reply', array(select conversation_id from json_to_recordset(p_replies) t (conversation_id uuid))) where is_watched();
  return release_parts(array(select conversation_id from json_to_recordset(p_replies) t (conversation_id uuid)), p_hand_over);
end $$;

-- Makes room for replies before the bulk that waits at the end of their conversations' lines: an answer must not wait for the
-- hours that bulk may take, as it would be worth nothing by then. Gives those conversations; until the room is filled their
-- out_seq is what is before it. Bulk that has its job keeps it, and leaves when its time comes, in between if need be.
create or replace function pass_bulk(p_replies json) returns uuid[]
language plpgsql
as $$
declare
  passing uuid[] := array(
    select c.id from conversations c
    -- Lateral, so that it is read by its index whatever the planner believes of tables that have just been made.
    cross join lateral (
      select p.kind from outbound_parts p where p.conversation_id = c.id order by p.position desc limit 1) latest
    where c.id = any (array(
        select r.conversation_id from json_to_recordset(p_replies) r (conversation_id uuid, kind text) where r.kind <> 'proactive'))
      and case when latest.kind = 'proactive' then before_bulk(c) < c.out_seq end);
begin
  if passing = '{}' then
    return passing;
  end if;
  -- All by their ids, like those who claim. A claim may be faster: its part stays where it is.
  perform 1 from outbound_parts p
  where p.id = any (array(
    select p.id from conversations c
    -- `offset 0`: once for each conversation, not for each of its parts.
    cross join lateral (select before_bulk(c) as place offset 0) bulk
    join outbound_parts p on p.conversation_id = c.id and p.position > bulk.place
    where c.id = any (passing)))
  order by p.id for update;
  update conversations c set out_seq = before_bulk(c), out_head = least(c.out_head, before_bulk(c) + 1) where c.id = any (passing);
  -- In two steps, because no two parts may have one position in between either.
  update outbound_parts p set position = -p.position
  from conversations c where c.id = any (passing) and p.conversation_id = c.id and p.position > c.out_seq;
  update outbound_parts p set position = json_array_length(r.parts) - p.position
  from json_to_recordset(p_replies) r (conversation_id uuid, parts json)
  where r.conversation_id = any (passing) and p.conversation_id = r.conversation_id and p.position < 0;
  return passing;
end $$;

-- The place of a conversation's line behind which nothing but bulk waits; its end when none does.
create or replace function before_bulk(p_line conversations) returns bigint
language sql volatile
as $$
  select coalesce(min(p.position) - 1, p_line.out_seq) from outbound_parts p
  where p.conversation_id = p_line.id and p.state = 'queued' and p.position > coalesce((
    select other.position from outbound_parts other
    where other.conversation_id = p_line.id and not (other.kind = 'proactive' and other.state in ('queued', 'void'))
    order by other.position desc limit 1), 0)
$$;

-- Gives the next part of each conversation its send job, if its predecessor allows: a settled one at once, an accepted one
-- 3 s after it was accepted (or as soon as it is sent), one that is still on its way or unknown not yet. Notices, the answers
-- to STOP and its relatives, wait for nobody. Bulk waits for other bulk too; nothing else waits for bulk that is queued once more,
-- because the carrier did not take it: it has its job, and all the time.
--
-- With p_hand_over the caller sends at once what may leave at once, and those parts come back. Their jobs are there all the
-- same, two seconds later: if the caller dies they send the part, and else they find it gone. By way of
-- the queue they would wait for the next look of the pool that sends.
create or replace function release_parts(p_conversations uuid[], p_hand_over boolean default false)
returns uuid[] language plpgsql
as $$
declare
  skipped int;
  due uuid[];
  handed_over uuid[] := '{}';
begin
  loop
    with head as materialized (
      select c.id as conversation, c.priority, part.id as part, part.state, part.attempts,
        case
          when part.kind = 'notice' then greatest(part.send_at, part.again_at)
          when before.state in ('queued', 'sending', 'unknown') or overtaken.state in ('queued', 'sending', 'unknown')
            or bulk.state in ('queued', 'sending', 'unknown') then null
          else greatest(part.send_at,
            case when before.state = 'accepted' then before.accepted_at + interval '3 seconds' end,
            case when overtaken.state = 'accepted' then overtaken.accepted_at + interval '3 seconds' end,
            case when bulk.state = 'accepted' then bulk.accepted_at + interval '3 seconds' end)
        end as run_at
      from conversations c
      join outbound_parts part on part.conversation_id = c.id and part.position = c.out_head
      -- A void part is passed over: what was before it may still be on its way.
      left join lateral (
        select earlier.kind, earlier.state, earlier.accepted_at, earlier.position from outbound_parts earlier
        where earlier.conversation_id = c.id and earlier.position < c.out_head and earlier.state <> 'void' and earlier.kind <> 'proactive'
        order by earlier.position desc limit 1
      ) before on true
      -- A notice may have gone while what was before it had not.
      left join lateral (
        select earlier.state, earlier.accepted_at from outbound_parts earlier
        where before.kind = 'notice' and earlier.conversation_id = c.id and earlier.position < c.out_head
          and earlier.state <> 'void' and earlier.kind not in ('notice', 'proactive')
        order by earlier.position desc limit 1
      ) overtaken on true
      -- Bulk may leave while an answer that passed it has not, so it hides none. Of bulk itself, bulk waits for the last that there
      -- is, and others for what is on its way, unless the part before them has waited for it already.
      left join lateral (
        select earlier.state, earlier.accepted_at from outbound_parts earlier
        where earlier.conversation_id = c.id and earlier.position < c.out_head and earlier.state <> 'void' and earlier.kind = 'proactive'
          and earlier.position > case when part.kind = 'proactive' then c.out_head - 1000 else coalesce(before.position, 0) end
          -- The carrier may not be there to be asked for hours: that is no reason to answer nobody.
          and (part.kind = 'proactive' or earlier.state <> 'queued'
            and not (earlier.state = 'unknown' and earlier.sending_at < clock_timestamp() - interval '2 minutes'))
        order by earlier.position desc limit 1
      ) bulk on true
      where c.id = any (p_conversations) and c.out_head <= c.out_seq
    ), leaving as materialized (
      select part, priority, run_at, p_hand_over and run_at <= clock_timestamp() + interval '5 milliseconds' as at_once
      -- One that was tried has its job, at the time that was found for it.
      from head where state = 'queued' and run_at is not null and attempts = 0
    ), released as (
      select count(*) from graphile_worker.add_jobs((
        select array_agg((
          'send', json_build_object('p', part), null, run_at + case when at_once then interval '2 seconds' else '0' end, 1000,
          'send:' || part, -10 * priority, null)::graphile_worker.job_spec) from leaving))
      where exists (select 1 from leaving)
    ), moved as (
      update conversations c set out_head = c.out_head + 1
      from head where c.id = head.conversation and (head.state <> 'queued' or head.run_at is not null)
      returning head.state, head.attempts
    )
    select count(*) filter (where state <> 'queued' or attempts > 0), (select array_agg(part) from leaving where at_once)
    into skipped, due from moved cross join released;
    handed_over := handed_over || coalesce(due, '{}');
    -- A part that will never be sent, or has its job, hides the one behind it: look again.
    exit when skipped = 0;
  end loop;
  return handed_over;
end $$;

-- Gives the newest notice of a conversation its send job although others wait before it. Only bulk can be behind it.
create or replace function release_notice(p_conversation uuid) returns void
language sql as $$
  select graphile_worker.add_job('send', json_build_object('p', p.id),
    run_at := p.send_at, max_attempts := 1000, job_key := 'send:' || p.id, priority := -10 * c.priority)
  from conversations c
  cross join lateral (
    select * from outbound_parts p where p.conversation_id = c.id and p.kind = 'notice' order by p.position desc limit 1
  ) p
  where c.id = p_conversation and p.position >= c.out_head and p.state = 'queued'
$$;

-- Delivery callbacks. Ranks only rise, so duplicates and late ones change nothing; an end is an end, except the one that is
-- only our guess (`unknown_outcome`: the carrier could not be asked).
create or replace function apply_statuses(p_statuses json, p_scope text)
returns table (part_id uuid, outcome text)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  touched uuid[];
  opted_out uuid[];
begin
  select array_agg(distinct p.conversation_id), array_agg(p.conversation_id) filter (where s.opted_out) into touched, opted_out
  from json_to_recordset(p_statuses) s (part_id uuid, opted_out boolean) join outbound_parts p on p.id = s.part_id;
  if touched is null then
    return query select s.part_id, 'unknown_part' from json_to_recordset(p_statuses) s (part_id uuid);
    return;
  end if;
  perform lock_with_covered(touched, opted_out, p_scope);

  return query
  with report as (
    -- Several reports on one part in one batch count as the furthest; one on another message of the carrier counts nothing.
    select distinct on (s.part_id) s.part_id, s.provider_id, s.state, s.error_code
    from json_to_recordset(p_statuses) s (part_id uuid, provider_id text, state text, error_code text)
    join outbound_parts p on p.id = s.part_id and coalesce(p.provider_id, s.provider_id) = s.provider_id
    order by s.part_id, state_rank(s.state) desc
  ), written as (
    update outbound_parts p set
      state = r.state,
      provider_id = coalesce(p.provider_id, r.provider_id),
      error_code = r.error_code,
      error_reason = null,
      accepted_at = coalesce(p.accepted_at, clock_timestamp()),
      sent_at = case when r.state in ('sent', 'delivered', 'read') then coalesce(p.sent_at, clock_timestamp()) else p.sent_at end,
      ended_at = case when state_rank(r.state) >= 4 then coalesce(p.ended_at, clock_timestamp()) end
    from report r
    where p.id = r.part_id and coalesce(p.provider_id, r.provider_id) = r.provider_id
      and (state_rank(r.state) > state_rank(p.state) and p.state not in ('failed', 'undelivered')
        or p.state = 'failed' and p.error_code = 'unknown_outcome')
    returning p.id, p.conversation_id, p.message_id, p.position, p.state
  ), voided as (
    -- The rest of a reply whose part did not arrive is not worth sending.
    update outbound_parts p set state = 'void', error_code = 'earlier_part_failed', ended_at = clock_timestamp()
    from written w
    where w.state in ('failed', 'undelivered') and p.conversation_id = w.conversation_id and p.message_id = w.message_id
      and p.position > w.position and p.state = 'queued' and p.id not in (select part_id from report)
  ), next as (
    -- A part waiting its 3 s behind one that has just become sent may go. Only just: `before` is the row as it was, and a
    -- later report must not add a second job while a worker is taking the first.
    select n.id, greatest(n.send_at, n.again_at) as send_at, c.priority
    from written w
    join outbound_parts before on before.id = w.id and state_rank(before.state) < 3
    join conversations c on c.id = w.conversation_id
    join outbound_parts n on n.conversation_id = w.conversation_id and n.position = w.position + 1
    where n.state = 'queued' and n.attempts = 0 and c.out_head > n.position and state_rank(w.state) >= 3
      and not (w.state in ('failed', 'undelivered') and n.message_id = w.message_id)
      -- One that was overtaken has its 3 s too.
      and not exists (
        select from outbound_parts other
        where other.conversation_id = n.conversation_id and other.position < n.position and other.position > n.position - 100
          and other.id not in (select id from written) and other.state = 'accepted' and other.accepted_at > clock_timestamp() - interval '3 seconds')
  ), forward as (
    select count(*) from graphile_worker.add_jobs((
      select array_agg(('send', json_build_object('p', id), null, send_at, 1000, 'send:' || id, -10 * priority, null
        )::graphile_worker.job_spec)
      from next))
    where exists (select from next)
  )
  select s.part_id, case when p.id is null then 'unknown_part' when w.id is null then 'ignored' else 'moved' end
  from json_to_recordset(p_statuses) s (part_id uuid)
  left join outbound_parts p on p.id = s.part_id
  left join written w on w.id = s.part_id
  left join forward on true;

  perform opt_out(c.channel, c.our_address, c.their_address, p_scope, p.sending_at)
  from json_to_recordset(p_statuses) s (part_id uuid, provider_id text, opted_out boolean)
  join outbound_parts p on p.id = s.part_id and p.provider_id = s.provider_id
  join conversations c on c.id = p.conversation_id
  where s.opted_out;

  perform tell_watchers('status', touched);
  touched := array(select id from conversations where id = any (touched) and out_head <= out_seq);
  if touched <> '{}' then
    perform release_parts(touched);
  end if;
end $$;

-- How far a part is. queued, sending and unknown may be overtaken by any news from the carrier; ends are final.
create or replace function state_rank(p_state text) returns int language sql immutable parallel safe as $$
  select case p_state
    when 'queued' then 0 when 'sending' then 0 when 'unknown' then 0
    when 'accepted' then 1 when 'sent' then 3
    -- failed and undelivered are ends of the same rank as delivered: whichever comes first stays.
    when 'delivered' then 4 when 'failed' then 4 when 'undelivered' then 4
    when 'read' then 5
    else 9 end
$$;

revoke execute on function worth_sending(text), queue_replies(json, boolean, boolean), release_parts(uuid[], boolean),
  pass_bulk(json), before_bulk(conversations), release_notice(uuid), apply_statuses(json, text) from public;
grant execute on function apply_statuses(json, text) to darkspere_web, darkspere_worker;
grant execute on function worth_sending(text) to darkspere_worker;
-- The view message_log calls it for whoever reads.
grant execute on function state_rank(text) to darkspere_web, darkspere_worker, darkspere_admin;
