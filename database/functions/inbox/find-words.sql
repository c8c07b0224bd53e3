-- Messages before p_before with these words in them, newest first, p_limit at most. p_words is any part of a text, in
-- lower case; p_grams are its grams (src/inbox/grams.ts). Looks for p_ms at most. The last row has no message and says how far
-- back it looked, null when that is everything.
create or replace function find_words(p_words text, p_grams int[], p_before uuid, p_direction text, p_limit int, p_ms int)
returns table (message_id uuid, searched_to uuid)
language plpgsql stable
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  ends_at timestamptz := clock_timestamp() + p_ms * interval '1 millisecond';
  indexed uuid := indexed_until();
  reached uuid := p_before;
  n int := 0;
  found_here uuid[];
  oldest uuid;
  block record;
begin
  -- What is in no block yet, 2,000 at a time.
  while reached > indexed loop
    select array_agg(looked.id order by looked.id desc) filter (where strpos(looked.words, p_words) > 0
        and (p_direction is null or looked.direction = p_direction)),
      (array_agg(looked.id order by looked.id))[1]
    into found_here, oldest
    from (
      select m.id, m.direction, lower(m.body) as words
      from messages m where m.id < reached and m.id > indexed
      order by m.id desc limit 2000
    ) looked;
    exit when oldest is null;
    found_here := found_here[1:p_limit - n];
    n := n + coalesce(cardinality(found_here), 0);
    return query select id, null::uuid from unnest(found_here) id;
    reached := case when n = p_limit then found_here[cardinality(found_here)] else oldest end;
    if n = p_limit or clock_timestamp() > ends_at then
      return query select null::uuid, reached;
      return;
    end if;
  end loop;

  -- The blocks that have all of the grams: a few for a rare word, all of them for a common one, of which few will be read.
  for block in
    with candidate as materialized (
      select w.from_id, w.to_id from message_words w where w.grams @> p_grams
    )
    select * from candidate c where c.from_id < p_before order by c.from_id desc
  loop
    if exists (select from message_words w where w.from_id = block.from_id and strpos(w.words, p_words) > 0) then
      found_here := array(
        select m.id from messages m
        where m.id >= block.from_id and m.id <= block.to_id and m.id < p_before
          and strpos(lower(m.body), p_words) > 0
          and (p_direction is null or m.direction = p_direction)
        order by m.id desc limit p_limit - n);
      n := n + cardinality(found_here);
      return query select id, null::uuid from unnest(found_here) id;
    end if;
    if n = p_limit or clock_timestamp() > ends_at then
      return query select null::uuid, case when n = p_limit then found_here[cardinality(found_here)] else block.from_id end;
      return;
    end if;
  end loop;
  return query select null::uuid, null::uuid;
end $$;

-- The message that came with this id of the carrier's; p_gram is the id's number (src/inbox/grams.ts).
create or replace function find_provider_id(p_id text, p_gram int) returns uuid
language sql stable
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
  select found.id from (
    (select m.id from (
      select m.id, m.provider_id from messages m where m.id > indexed_until() order by m.id desc limit 100000
    ) m where m.provider_id = p_id limit 1)
    union all
    (select m.id from (
      select w.from_id, w.to_id from message_words w where w.grams @> array[p_gram] offset 0
    ) w join messages m on m.id >= w.from_id and m.id <= w.to_id
    where m.provider_id = p_id limit 1)
  ) found limit 1
$$;

revoke execute on function find_words(text, int[], uuid, text, int, int), find_provider_id(text, int) from public;
grant execute on function find_words(text, int[], uuid, text, int, int), find_provider_id(text, int) to darkspere_web;
