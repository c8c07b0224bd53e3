-- Forgets the ids of webhooks that no carrier delivers again (Twilio gives up within 15 s; people replay for days), 50,000 at a
-- time, and what was counted in windows of pacing that are over, or in days that are. Gives the number of ids: none when all is
-- forgotten.
create or replace function prune_receipts(p_older_than interval default '30 days')
returns int language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  n int;
begin
  delete from webhook_receipts where ctid = any (array(
    select ctid from webhook_receipts where received_at < now() - p_older_than limit 50000));
  get diagnostics n = row_count;
  delete from program_texts where created_at < clock_timestamp() - p_older_than;
  delete from pacing_windows where starts_at < clock_timestamp() - interval '2 days';
  return n;
end $$;

-- Brings what was promised for a time of a clock that has been set back by so many seconds to the same distance from now.
create or replace function shift_times(p_seconds double precision)
returns void language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  step interval := p_seconds * interval '1 second';
begin
  -- What has happened lies in the future too: answers would count as too fast, an outage as just told, and a STOP would undo
  -- every START until then. Conversations first, by id, as everybody locks them.
  perform 1 from conversations
  where greatest(takeover_until, held_until, answered_at[1], outage_told_at) > clock_timestamp()
  order by id for update;
  update conversations set
    takeover_until = case when takeover_by is not null and takeover_until > clock_timestamp() then takeover_until - step else takeover_until end,
    answered_at = case when answered_at[1] > clock_timestamp()
      then array(select at - step from unnest(answered_at) with ordinality t (at, n) order by n) else answered_at end,
    held_until = case when held_until > clock_timestamp() then held_until - step else held_until end,
    outage_told_at = case when outage_told_at > clock_timestamp() then outage_told_at - step else outage_told_at end
  where greatest(takeover_until, held_until, answered_at[1], outage_told_at) > clock_timestamp();
  update sender_pacing set
    replies_until = case when replies_until > clock_timestamp() then replies_until - step else replies_until end,
    bulk_until = case when bulk_until > clock_timestamp() then bulk_until - step else bulk_until end
  where greatest(replies_until, bulk_until) > clock_timestamp();
  -- What waits was queued within the last day: no carrier takes longer.
  update outbound_parts set send_at = send_at - step, again_at = again_at - step, sending_at = sending_at - step,
    accepted_at = accepted_at - step
  where id >= id_at(now() - interval '1 day') and state in ('queued', 'sending', 'unknown', 'accepted');
  update consents set changed_at = changed_at - step where changed_at > clock_timestamp();
  perform shift_agent_times(step);
  update graphile_worker._private_jobs set run_at = run_at - step where run_at > clock_timestamp();
end $$;

-- The net under the sends: parts of the last hour whose time was long ago, which are not at their end and have no job, or whose
-- turn in line nobody has noticed. Gives how many there were. Should never find any.
create or replace function rescue_parts(p_older_than interval)
returns int language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  n int;
  heads conversations[];
begin
  with lost as (
    select case p.state when 'unknown' then 'settle' else 'send' end as task, p.id, c.priority
    from outbound_parts p join conversations c on c.id = p.conversation_id
    where p.id >= id_at(now() - interval '1 hour') and p.id < id_at(now() - p_older_than)
      and (p.state in ('sending', 'unknown') or p.state = 'queued' and (p.position < c.out_head or p.kind = 'notice'))
      and greatest(p.send_at, p.again_at, p.sending_at) < clock_timestamp() - p_older_than
      and not exists (
        select from graphile_worker._private_jobs j where j.key in ('send:' || p.id, 'settle:' || p.id))
  ), added as (
    select graphile_worker.add_job(task, json_build_object('p', id), max_attempts := 1000, job_key := task || ':' || id,
      priority := -10 * priority)
    from lost
  )
  select count(*) into n from added;
  heads := array(
    select c from conversations c
    where c.out_head <= c.out_seq and exists (
      select from outbound_parts p
      where p.conversation_id = c.id and p.position = c.out_head and p.state = 'queued'
        and p.id >= id_at(now() - interval '1 hour') and p.send_at < clock_timestamp() - p_older_than));
  perform 1 from conversations c where c.id = any (array(select h.id from unnest(heads) h)) order by c.id for update;
  perform release_parts(array(select h.id from unnest(heads) h));
  return n + (select count(*) from unnest(heads) h join conversations c on c.id = h.id and c.out_head > h.out_head);
end $$;

-- Ends sessions that went idle without another text.
create or replace function end_idle_sessions()
returns int language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  n int;
begin
  with idle as (
    select s.id from agent_sessions s
    join conversations c on c.id = s.conversation_id
    left join phone_numbers p on p.address = c.our_address
    where s.is_active and c.running_turn is null and c.takeover_by is null
      and s.last_active_at < clock_timestamp() - coalesce(p.session_idle, interval '24 hours')
    limit 1000
    for update of s skip locked
  )
  update agent_sessions s set is_active = false, ended_at = clock_timestamp(), end_reason = 'idle'
  from idle where s.id = idle.id;
  get diagnostics n = row_count;
  return n;
end $$;

revoke execute on function prune_receipts(interval), shift_times(double precision), rescue_parts(interval), end_idle_sessions() from public;
grant execute on function prune_receipts(interval), shift_times(double precision), rescue_parts(interval), end_idle_sessions() to darkspere_worker;
