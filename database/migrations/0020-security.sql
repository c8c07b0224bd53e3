-- Operators and keys of the /v1 API. Only SHA-256 of what opens something is stored; each of these secrets has 256 random bits,
-- so a fast hash is enough.

create table login_tokens (
  token_hash bytea primary key check (octet_length(token_hash) = 32),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
comment on table login_tokens is 'One-time tokens of login addresses; using one removes it.';

create table auth_sessions (
  id uuid primary key default new_id(),
  token_hash bytea not null unique check (octet_length(token_hash) = 32),
  -- Who is signed in. Users come with accounts; until then everybody who had a login address is the operator.
  name text not null default 'operator',
  created_at timestamptz not null default now(),
  -- Moves at most once a minute.
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null
);
comment on table auth_sessions is 'Who is signed in to the console; a session that was not seen for a week is over.';

create table api_keys (
  id uuid primary key default new_id(),
  name text not null check (name <> ''),
  key_hash bytea not null unique check (octet_length(key_hash) = 32),
  -- The first characters, so that somebody who finds a key can tell which one it is.
  hint text not null,
  scopes text[] not null check (scopes <> '{}' and scopes <@ array['read', 'write']),
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  revoked_at timestamptz
);
-- A name may be given again after its key was revoked.
create unique index api_keys_name on api_keys (name) where revoked_at is null;
comment on table api_keys is 'Keys of programs that use the /v1 API.';
