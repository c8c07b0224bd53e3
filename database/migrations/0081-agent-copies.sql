-- What other copies of an agent hold: programs that run behind one address, each of which has registered and has a key and a signing
-- secret of its own. The newest to register, or to rotate, has its in agent_registry; those of the others hold for as long as they
-- are heard of.
create table agent_copies (
  id uuid primary key default new_id(),
  agent_id uuid not null references agent_registry on delete cascade,
  -- Null: only the secret holds on, one that was replaced.
  key_hash bytea unique check (octet_length(key_hash) = 32),
  -- Sealed like agent_registry.secrets.
  signing_secret bytea not null,
  -- A day after its last heartbeat, unless it was replaced.
  valid_until timestamptz not null,
  -- It was replaced, so heartbeats do not prolong it and its copy is told to ask for a new one.
  is_ending boolean not null default false,
  -- Until when its secret before held, as the copy was told: a time that it does not know says that somebody else replaced its secret.
  old_secret_until timestamptz
);
create index agent_copies_agent on agent_copies (agent_id, valid_until);
comment on table agent_copies is 'Keys and secrets of further copies of an agent behind its address; kept while their heartbeats come, and a day.';
