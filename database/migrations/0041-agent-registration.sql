-- Whose an agent is, what operators and the agent itself have said about it, credentials that are being changed, and the newest
-- staged probe.

-- Keys of an account. Accounts come later; until then every key is the operator's, and this is null.
alter table api_keys add column account_id uuid;

alter table agent_registry
  -- Asked for conversations of this account alone; null: for everybody's.
  add column account_id uuid,
  -- No new sessions while others can take them; those that it has go on.
  add column draining_since timestamptz,
  -- `agent`: its own word, which ends with its next start.
  add column draining_by text,
  add column drain_reason text,
  -- An operator's word, which the health of an agent never overrules.
  add column disabled_at timestamptz,
  add column disabled_by text,
  add column disabled_reason text,
  add column last_heartbeat_at timestamptz,
  -- As the agent said with its newest heartbeat.
  add column load real check (load between 0 and 1),
  add column reported_sessions int check (reported_sessions >= 0),
  -- Sealed like `secrets`, over which they win: { signingSecret } and { credential } as they were changed since.
  add column signing_secret bytea,
  add column credential bytea,
  -- The one before, with which calls are signed too until then.
  add column old_signing_secret bytea,
  add column old_secret_until timestamptz,
  -- The key before, which opens the same until then.
  add column old_key_hash bytea check (octet_length(old_key_hash) = 32),
  add column old_key_until timestamptz,
  -- src/agents/staged-probe/stages.ts
  add column last_probe jsonb;

create unique index agent_registry_old_key_hash on agent_registry (old_key_hash) where old_key_hash is not null;
create index agent_registry_account_id on agent_registry (account_id, id) where account_id is not null;
