-- Month partitions: made ahead of time, dropped when their time is over. Both are called by a daily job and, the first,
-- by every migration. They run with the rights of the owner of the tables, because only an owner may add a partition.

-- The bounds follow from the ids: UUIDv7 begins with the time, so a month of ids is a month of rows.
create or replace function ensure_partitions(months_ahead int default 2) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  parent text;
  month_start timestamp;
  child text;
  low uuid;
  high uuid;
  made int := 0;
begin
  -- Two processes at once would make the same tables.
  perform pg_advisory_xact_lock(7358003);
  -- Behind a long query (a dump) this would wait, and every text behind this. The daily job tries again.
  perform set_config('lock_timeout', '500ms', true);
  for parent in select table_name from partitioned_tables order by table_name loop
    -- A row whose month has no partition lands here: storing a text never fails for want of one.
    if to_regclass(format('%I', parent || '_default')) is null then
      execute format('create table %I partition of %I default', parent || '_default', parent);
    end if;
    -- The month before: an id made just before midnight on the first may arrive after it.
    for month_start in
      select generate_series(
        date_trunc('month', now() at time zone 'UTC') - interval '1 month',
        date_trunc('month', now() at time zone 'UTC') + make_interval(months => months_ahead),
        interval '1 month')
    loop
      child := parent || to_char(month_start, '_YYYY_MM');
      continue when to_regclass(format('%I', child)) is not null;
      low := id_at(month_start at time zone 'UTC');
      high := id_at((month_start + interval '1 month') at time zone 'UTC');
      -- Attaching fails while the default holds rows of that month, so they move first.
      execute format('create table %I (like %I including defaults including constraints)', child, parent);
      execute format(
        'with moved as (delete from %I where id >= %L and id < %L returning *) insert into %I select * from moved',
        parent || '_default', low, high, child);
      execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, child, low, high);
      made := made + 1;
    end loop;
  end loop;
  return made;
end $$;

-- Drops the partitions whose last row is older than the table's keep_months; returns how many went.
create or replace function drop_old_partitions() returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  old record;
  dropped int := 0;
begin
  perform pg_advisory_xact_lock(7358003);
  perform set_config('lock_timeout', '500ms', true);
  for old in
    select child.relname
    from partitioned_tables t
    join pg_inherits i on i.inhparent = to_regclass(format('%I', t.table_name))
    join pg_class child on child.oid = i.inhrelid
    where child.relname ~ ('^' || t.table_name || '_\d{4}_\d{2}$')
      and to_date(right(child.relname, 7), 'YYYY_MM') + make_interval(months => t.keep_months + 1)
        <= date_trunc('month', now() at time zone 'UTC')
  loop
    execute format('drop table %I', old.relname);
    dropped := dropped + 1;
  end loop;
  return dropped;
end $$;

revoke execute on function ensure_partitions(int), drop_old_partitions() from public;
grant execute on function ensure_partitions(int), drop_old_partitions() to darkspere_worker, darkspere_admin;
