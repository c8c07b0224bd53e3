-- Whether an index is there and complete. Those of src/database/online-indexes.ts may not be yet.
create or replace function has_index(p_name text) returns boolean language sql stable as $$
  select exists (select from pg_index i where i.indexrelid = to_regclass(p_name) and i.indisvalid)
$$;
revoke execute on function has_index(text) from public;
grant execute on function has_index(text) to darkspere_web;
