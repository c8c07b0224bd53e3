-- Takes in a micro-batch of texts: one call, one commit, and the webhooks of the batch are answered after it.
--
-- Locks in one order everywhere (receipts by key, then conversations by id), so that batches never deadlock. What the
-- settings of the hot functions are for stands in turns.sql; functions without any are called by these only.

create or replace function ingest_texts(p_texts json, p_quiet_ms int, p_scope text)
returns table (ord int, conversation_id uuid, message_id uuid, refused text)
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  fresh int[];
begin
  -- A provider id that is already there is a webhook delivered again: it has had its answer.
  with input as (
    select * from json_to_recordset(p_texts) t (ord int, channel text, provider_id text)
  ), taken as (
    insert into webhook_receipts (channel, provider_id)
    select channel, provider_id from input order by channel, provider_id
    on conflict do nothing
    returning channel, provider_id
  )
  select array_agg(first_ord) into fresh
  from (
    select min(i.ord) as first_ord from input i
    -- `is true` keeps this a hashed lookup: joined, two halves of a batch would be compared each with each.
    where ((i.channel, i.provider_id) in (select t.channel, t.provider_id from taken t)) is true
    group by i.channel, i.provider_id
  ) f;
  if fresh is null then
    return;
  end if;

  if exists (
    select from json_to_recordset(p_texts) t (ord int, channel text, ours text, theirs text)
    where t.ord = any (fresh) and not exists (
      select from conversations c where (c.channel, c.our_address, c.their_address) = (t.channel, t.ours, t.theirs))
  ) then
    perform new_conversations(p_texts, fresh);
  end if;

  perform 1 from conversations c
  where (c.channel, c.our_address, c.their_address) in (
    select t.channel, t.ours, t.theirs from json_to_recordset(p_texts) t (ord int, channel text, ours text, theirs text)
    where t.ord = any (fresh))
  order by c.id
  for update;

  -- A statement of its own: it sees what was committed while we waited for the locks, a STOP above all.
  return query
  with judged as materialized (
    -- Ids order messages, so they are made in the order of the texts.
    select text.*, new_id() as id from (
      select t.ord, t.body, t.media, t.provider_id, t.received_at, c.id as conversation, c.last_seq,
        coalesce(t.refused, case when consent.state = 'out' then 'opted_out' end) as verdict
      from json_to_recordset(p_texts)
        t (ord int, channel text, provider_id text, ours text, theirs text, body text, media jsonb, refused text,
           received_at timestamptz)
      join conversations c on (c.channel, c.our_address, c.their_address) = (t.channel, t.ours, t.theirs)
      left join consents consent
        on (consent.channel, consent.scope, consent.their_address) = (t.channel, coalesce(p_scope, t.ours), t.theirs)
      where t.ord = any (fresh)
      order by t.ord
    ) text
  ), stored as (
    insert into messages (id, conversation_id, direction, kind, seq, body, media, provider_id, refused, received_at)
    select j.id, j.conversation, 'in', 'text',
      case when j.verdict is null
        then j.last_seq + row_number() over (partition by j.conversation, j.verdict is null order by j.ord) end,
      j.body, coalesce(j.media, '[]'), j.provider_id, j.verdict, j.received_at
    from judged j
  ), arrived as (
    select conversation, count(*) as n from judged where verdict is null group by conversation
  ), bumped as (
    update conversations c set
      last_seq = c.last_seq + a.n,
      token = c.token + case when c.last_seq = c.done_seq then 1 else 0 end,
      first_pending_at = case when c.last_seq = c.done_seq then clock_timestamp() else c.first_pending_at end,
      last_pending_at = clock_timestamp()
    from arrived a
    where c.id = a.conversation
    -- While an operator has it nobody is woken: handing it back adds the job.
    returning c.id, c.our_address, c.token, c.priority, c.last_seq - a.n = c.done_seq and c.takeover_by is null as was_idle,
      case when c.running_turn is not null and c.interrupts < 3 then c.epoch end as interruptible
  ), queued as (
    -- One NOTIFY for the whole batch: add_jobs rings once.
    select count(*) from graphile_worker.add_jobs((
      select array_agg(
        ('turn', json_build_object('c', b.id, 't', b.token, 'q', quiet_time(n, p_quiet_ms)), null, null, 1000, null,
          -10 * b.priority, null)::graphile_worker.job_spec)
      from bumped b left join phone_numbers n on n.address = b.our_address
      where b.was_idle))
    where exists (select 1 from bumped where was_idle)
  ), interrupted as (
    -- Three times at most: somebody who never stops typing gets an answer all the same. A worker that does not hear it
    -- answers what it has, and the next turn answers this.
    select count(pg_notify('darkspere_interrupt', b.id || ' ' || b.interruptible))
    from bumped b join phone_numbers n on n.address = b.our_address
    where b.interruptible is not null and n.busy_policy = 'interrupt'
  )
  select j.ord, j.conversation, j.id, j.verdict from judged j cross join queued cross join interrupted;

  perform tell_watchers('text', array(
    select c.id from json_to_recordset(p_texts) t (ord int, channel text, ours text, theirs text)
    join conversations c on (c.channel, c.our_address, c.their_address) = (t.channel, t.ours, t.theirs)
    where t.ord = any (fresh)))
  where is_watched();
end $$;

-- Contacts and conversations of people who text for the first time. Inserts in key order; waits only for other inserters.
create or replace function new_conversations(p_texts json, p_ords int[])
returns void language plpgsql
as $$
begin
  with missing as materialized (
    select distinct t.channel, t.ours, t.theirs
    from json_to_recordset(p_texts) t (ord int, channel text, ours text, theirs text)
    where t.ord = any (p_ords)
      and not exists (
        select 1 from conversations c
        where (c.channel, c.our_address, c.their_address) = (t.channel, t.ours, t.theirs))
  ), newcomer as (
    insert into contacts (channel, address)
    select distinct channel, theirs from missing order by channel, theirs
    on conflict do nothing
    returning id, channel, address
  ), person as (
    select id, channel, address from newcomer
    union all
    select c.id, c.channel, c.address from contacts c
    where (c.channel, c.address) in (select channel, theirs from missing)
  )
  insert into conversations (channel, our_address, their_address, contact_id)
  select distinct on (m.channel, m.ours, m.theirs) m.channel, m.ours, m.theirs, p.id
  from missing m join person p on (p.channel, p.address) = (m.channel, m.theirs)
  order by m.channel, m.ours, m.theirs
  on conflict do nothing;

  -- A contact inserted by somebody else while this statement ran is invisible to it; a second look finds it.
  insert into conversations (channel, our_address, their_address, contact_id)
  select distinct on (t.channel, t.ours, t.theirs) t.channel, t.ours, t.theirs, p.id
  from json_to_recordset(p_texts) t (ord int, channel text, ours text, theirs text)
  join contacts p on (p.channel, p.address) = (t.channel, t.theirs)
  where t.ord = any (p_ords)
    and not exists (
      select 1 from conversations c
      where (c.channel, c.our_address, c.their_address) = (t.channel, t.ours, t.theirs))
  order by t.channel, t.ours, t.theirs
  on conflict do nothing;
end $$;

revoke execute on function ingest_texts(json, int, text), new_conversations(json, int[]) from public;
grant execute on function ingest_texts(json, int, text) to darkspere_web;
