-- What the MCP adapter keeps between two questions of a session: who answers it, and where that agent's own memory of it is. What
-- was said it does not keep.
create table adapter_sessions (
  -- What agents know it by: never an id of somebody's conversation.
  id uuid primary key default new_id(),
  api_key_id uuid not null references api_keys,
  -- What its owner calls it.
  name text not null check (name <> ''),
  agent_id uuid references agent_registry,
  -- { agent, handle, at, missed? }, as in agent_sessions.
  thread jsonb,
  started_at timestamptz not null default now(),
  last_active_at timestamptz not null default now(),
  unique (api_key_id, name)
) with (fillfactor = 80);
create index adapter_sessions_last_active on adapter_sessions (last_active_at);
comment on table adapter_sessions is 'Sessions of programs that ask agents through the MCP adapter; kept for a week after the last question.';
