-- Conversations with a turn job, newest job first: those whose texts wait or are being answered. The console cannot see jobs.
create or replace function waiting_conversations(p_most int) returns setof uuid
language sql stable security definer set search_path = public, pg_temp
as $$
  select (j.payload ->> 'c')::uuid from graphile_worker._private_jobs j
  where j.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'turn')
  order by j.id desc limit p_most
$$;

-- Conversations with a part of which nobody knows whether the carrier took it: each has a job that looks it up.
create or replace function unknown_conversations(p_most int) returns setof uuid
language sql stable security definer set search_path = public, pg_temp
as $$
  select p.conversation_id
  from (
    select j.payload from graphile_worker._private_jobs j
    where j.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'settle')
    order by j.id desc limit p_most
  ) job
  join outbound_parts p on p.id = (job.payload ->> 'p')::uuid and p.state = 'unknown'
$$;

-- The conversation of each turn whose agent said 202 and has not answered yet: each has a job that ends it.
create or replace function deferred_conversations(p_most int) returns setof uuid
language sql stable security definer set search_path = public, pg_temp
as $$
  select t.conversation_id
  from (
    select j.payload from graphile_worker._private_jobs j
    where j.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'close-deferred')
    order by j.id desc limit p_most
  ) job
  join turns t on t.id = (job.payload ->> 'turn')::uuid and t.state = 'deferred'
$$;

-- When the oldest text that waits in a conversation came. first_pending_at is that, but where texts have waited since before the
-- release that keeps it so. Where something has been answered the text itself is looked up, from the newest back.
create or replace function waiting_since(c conversations) returns timestamptz
language sql stable as $$
  select coalesce(
    case when c.done_seq = 0 or c.answered_at[1] < c.first_pending_at then c.first_pending_at end,
    (select id_time(m.id) from messages m
     where m.conversation_id = c.id and m.seq = c.done_seq + 1
       and m.id >= id_at(least(c.first_pending_at, now()) - interval '1 hour')
     order by m.id desc limit 1))
$$;

-- How many texts wait, in how many conversations, and since when the longest. What operators have taken over waits for them.
create or replace function waiting_totals(out texts int, out conversations int, out oldest_at timestamptz)
language sql stable security definer set search_path = public, pg_temp
as $$
  select coalesce(sum(c.last_seq - c.done_seq), 0)::int, count(*)::int, min(waiting_since(c))
  from (select distinct w.id from waiting_conversations(1000000) w (id)) waiting
  join conversations c on c.id = waiting.id and c.last_seq > c.done_seq and c.takeover_by is null
$$;

-- The same of what waits for operators: no agent answers it while they have its conversation.
create or replace function operator_totals(out texts int, out conversations int, out oldest_at timestamptz)
language sql stable security definer set search_path = public, pg_temp
as $$
  select coalesce(sum(c.last_seq - c.done_seq), 0)::int, count(*)::int, min(waiting_since(c))
  from conversations c where c.takeover_by is not null and c.last_seq > c.done_seq
$$;

revoke execute on function waiting_conversations(int), unknown_conversations(int), deferred_conversations(int), waiting_since(conversations), waiting_totals(), operator_totals() from public;
grant execute on function waiting_conversations(int), unknown_conversations(int), deferred_conversations(int), waiting_totals(), operator_totals() to darkspere_web;
grant execute on function waiting_since(conversations) to darkspere_admin;
