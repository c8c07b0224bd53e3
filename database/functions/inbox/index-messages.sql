-- Where message_words ends: what is newer has to be looked at itself.
create or replace function indexed_until() returns uuid
language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce((select to_id from message_words order by from_id desc limit 1), '00000000-0000-0000-0000-000000000000')
$$;

-- The next blocks of p_block messages that message_words does not hold, p_blocks at most, oldest first. What is left at the end,
-- less than a block or younger than a minute, is looked through message by message. A minute, because ids are made before the
-- commit that makes them visible, and no statement of the text path takes longer than half of that.
create or replace function blocks_to_index(p_blocks int, p_block int)
returns table (from_id uuid, to_id uuid, messages int, words text, provider_ids text[])
language sql stable security definer
set search_path = public, pg_temp set enable_seqscan = off
as $$
  select (array_agg(m.id order by m.id))[1], (array_agg(m.id order by m.id desc))[1], count(*)::int,
    lower(string_agg(m.body, e'\x01' order by m.id)), coalesce(array_agg(m.provider_id) filter (where m.provider_id is not null), '{}')
  from (
    select m.*, (row_number() over (order by m.id) - 1) / p_block as block
    from (
      select m.id, m.body, m.provider_id from messages m
      where m.id > indexed_until() and m.id < id_at(now() - interval '1 minute')
      order by m.id limit p_blocks * p_block
    ) m
  ) m
  group by block having count(*) = p_block
  order by 1
$$;

-- Adds such blocks, and the conversations of their messages to conversation_activity. Gives false, and does nothing, when
-- somebody else was faster.
create or replace function add_blocks(p_after uuid, p_blocks json) returns boolean
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  block record;
begin
  if not pg_try_advisory_xact_lock(7358004) or indexed_until() <> p_after then
    return false;
  end if;
  for block in
    select * from json_to_recordset(p_blocks) b (from_id uuid, to_id uuid, messages int, words text, grams int[]) order by from_id
  loop
    insert into message_words (from_id, to_id, messages, words, grams)
    values (block.from_id, block.to_id, block.messages, block.words, block.grams);
    insert into conversation_activity (conversation_id, last_message_id)
    select distinct on (m.conversation_id) m.conversation_id, m.id from messages m
    where m.id >= block.from_id and m.id <= block.to_id
    order by m.conversation_id, m.id desc
    on conflict (conversation_id) do update set last_message_id = excluded.last_message_id
    where conversation_activity.last_message_id < excluded.last_message_id;
  end loop;
  perform gin_clean_pending_list('message_words_grams');
  return true;
end $$;

-- Takes out what belongs there no more.
create or replace function prune_index() returns void
language plpgsql security definer set search_path = public, pg_temp set enable_seqscan = off
as $$
declare
  oldest uuid := (select id from messages order by id limit 1);
begin
  -- The clock was set back: what came since then belongs into blocks that were closed without it.
  delete from message_words where from_id in (select w.from_id from message_words w order by w.from_id desc limit 100)
    and to_id >= id_at(now() - interval '1 minute');
  -- Retention has dropped the messages.
  delete from message_words where from_id in (select w.from_id from message_words w order by w.from_id limit 100)
    and to_id < oldest;
  delete from conversation_activity a where a.conversation_id in (
    select gone.conversation_id from conversation_activity gone where gone.last_message_id < oldest limit 1000);
end $$;

revoke execute on function indexed_until(), blocks_to_index(int, int), add_blocks(uuid, json),
  prune_index() from public;
grant execute on function indexed_until() to darkspere_web, darkspere_worker;
grant execute on function blocks_to_index(int, int), add_blocks(uuid, json), prune_index() to darkspere_worker;
