-- When a part may leave: no faster than the carrier takes segments from its sender, replies before bulk.

-- Reserves segments on senders (GCRA: a sender's row holds the time up to which it is taken). Without pacing every part may
-- leave at once.
create or replace function reserve_time(p_load json, p_pacing boolean)
returns table (our_address text, is_bulk boolean, rate double precision, starts_at timestamptz)
language plpgsql
as $$
#variable_conflict use_column
declare
  l record;
  free_at timestamptz;
begin
  for l in
    select t.our_address, t.is_bulk, t.segments, coalesce(n.segments_per_second, 1)::double precision as rate
    from json_to_recordset(p_load) t (our_address text, is_bulk boolean, segments int)
    left join phone_numbers n on n.address = t.our_address
    order by t.our_address, t.is_bulk
  loop
    if not p_pacing then
      return query select l.our_address, l.is_bulk, 1e9::double precision, clock_timestamp();
      continue;
    end if;
    insert into sender_pacing (sender) values (l.our_address) on conflict do nothing;
    select case when l.is_bulk then greatest(bulk_until, replies_until, clock_timestamp())
      else greatest(replies_until, clock_timestamp()) end
    into free_at from sender_pacing where sender = l.our_address for update;
    update sender_pacing set
      replies_until = case when l.is_bulk then replies_until
        else free_at + l.segments / l.rate * interval '1 second' end,
      bulk_until = case when l.is_bulk then free_at + l.segments / l.rate * interval '1 second' else bulk_until end
    where sender = l.our_address;
    return query select l.our_address, l.is_bulk, l.rate, free_at;
  end loop;
end $$;

-- Whether a bulk part gives way: if replies have reserved its sender it goes behind them; if not, it takes its time from them.
create or replace function yields_to_replies(p_part outbound_parts)
returns boolean language plpgsql
as $$
declare
  our text;
  busy_until timestamptz;
  rate real;
begin
  select c.our_address, coalesce(n.segments_per_second, 1) into our, rate
  from conversations c left join phone_numbers n on n.address = c.our_address where c.id = p_part.conversation_id;
  select replies_until into busy_until from sender_pacing where sender = our for update;
  if busy_until > clock_timestamp() + interval '50 milliseconds' then
    perform graphile_worker.add_job('send', json_build_object('p', p_part.id),
      run_at := busy_until, max_attempts := 1000, job_key := 'send:' || p_part.id);
    return true;
  end if;
  update sender_pacing set replies_until = clock_timestamp() + p_part.segments / rate * interval '1 second' where sender = our;
  return false;
end $$;

revoke execute on function reserve_time(json, boolean), yields_to_replies(outbound_parts) from public;
