-- The only way to a session: web, which faces the internet, can use up a login token but make neither a token nor a session.
-- Two who use one token at once meet at its row: the second finds it gone. Gives no row for a token that is not there, used
-- or expired.
create or replace function redeem_login_token(p_token_hash bytea, p_session_hash bytea)
returns table (id uuid, name text, expires_at timestamptz)
language sql security definer
set search_path = public, pg_temp
as $$
  with used as (
    delete from login_tokens t where t.token_hash = p_token_hash returning t.expires_at > now() as is_valid
  )
  insert into auth_sessions (token_hash, expires_at)
  select p_session_hash, now() + interval '30 days' from used where is_valid
  returning auth_sessions.id, auth_sessions.name, auth_sessions.expires_at
$$;

revoke execute on function redeem_login_token(bytea, bytea) from public;
grant execute on function redeem_login_token(bytea, bytea) to darkspere_web;
