-- When a part may leave: no faster than the carrier takes segments from its sender, from its campaign in a minute and from
-- its brand in a day. A reservation is rows, so it is right for any number of processes and nobody has to tick.
--
-- A sender's row holds the time up to which it is taken (GCRA). Campaigns and brands are counted in windows: ten seconds, and
-- days. Any minute touches seven windows of a campaign, so a window holds a seventh of its limit and no minute, whichever one
-- looks at, holds more than the limit.
--
-- Replies go before bulk at each of the three: a reply takes its place when it is queued and passes all bulk in line. Bulk
-- plans its place, and takes one when it leaves, out of what replies left. A fifth of each window it never takes, so that a
-- day's bulk leaves an evening's replies their room.

-- Who sends, as the carriers count: the same number on WhatsApp has a line of its own, which no 10DLC campaign limits.
create or replace function paced_sender(p_channel text, p_our_address text) returns text
language sql immutable parallel safe as $$
  select case when p_channel = 'sms' then p_our_address else p_channel || ':' || p_our_address end
$$;

-- Segments a second of a sender that is no number on our list: WhatsApp takes 80 messages, a number one segment.
create or replace function usual_rate(p_sender text) returns int
language sql immutable parallel safe as $$
  select case when p_sender like 'whatsapp:%' then 80 else 1 end
$$;

-- The start of the window that holds p_at, or of one that comes p_ahead windows later. Days have 23 or 25 hours twice a year.
create or replace function window_at(p_at timestamptz, p_daily boolean, p_ahead int default 0) returns timestamptz
language sql stable as $$
  select case when p_daily
    then (date_trunc('day', p_at at time zone 'America/Los_Angeles') + p_ahead * interval '1 day') at time zone 'America/Los_Angeles'
    else date_bin('10 seconds', p_at, timestamptz '2000-01-01 00:00:00Z') + p_ahead * interval '10 seconds' end
$$;

-- What a window of a campaign and one of its brand hold; null: not limited.
create or replace function window_capacity(p_campaign uuid, p_bulk boolean)
returns table (campaign_id uuid, brand_id uuid, per_slot int, per_day int)
language sql stable as $$
  select c.id, c.brand_id,
    case when c.segments_per_minute > 0 then greatest(1, c.segments_per_minute / 7 * case when p_bulk then 4 else 5 end / 5) end,
    b.daily_segments * case when p_bulk then 4 else 5 end / 5
  from campaigns c left join brands b on b.id = c.brand_id
  where c.id = p_campaign
$$;

-- The first moment from p_from on at which a holder has room for a part. One that is larger than a window is spread over
-- several in equal shares. With p_planned the bulk in line counts too.
create or replace function room_from(
  p_holder uuid, p_daily boolean, p_capacity int, p_segments int, p_planned boolean, p_from timestamptz)
returns timestamptz language plpgsql
as $$
declare
  n_windows int := (p_segments + p_capacity - 1) / p_capacity;
  share int := (p_segments + n_windows - 1) / n_windows;
  fits_at timestamptz := p_from;
  full_at timestamptz;
begin
  if p_capacity is null then
    return p_from;
  end if;
  loop
    select max(w.starts_at) into full_at
    from pacing_windows w
    where w.holder = p_holder
      and w.starts_at between window_at(fits_at, p_daily) and window_at(fits_at, p_daily, n_windows - 1)
      and w.taken + case when p_planned then w.planned else 0 end + share > p_capacity;
    exit when full_at is null;
    -- Behind all that are full from there on, in one statement: ten hours of a campaign are 3,600 windows, and its answers wait.
    select window_at(w.starts_at, p_daily, 1) into fits_at
    from pacing_windows w
    where w.holder = p_holder and w.starts_at >= full_at
      and w.taken + case when p_planned then w.planned else 0 end + share > p_capacity
      and not exists (
        select from pacing_windows next
        where next.holder = p_holder and next.starts_at = window_at(w.starts_at, p_daily, 1)
          and next.taken + case when p_planned then next.planned else 0 end + share > p_capacity)
    order by w.starts_at
    limit 1;
  end loop;
  return fits_at;
end $$;

-- The same for a part's campaign and its brand together. A full day moves it to the next one, where the campaign is asked anew.
create or replace function windows_from(
  p_campaign uuid, p_segments int, p_bulk boolean, p_planned boolean, p_from timestamptz)
returns timestamptz language plpgsql
as $$
declare
  l record;
  slot_at timestamptz;
  fits_at timestamptz := p_from;
begin
  select * into l from window_capacity(p_campaign, p_bulk);
  if not found then
    return p_from;
  end if;
  loop
    slot_at := room_from(l.campaign_id, false, l.per_slot, p_segments, p_planned, fits_at);
    fits_at := room_from(l.brand_id, true, l.per_day, p_segments, p_planned, slot_at);
    exit when fits_at = slot_at;
  end loop;
  return fits_at;
end $$;

-- Counts a part in the windows of a holder. p_taken and p_planned say how: 1, 0 or -1.
create or replace function count_in(
  p_holder uuid, p_daily boolean, p_capacity int, p_segments int, p_at timestamptz, p_taken int, p_planned int)
returns void language plpgsql
as $$
declare
  n_windows int := (p_segments + p_capacity - 1) / p_capacity;
  share int := (p_segments + n_windows - 1) / n_windows;
begin
  if p_capacity is null then
    return;
  end if;
  insert into pacing_windows as w (holder, starts_at, taken, planned)
  select p_holder, window_at(p_at, p_daily, n), greatest(0, share * p_taken), greatest(0, share * p_planned)
  from generate_series(0, n_windows - 1) n
  on conflict (holder, starts_at) do update set
    -- The limits may have been changed since it was counted.
    taken = greatest(0, w.taken + share * p_taken),
    planned = greatest(0, w.planned + share * p_planned);
end $$;

create or replace function count_in_windows(
  p_campaign uuid, p_segments int, p_bulk boolean, p_at timestamptz, p_taken int, p_planned int)
returns void language sql
as $$
  select count_in(l.campaign_id, false, l.per_slot, p_segments, p_at, p_taken, p_planned),
    count_in(l.brand_id, true, l.per_day, p_segments, p_at, p_taken, p_planned)
  from window_capacity(p_campaign, p_bulk) l
$$;

-- Gives back what a part had of its brand's day and has not used. Its seconds and its campaign's are over.
create or replace function uncount_day(p_campaign uuid, p_segments int, p_bulk boolean, p_at timestamptz)
returns void language sql
as $$
  select count_in(l.brand_id, true, l.per_day, p_segments, p_at, -1, 0) from window_capacity(p_campaign, p_bulk) l
$$;

-- Whoever reserves or gives way holds these first, and the senders' rows after them: each by its order, so nobody waits in a
-- circle.
create or replace function lock_campaigns(p_campaigns uuid[]) returns void language plpgsql
as $$
begin
  perform 1 from brands b
  where b.id = any (array(select c.brand_id from campaigns c where c.id = any (p_campaigns)))
  order by b.id for no key update;
  perform 1 from campaigns c where c.id = any (p_campaigns) order by c.id for no key update;
end $$;

-- Reserves the times of parts: per sender (`our_address`), replies and bulk apart, `parts` are their segments in order,
-- `replies` says which belong together. A number without a campaign takes them one after the other from starts_at on, at its rate; part_times has the
-- times of all others. A part that would leave when it is worth nothing any more is told its time and takes none, nor does the
-- rest of its reply: a day that is full must not fill the next one with what is never sent. A smaller reply behind it may have
-- room all the same. Without pacing every part may leave at once.
create or replace function reserve_time(p_load json, p_pacing boolean, p_now timestamptz default null)
returns table (our_address text, is_bulk boolean, rate double precision, starts_at timestamptz, part_times timestamptz[])
language plpgsql
as $$
#variable_conflict use_column
declare
  l record;
  limited uuid[];
  now_at timestamptz;
  latest_at timestamptz;
  free_at timestamptz;
  taken_until timestamptz;
  first_at timestamptz;
  fits_at timestamptz;
  late_reply int;
  times timestamptz[];
begin
  if not p_pacing then
    return query
    select t.our_address, t.is_bulk, 1e9::double precision, clock_timestamp(), null::timestamptz[]
    from json_to_recordset(p_load) t (our_address text, is_bulk boolean);
    return;
  end if;
  limited := array(
    select n.campaign_id from json_to_recordset(p_load) t (our_address text)
    join phone_numbers n on n.address = t.our_address and n.campaign_id is not null);
  if limited <> '{}' then
    perform lock_campaigns(limited);
  end if;

  for l in
    select t.our_address, t.is_bulk, t.segments, t.parts, t.replies, n.campaign_id,
      coalesce(n.segments_per_second, usual_rate(t.our_address))::double precision as rate
    from json_to_recordset(p_load) t (our_address text, is_bulk boolean, segments int, parts int[], replies int[])
    left join phone_numbers n on n.address = t.our_address
    order by t.our_address, t.is_bulk
  loop
    insert into sender_pacing (sender) values (l.our_address) on conflict do nothing;
    select case when l.is_bulk then greatest(bulk_until, replies_until) else replies_until end
    into free_at from sender_pacing where sender = l.our_address for update;
    now_at := coalesce(p_now, clock_timestamp());
    free_at := greatest(free_at, now_at);
    latest_at := now_at + worth_sending(case when l.is_bulk then 'proactive' else 'reply' end);

    first_at := free_at;
    times := null;
    late_reply := null;
    taken_until := free_at;
    if l.campaign_id is null then
      free_at := free_at + l.segments / l.rate * interval '1 second';
      -- The last that is not too late ends a part's length after that at most.
      taken_until := least(free_at,
        greatest(first_at, latest_at + (select max(n) from unnest(l.parts) n) / l.rate * interval '1 second'));
    else
      for n in 1 .. cardinality(l.parts) loop
        if late_reply is null or late_reply <> coalesce(l.replies[n], 0) then
          fits_at := windows_from(l.campaign_id, l.parts[n], l.is_bulk, l.is_bulk, free_at);
        end if;
        times := times || fits_at;
        if fits_at > latest_at then
          late_reply := coalesce(l.replies[n], 0);
          continue;
        end if;
        perform count_in_windows(
          l.campaign_id, l.parts[n], l.is_bulk, fits_at, (not l.is_bulk)::int, l.is_bulk::int);
        free_at := fits_at + l.parts[n] / l.rate * interval '1 second';
        taken_until := free_at;
      end loop;
    end if;

    update sender_pacing set
      replies_until = case when l.is_bulk then replies_until else taken_until end,
      bulk_until = case when l.is_bulk then taken_until else bulk_until end
    where sender = l.our_address;
    return query select l.our_address, l.is_bulk, l.rate, first_at, times;
  end loop;
end $$;

-- Of parts that are about to leave, those that may. Bulk takes its room now, from what replies left; where they left none it
-- gives way: it is planned anew and its job moves. Of other parts one that the carrier refused has used up its time, and one that
-- nobody sent at its time has let it pass (the database or all workers were away): these take their place in line anew, so that
-- what an outage held up leaves no faster than anything else when it is over. Such a part may go now when its sender has nothing
-- to do, else its job moves to the time that it got. again_at is the new place, where alone it counts in its brand's day: however
-- often it is tried, the carrier counts it once. Callers hold the parts' locks.
create or replace function without_yielding(p_parts uuid[], p_now timestamptz default null)
returns uuid[] language plpgsql
as $$
declare
  judged uuid[];
  yielding uuid[] := '{}';
  p record;
  busy_until timestamptz;
  now_at timestamptz;
  fits_at timestamptz;
  is_late boolean;
  line text;
  line_until timestamptz;
begin
  judged := array(
    select id from outbound_parts
    where id = any (p_parts) and state = 'queued'
      and (kind = 'proactive' or attempts > 0 and error_code is not null and coalesce(again_at <= sending_at, true)
        -- Longer than a busy worker, or the part before it, keeps one waiting; as long as a window of a campaign.
        or greatest(send_at, again_at) < coalesce(p_now, clock_timestamp()) - interval '10 seconds'));
  if judged = '{}' then
    return p_parts;
  end if;
  perform lock_campaigns(array(
    select n.campaign_id from outbound_parts part
    join conversations c on c.id = part.conversation_id
    join phone_numbers n on n.address = paced_sender(c.channel, c.our_address) and n.campaign_id is not null
    where part.id = any (judged)));

  for p in
    select part.id, part.segments, part.send_at, part.again_at, part.kind = 'proactive' as is_bulk,
      part.created_at + worth_sending(part.kind) as expires_at, from_us.sender, n.campaign_id,
      coalesce(n.segments_per_second, usual_rate(from_us.sender))::double precision as rate
    from outbound_parts part
    join conversations c on c.id = part.conversation_id
    cross join lateral paced_sender(c.channel, c.our_address) from_us (sender)
    left join phone_numbers n on n.address = from_us.sender
    where part.id = any (judged)
    order by from_us.sender, part.send_at, part.id
  loop
    select replies_until into busy_until from sender_pacing where sender = p.sender for update;
    -- Nothing was ever reserved on this sender: there is no pacing.
    continue when not found;
    now_at := coalesce(p_now, clock_timestamp());
    fits_at := case when busy_until > now_at + interval '50 milliseconds' then busy_until else now_at end;
    if not p.is_bulk or p.again_at is not null then
      perform uncount_day(p.campaign_id, p.segments, p.is_bulk, coalesce(p.again_at, p.send_at));
    end if;
    if not p.is_bulk then
      fits_at := windows_from(p.campaign_id, p.segments, false, false, fits_at);
      is_late := fits_at > p.expires_at;
      if not is_late then
        perform count_in_windows(p.campaign_id, p.segments, false, fits_at, 1, 0);
        update sender_pacing set replies_until = greatest(busy_until, fits_at) + p.segments / p.rate * interval '1 second'
        where sender = p.sender;
      end if;
      -- One that gets no time any more becomes void when it is worth nothing.
      update outbound_parts set again_at = least(fits_at, p.expires_at) where id = p.id;
      if fits_at > now_at then
        perform graphile_worker.add_job('send', json_build_object('p', p.id),
          run_at := least(fits_at, p.expires_at), max_attempts := 1000, job_key := 'send:' || p.id);
        yielding := yielding || p.id;
      end if;
      continue;
    end if;
    -- Bulk that was tried had left its plan for a place.
    if p.again_at is null then
      perform count_in_windows(p.campaign_id, p.segments, true, p.send_at, 0, -1);
    end if;
    fits_at := windows_from(p.campaign_id, p.segments, true, false, fits_at);
    if fits_at <= now_at then
      perform count_in_windows(p.campaign_id, p.segments, true, now_at, 1, 0);
      update sender_pacing set replies_until = greatest(busy_until, now_at) + p.segments / p.rate * interval '1 second'
      where sender = p.sender;
      update outbound_parts set again_at = now_at where id = p.id;
    else
      -- One behind the other. At one moment they would all come back together, each time for one of them to leave: with
      -- thousands nobody else's texts would get to the carrier any more.
      if line = p.sender then
        fits_at := greatest(fits_at, line_until);
      end if;
      fits_at := windows_from(p.campaign_id, p.segments, true, true, fits_at);
      line := p.sender;
      line_until := fits_at + p.segments / p.rate * interval '1 second';
      perform count_in_windows(p.campaign_id, p.segments, true, fits_at, 0, 1);
      update outbound_parts set send_at = fits_at, again_at = null where id = p.id;
      perform graphile_worker.add_job('send', json_build_object('p', p.id),
        run_at := least(fits_at, p.expires_at), max_attempts := 1000, job_key := 'send:' || p.id);
      yielding := yielding || p.id;
    end if;
  end loop;
  return array(select id from unnest(p_parts) id where id <> all (yielding));
end $$;

revoke execute on function paced_sender(text, text), usual_rate(text),
  window_at(timestamptz, boolean, int), window_capacity(uuid, boolean),
  room_from(uuid, boolean, int, int, boolean, timestamptz), windows_from(uuid, int, boolean, boolean, timestamptz),
  count_in(uuid, boolean, int, int, timestamptz, int, int), count_in_windows(uuid, int, boolean, timestamptz, int, int),
  uncount_day(uuid, int, boolean, timestamptz), lock_campaigns(uuid[]), reserve_time(json, boolean, timestamptz), without_yielding(uuid[], timestamptz) from public;
