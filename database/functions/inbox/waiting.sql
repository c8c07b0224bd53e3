-- Conversations with a turn job, newest job first: those whose texts wait or are being answered. The console cannot see jobs.
create or replace function waiting_conversations(p_most int) returns setof uuid
language sql stable security definer set search_path = public, pg_temp
as $$
  select (j.payload ->> 'c')::uuid from graphile_worker._private_jobs j
  where j.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'turn')
  order by j.id desc limit p_most
$$;

-- How many texts wait, in how many conversations, and since when the longest. What operators have taken over does not wait for us.
create or replace function waiting_totals(out texts int, out conversations int, out oldest_at timestamptz)
language sql stable security definer set search_path = public, pg_temp
as $$
  select coalesce(sum(c.last_seq - c.done_seq), 0)::int, count(*)::int, min(c.first_pending_at)
  from (select distinct w.id from waiting_conversations(1000000) w (id)) waiting
  join conversations c on c.id = waiting.id and c.last_seq > c.done_seq and c.takeover_by is null
$$;

revoke execute on function waiting_conversations(int), waiting_totals() from public;
grant execute on function waiting_conversations(int), waiting_totals() to darkspere_web;
