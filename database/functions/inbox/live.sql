-- The live feed: what changes a conversation says so on the channel darkspere_live, while somebody watches. A hint, never the
-- content: `<what> <ids>`, each id as 22 characters of base64, one notification for a whole batch.

-- Asked by every batch of the text path, so it is a look at a table of no or a few rows: 6 µs while nobody watches.
create or replace function is_watched() returns boolean
language plpgsql as $$
begin
  return exists (select from live_watchers where seen_at > clock_timestamp() - interval '10 seconds');
end $$;

-- Call it after the change, in its transaction: whoever begins to watch waits for those that may have looked before. Where the ids
-- have to be looked up: `where is_watched()`, so that this is not done for nobody.
-- p_what: text, turn, reply, send, status, takeover or replay.
create or replace function tell_watchers(p_what text, p_conversations uuid[]) returns void
language plpgsql as $$
begin
  if p_conversations is null or p_conversations = '{}' or not is_watched() then
    return;
  end if;
  -- A notification takes 8,000 bytes.
  perform pg_notify('darkspere_live', p_what || ' ' || string_agg(rtrim(encode(uuid_send(told.id), 'base64'), '='), ''))
  from (
    select each.id, (row_number() over () - 1) / 350 as chunk
    from (select distinct unnest(p_conversations) as id) each
    where each.id is not null
  ) told
  group by told.chunk;
end $$;

-- A gateway says that somebody watches through it. False when that was not known the whole time since the last time: something
-- may have happened that nobody was told of. The margin is for a look that began before this and ends after it.
create or replace function watch_live(p_watcher uuid) returns boolean
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  before timestamptz;
begin
  select seen_at into before from live_watchers where watcher = p_watcher;
  insert into live_watchers as w (watcher, seen_at) values (p_watcher, clock_timestamp())
  on conflict (watcher) do update set seen_at = excluded.seen_at;
  delete from live_watchers where watcher in (
    select gone.watcher from live_watchers gone where gone.seen_at < clock_timestamp() - interval '1 minute'
    for update skip locked);
  -- Heard by the one who says it: so a feed that has gone deaf knows.
  perform pg_notify('darkspere_live', 'beat ' || p_watcher);
  return coalesce(before > clock_timestamp() - interval '7 seconds', false);
end $$;

create or replace function stop_watching(p_watcher uuid) returns void
language sql security definer set search_path = public, pg_temp
as $$
  delete from live_watchers where watcher = p_watcher
$$;

revoke execute on function is_watched(), tell_watchers(text, uuid[]), watch_live(uuid), stop_watching(uuid) from public;
grant execute on function watch_live(uuid), stop_watching(uuid) to darkspere_web;
