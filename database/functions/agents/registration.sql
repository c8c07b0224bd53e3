-- What the registration service does with secrets that it cannot read.

-- What an operator has ended stays so for whoever comes again under the same name, type and address: an agent that was deactivated,
-- or was disabled and then left, comes back disabled.
create or replace function keep_switched_off(p_agent uuid) returns void
language sql
as $$
  update agent_registry a set status = 'disabled', disabled_at = clock_timestamp(),
    disabled_by = coalesce(last.deactivated_by, last.disabled_by),
    disabled_reason = case when last.deactivated_by is null then last.disabled_reason
      else 'was deactivated by ' || last.deactivated_by || ', and has registered again' end
  from (
    select old.* from agent_registry old
    join agent_registry new on new.id = p_agent and old.id <> new.id
      and (old.name, old.type, old.endpoint_url) = (new.name, new.type, new.endpoint_url)
      and old.account_id is not distinct from new.account_id
    order by old.registered_at desc limit 1
  ) last
  where a.id = p_agent and last.status = 'deactivated' and (last.deactivated_by is not null or last.disabled_at is not null)
$$;

-- What the agent's row holds of keys and secrets becomes that of a copy: it holds for as long as the copy is heard of, p_keep after
-- the last time. What was replaced in it holds as long as before. Of more than sixteen those go that were not heard of for longest.
create or replace function set_copy_aside(a agent_registry, p_keep interval)
returns void language sql set search_path = public, pg_temp
as $$
  insert into agent_copies (agent_id, key_hash, signing_secret, valid_until, is_ending, old_secret_until)
  select a.id, held.*, a.old_secret_until from (values
    (a.api_key_hash, coalesce(a.signing_secret, a.secrets), clock_timestamp() + p_keep, false),
    (a.old_key_hash, coalesce(a.signing_secret, a.secrets), a.old_key_until, true),
    (null, a.old_signing_secret, a.old_secret_until, true)
  ) held (key_hash, signing_secret, valid_until, is_ending)
  where held.valid_until > clock_timestamp() and (held.key_hash is not null or held.signing_secret is not null)
  on conflict (key_hash) do nothing;

  delete from agent_copies c where c.agent_id = a.id and c.id not in (
    select newest.id from agent_copies newest
    where newest.agent_id = a.id and newest.valid_until > clock_timestamp()
    order by newest.is_ending, newest.valid_until desc limit 16)
$$;

-- Where a key is a copy's, that copy changes places with the one in the agent's row: what it asks for changes its own credentials and
-- nobody else's.
create or replace function put_copy_first(p_agent uuid, p_key_hash bytea)
returns void language plpgsql set search_path = public, pg_temp
as $$
declare
  a agent_registry;
  copy agent_copies;
begin
  select * into a from agent_registry where id = p_agent for update;
  delete from agent_copies c where c.agent_id = p_agent and c.key_hash = p_key_hash returning * into copy;
  if not found then
    return;
  end if;
  perform set_copy_aside(a, interval '1 day');
  -- One that was to end hears that its secret is to be replaced too: perhaps it asks for a key alone.
  update agent_registry set api_key_hash = copy.key_hash, signing_secret = copy.signing_secret,
    old_key_hash = null, old_key_until = null,
    old_signing_secret = case when copy.is_ending then copy.signing_secret end,
    old_secret_until = case when copy.is_ending then copy.valid_until end
  where id = p_agent;
end $$;

-- Registers an agent, or registers it again: the same name and type at the same address, of the same owner, is the same agent that
-- has started once more, or a copy of it: its key and signing secret of before are set aside. Who comes with the secret alone is never one
-- that an operator has registered. p_agent is { id, name, type, protocol, endpoint_url, capabilities, max_concurrent_sessions,
-- version, metadata, account_id, registered_with, probe }.
create or replace function register_agent(p_agent json, p_key_hash bytea, p_secrets bytea, p_keep interval)
returns table (agent_id uuid, is_new boolean)
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  wanted record;
  known agent_registry;
begin
  select * into wanted from json_to_record(p_agent) as r (id uuid, name text, type text, protocol text, endpoint_url text,
    capabilities text[], max_concurrent_sessions int, version text, metadata jsonb, account_id uuid, registered_with text,
    probe jsonb);
  -- Two that start at the same moment are one agent.
  perform pg_advisory_xact_lock(hashtextextended(
    json_build_array('register_agent', wanted.account_id, wanted.type, wanted.name, wanted.endpoint_url)::text, 0));
  select * into known from agent_registry a
  where a.status <> 'deactivated' and a.name = wanted.name and a.type = wanted.type and a.endpoint_url = wanted.endpoint_url
    and a.account_id is not distinct from wanted.account_id
    and (a.registered_with = 'secret' or wanted.registered_with = 'operator')
  order by a.registered_at desc limit 1 for update;

  if known.id is null then
    insert into agent_registry (id, name, type, protocol, endpoint_url, capabilities, status, max_concurrent_sessions, version,
      metadata, account_id, registered_with, last_probe, api_key_hash, secrets)
    values (wanted.id, wanted.name, wanted.type, wanted.protocol, wanted.endpoint_url, wanted.capabilities, 'active',
      wanted.max_concurrent_sessions, wanted.version, wanted.metadata, wanted.account_id, wanted.registered_with, wanted.probe,
      p_key_hash, p_secrets);
    if wanted.registered_with = 'secret' then
      perform keep_switched_off(wanted.id);
    end if;
  else
    perform set_copy_aside(known, p_keep);
    update agent_registry a set
      protocol = wanted.protocol, capabilities = wanted.capabilities, max_concurrent_sessions = wanted.max_concurrent_sessions,
      version = wanted.version, metadata = wanted.metadata, registered_with = wanted.registered_with, last_probe = coalesce(wanted.probe, a.last_probe),
      api_key_hash = p_key_hash, old_key_hash = null, old_key_until = null, old_signing_secret = null, old_secret_until = null,
      signing_secret = null, credential = null, secrets = p_secrets,
      -- A start ends what the agent said before its stop, and the pause after calls that failed meanwhile; never an operator's word.
      draining_since = case when a.draining_by = 'agent' then null else a.draining_since end,
      drain_reason = case when a.draining_by = 'agent' then null else a.drain_reason end,
      draining_by = nullif(a.draining_by, 'agent'),
      cooling_until = null, updated_at = clock_timestamp()
    where a.id = known.id;
  end if;
  perform pg_notify('agents_changed', coalesce(known.id, wanted.id)::text);
  return query select coalesce(known.id, wanted.id), known.id is null;
end $$;

-- Keeps the agent that the environment names: the one of before in another place, or a new one under p_id. Whoever registers may write
-- the same source into their metadata; that must not make its secrets theirs.
create or replace function keep_configured_agent(
  p_id uuid, p_url text, p_protocol text, p_metadata jsonb, p_key_hash bytea, p_secrets bytea)
returns void language plpgsql security definer set search_path = public, pg_temp
as $$
begin
  -- Two processes that start at the same moment make one agent.
  perform pg_advisory_xact_lock(hashtextextended('keep_configured_agent', 0));
  update agent_registry a set
    endpoint_url = p_url, protocol = p_protocol, metadata = p_metadata, secrets = p_secrets, signing_secret = null,
    credential = null, updated_at = clock_timestamp()
  where a.metadata ->> 'source' = p_metadata ->> 'source' and a.registered_with = 'operator' and a.status <> 'deactivated';
  if not found then
    insert into agent_registry (id, name, type, protocol, endpoint_url, capabilities, metadata, registered_with, api_key_hash, secrets)
    values (p_id, 'configured', 'chat', p_protocol, p_url, '{chat}', p_metadata, 'operator', p_key_hash, p_secrets);
  end if;
  perform pg_notify('agents_changed', 'configured');
end $$;

-- Before a copy is given a new key or secret (p_presented: the key that it asks with) it takes the first place. What an operator
-- replaces (null) is replaced for all copies: what the others hold ends then too, and each of them asks for its own meanwhile.
-- The agent's row is locked before those of its copies, everywhere: copies ask while an operator does.
create or replace function begin_rotation(p_agent uuid, p_presented bytea, p_until timestamptz)
returns void language plpgsql set search_path = public, pg_temp
as $$
begin
  if p_presented is null then
    perform 1 from agent_registry where id = p_agent for update;
    update agent_copies set valid_until = least(valid_until, p_until), is_ending = true where agent_id = p_agent;
  else
    perform put_copy_first(p_agent, p_presented);
  end if;
end $$;

-- Gives an agent a new key. The one that it was asked with (p_presented) holds for p_keep more, or the newest where no agent asks
-- (null): so an agent that never got the answer can ask again. Null: there is no such agent.
create or replace function rotate_agent_key(p_agent uuid, p_presented bytea, p_key_hash bytea, p_keep interval)
returns timestamptz
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  kept timestamptz := clock_timestamp() + p_keep;
begin
  perform begin_rotation(p_agent, p_presented, kept);
  update agent_registry set
    old_key_hash = case when p_keep > '0' then coalesce(p_presented, api_key_hash) end,
    old_key_until = case when p_keep > '0' then kept end,
    api_key_hash = p_key_hash, updated_at = clock_timestamp()
  where id = p_agent and status <> 'deactivated';
  if not found then
    return null;
  end if;
  perform pg_notify('agents_changed', p_agent::text);
  return kept;
end $$;

-- Gives an agent a new signing secret; calls are signed with the old one too for p_keep longer. p_presented as above. Null: there is
-- no such agent.
create or replace function rotate_agent_secret(p_agent uuid, p_presented bytea, p_sealed bytea, p_keep interval)
returns timestamptz
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  kept timestamptz := clock_timestamp() + p_keep;
begin
  perform begin_rotation(p_agent, p_presented, kept);
  update agent_registry a set
    old_signing_secret = case when p_keep > '0' then coalesce(a.signing_secret, a.secrets) end,
    old_secret_until = case when p_keep > '0' then kept end,
    signing_secret = p_sealed, updated_at = clock_timestamp()
  where a.id = p_agent and a.status <> 'deactivated';
  if not found then
    return null;
  end if;
  perform pg_notify('agents_changed', p_agent::text);
  return kept;
end $$;

-- Asks a worker, which alone can read an agent's secrets, to probe it. Gives when: a probe that began later is the answer.
create or replace function request_probe(p_agent uuid, p_depth text)
returns timestamptz
language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  asked timestamptz := clock_timestamp();
begin
  if not exists (select 1 from agent_registry where id = p_agent) then
    return null;
  end if;
  -- Behind the turns of people who wait. Not under a key: a job that is taken in the moment in which it is replaced would be all
  -- there is, and it has begun before.
  perform graphile_worker.add_job('staged-probe', json_build_object('agent', p_agent, 'depth', p_depth, 'at', asked),
    max_attempts := 3, priority := 10);
  return asked;
end $$;

revoke execute on function keep_switched_off(uuid), keep_configured_agent(uuid, text, text, jsonb, bytea, bytea), register_agent(json, bytea, bytea, interval), set_copy_aside(agent_registry, interval),
  put_copy_first(uuid, bytea), begin_rotation(uuid, bytea, timestamptz), rotate_agent_key(uuid, bytea, bytea, interval),
  rotate_agent_secret(uuid, bytea, bytea, interval), request_probe(uuid, text) from public;
grant execute on function register_agent(json, bytea, bytea, interval), rotate_agent_key(uuid, bytea, bytea, interval),
  rotate_agent_secret(uuid, bytea, bytea, interval), request_probe(uuid, text) to darkspere_web, darkspere_admin;
grant execute on function keep_configured_agent(uuid, text, text, jsonb, bytea, bytea) to darkspere_admin;
