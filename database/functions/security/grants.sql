-- Who may touch which table directly. The text path goes through functions that run as their owner, so the processes
-- need little: what is not listed here they cannot read or write.

revoke all on all tables in schema public from darkspere_web, darkspere_worker, darkspere_admin;
revoke all (secrets) on agent_registry from darkspere_web;

grant select on phone_numbers, contacts, conversations, messages, turns, outbound_parts, agent_sessions, consents,
  partitioned_tables, schema_migrations to darkspere_web, darkspere_worker;
grant select on agent_registry to darkspere_worker;
-- Whoever breaks into the part that faces the internet finds no agent's secrets.
grant select (id, name, type, protocol, endpoint_url, capabilities, status, health_score, max_concurrent_sessions, version,
  metadata, api_key_hash, registered_at, updated_at, deactivated_at, deactivated_by, response_ms, consecutive_failures, cooling_until,
  last_success_at, last_failure_at, account_id, draining_since, draining_by, drain_reason, disabled_at, disabled_by,
  disabled_reason, last_heartbeat_at, load, reported_sessions, old_secret_until, old_key_hash, old_key_until, last_probe,
  registered_with,
  success_rate, p50_ms, p95_ms, p99_ms, probe_failures, circuit, circuit_opened_at, trickle)
  on agent_registry to darkspere_web;
grant select on agent_copies to darkspere_worker;
grant select (id, agent_id, key_hash, valid_until, is_ending, old_secret_until), update (valid_until), delete on agent_copies to darkspere_web;
grant select on webhook_receipts, worker_pools to darkspere_worker;
-- The console shows them.
grant select on exchanges, agent_health_checks, session_failovers to darkspere_web, darkspere_worker;
-- What the console finds conversations and texts with.
grant select on message_words, conversation_activity, replays to darkspere_web;
-- What the pages of agents show.
grant select on agent_health_history, agent_health_looks, agent_slots, agent_chats to darkspere_web;

-- The registration API.
grant insert, update on agent_registry to darkspere_web;

-- The MCP adapter asks agents with their secrets, so it works with the worker's rights.
grant select, insert, update, delete on adapter_sessions to darkspere_worker;

-- Health, liveness of pools.
grant update on agent_registry to darkspere_worker;
grant insert, update, delete on worker_pools to darkspere_worker;

-- Signing in and keys of the API. Sessions begin in redeem_login_token, keys and tokens with the operator's tools.
grant select, delete on auth_sessions to darkspere_web;
grant update (last_seen_at) on auth_sessions to darkspere_web;
grant select on api_keys to darkspere_web;
grant update (last_used_at) on api_keys to darkspere_web;

-- Operators' tools and start-up.
grant select, insert, update, delete on all tables in schema public to darkspere_admin;
