-- Numbers, people, agents.

create table phone_numbers (
  id uuid primary key default new_id(),
  address text not null unique,
  is_active boolean not null default true,
  -- Null means: the default from the configuration.
  quiet_ms int check (quiet_ms between 0 and 5000),
  agent_type text not null default 'chat',
  required_capabilities text[] not null default '{}',
  -- Segments per second the carrier takes from this sender (MPS). 1 for a US long code.
  segments_per_second real not null default 1 check (segments_per_second > 0),
  -- A reply is cut after this many segments, with a "reply MORE" tail.
  max_segments int not null default 10 check (max_segments between 1 and 100),
  session_idle interval not null default '24 hours',
  created_at timestamptz not null default now()
);
comment on table phone_numbers is 'Our own numbers and how each of them behaves.';

create table contacts (
  id uuid primary key default new_id(),
  channel text not null,
  address text not null,
  created_at timestamptz not null default now(),
  unique (channel, address)
);
comment on table contacts is 'People who text us. A contact is (channel, address): WhatsApp may give no phone number.';

create table agent_registry (
  id uuid primary key default new_id(),
  name text not null,
  type text not null default 'chat',
  protocol text not null default 'envelope',
  endpoint_url text not null,
  capabilities text[] not null default '{}',
  status text not null default 'active'
    check (status in ('registered', 'active', 'degraded', 'disabled', 'deactivated')),
  health_score int not null default 100 check (health_score between 0 and 100),
  max_concurrent_sessions int not null default 100 check (max_concurrent_sessions > 0),
  version text,
  metadata jsonb not null default '{}',
  -- SHA-256 of the agent's own API key.
  api_key_hash bytea not null unique,
  -- AES-256-GCM over { signing_secret, credential }.
  secrets bytea not null,
  -- Smoothed time to answer, milliseconds.
  response_ms real not null default 0,
  consecutive_failures int not null default 0,
  cooling_until timestamptz,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  registered_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deactivated_at timestamptz
);
comment on table agent_registry is 'Remote agents, how to reach them and how well they do.';

create table agent_sessions (
  id uuid primary key default new_id(),
  conversation_id uuid not null,
  agent_id uuid references agent_registry,
  is_active boolean not null default true,
  -- The context never reaches back before this message.
  history_from uuid not null,
  -- Texts the agent may still send without being asked.
  proactive_left int not null default 20,
  failovers int not null default 0,
  started_at timestamptz not null default now(),
  last_active_at timestamptz not null default now(),
  ended_at timestamptz,
  end_reason text check (end_reason in ('idle', 'reset', 'agent', 'stop'))
) with (fillfactor = 80);
create index agent_sessions_active on agent_sessions (agent_id) where is_active;
create index agent_sessions_conversation on agent_sessions (conversation_id, id);
comment on table agent_sessions is 'One stretch of a conversation with one agent; failover changes the agent and keeps the rest.';

create table consents (
  channel text not null,
  -- Our number, or the messaging service: what an opt-out covers.
  scope text not null,
  their_address text not null,
  state text not null check (state in ('in', 'out')),
  -- keyword: they texted it; carrier: the carrier told us (21610).
  source text not null check (source in ('keyword', 'carrier')),
  changed_at timestamptz not null default now(),
  primary key (channel, scope, their_address)
);
comment on table consents is 'Who has opted out of what. A row with state out blocks every send at send time.';
