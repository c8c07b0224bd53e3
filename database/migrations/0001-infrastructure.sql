-- Roles, ids and partitions: what every later migration stands on.

-- Group roles without a login. Each pool starts its connections with `role=…`, so one DATABASE_URL serves all three and
-- no process can do more than its part. Roles live in the whole cluster: another database may have made them already.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['darkspere_web', 'darkspere_worker', 'darkspere_admin'] loop
    begin
      if not exists (select from pg_roles where rolname = wanted) then
        execute format('create role %I nologin', wanted);
      end if;
      if not pg_has_role(current_user, wanted, 'member') then
        execute format('grant %I to current_user', wanted);
      end if;
    exception
      -- Another database of this cluster is being migrated at this moment and was faster.
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise exception 'the login % may not make or use the role %', current_user, wanted
          using hint = format('As an administrator run: create role %1$I nologin; grant %1$I to %2$I;', wanted, current_user);
    end;
  end loop;
end $$;

revoke create on schema public from public;
grant usage on schema public to darkspere_web, darkspere_worker, darkspere_admin;
-- Nobody runs a function that was not granted to them by name. (With "in schema" this would take nothing away.)
alter default privileges revoke execute on functions from public;

-- UUIDv7 from the database's clock (RFC 9562 §5.7): ids order messages, so no other machine's clock may make them.
do $$
begin
  if current_setting('server_version_num')::int >= 180000 then
    create function new_id() returns uuid language sql volatile parallel safe as 'select uuidv7()';
  else
    -- 48 bits of milliseconds, 12 bits below them, 62 random bits.
    create function new_id() returns uuid language sql volatile parallel safe as $new_id$
      select encode(
        int8send(((us / 1000) << 16) | 28672 | (us % 1000) * 4096 / 1000)
          || substring(uuid_send(gen_random_uuid()) from 9),
        'hex')::uuid
      from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as us) now
    $new_id$;
  end if;
end $$;

-- The smallest id that can have been made at or after a moment: turns a time range into an id range.
create function id_at(moment timestamptz) returns uuid language sql immutable parallel safe as $$
  select encode(int8send(((extract(epoch from moment) * 1000)::bigint) << 16) || '\x0000000000000000'::bytea, 'hex')::uuid
$$;

-- The moment an id was made, to the millisecond.
create function id_time(id uuid) returns timestamptz language sql immutable parallel safe as $$
  select to_timestamp((('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint) / 1000.0)
$$;

grant execute on function new_id(), id_at(timestamptz), id_time(uuid) to darkspere_web, darkspere_worker, darkspere_admin;

-- Tables that grow with every text are split by month on their id; retention drops whole months.
create table partitioned_tables (
  table_name text primary key,
  keep_months int not null check (keep_months > 0)
);
comment on table partitioned_tables is 'Which tables are split by month, and for how many months they are kept.';

create table worker_pools (
  pool_id text primary key,
  -- graphile-worker ids whose jobs this pool has locked.
  worker_ids text[] not null default '{}',
  -- Key of the session advisory lock the pool holds while it lives; gone lock = dead pool.
  lock_key int not null,
  host text not null,
  pid int not null,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now()
);
comment on table worker_pools is 'Living worker pools; the jobs of one that died are given back within seconds.';
