-- Turns that ended from one moment to another, by minute and by how long their person had waited since the first text of the
-- burst: p_growth is how much wider each bucket of times is than the one before. Texts and turns are joined as a whole, which is
-- what the settings are for: a day has hundreds of thousands.
create or replace function ended_turns(p_from timestamptz, p_to timestamptz, p_growth float8)
returns table (minute int, bucket int, n int, replied int, fell_back int, other int)
language sql stable
set enable_hashjoin = on set enable_seqscan = on set work_mem = '32MB' set plan_cache_mode = force_custom_plan
as $$
  with turn as materialized (
    -- A turn may end a quarter of an hour after it began: an agent that said 202 has ten minutes.
    select t.id, t.conversation_id, t.from_seq, t.state, t.started_at, t.ended_at from turns t
    where t.id >= id_at(p_from - interval '15 minutes') and t.id < id_at(p_to) and t.ended_at >= p_from and t.ended_at < p_to
  ), text as materialized (
    select m.conversation_id, m.seq, m.id from messages m
    where m.id >= id_at(p_from - interval '20 minutes') and m.id < id_at(p_to) and m.seq is not null
  ), answered as (
    select turn.*, case when turn.state = 'replied' then coalesce(text.id, (
        -- Held, with an operator, or in an outage: few, looked up one by one.
        select m.id from messages m
        where m.conversation_id = turn.conversation_id and m.seq = turn.from_seq
          and m.id >= id_at(turn.started_at - interval '2 days') and m.id < id_at(p_from)
        order by m.id desc limit 1)) end as first_id
    from turn left join text on text.conversation_id = turn.conversation_id and text.seq = turn.from_seq
  )
  select floor(extract(epoch from ended_at - p_from) / 60)::int,
    -- Null for who got no answer: greatest() passes over nulls.
    case when first_id is not null
      then ceil(ln(greatest(1, extract(epoch from ended_at - id_time(first_id)) * 1000)::float8) / ln(p_growth))::int end,
    count(*)::int, count(*) filter (where state = 'replied')::int, count(*) filter (where state = 'fell_back')::int,
    count(*) filter (where state not in ('replied', 'fell_back'))::int
  from answered group by 1, 2
$$;

revoke execute on function ended_turns(timestamptz, timestamptz, float8) from public;
grant execute on function ended_turns(timestamptz, timestamptz, float8) to darkspere_web;
