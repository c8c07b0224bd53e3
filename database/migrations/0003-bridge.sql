-- The text path. Messages are written once and never updated; what became of a text follows from its conversation's
-- counters and its turn.

create table conversations (
  id uuid primary key default new_id(),
  channel text not null,
  our_address text not null,
  their_address text not null,
  -- No foreign key: contacts are never deleted, and each commit that updates a new conversation twice would check it again.
  contact_id uuid not null,
  priority smallint not null default 0,
  -- The mailbox: texts are numbered 1, 2, 3 … per conversation. Texts in (done_seq, last_seq] are waiting.
  last_seq bigint not null default 0,
  done_seq bigint not null default 0,
  -- Names the one turn job that may run: a job that carries another token is stale and ends at once.
  token int not null default 0,
  -- Raised by every turn that starts; every write of a turn is refused unless it carries the current one.
  epoch int not null default 0,
  -- Failed tries of the waiting head.
  attempts int not null default 0,
  first_pending_at timestamptz,
  last_pending_at timestamptz,
  running_turn uuid,
  session_id uuid,
  -- Outbound parts are numbered 1, 2, 3 … and leave in this order: out_seq is the newest, every part before out_head has
  -- its send job.
  out_seq bigint not null default 0,
  out_head bigint not null default 1,
  -- What did not fit into the last reply; sent when the person texts MORE.
  more text,
  -- When the person was last told that nobody can answer; null when they were answered since.
  outage_told_at timestamptz,
  created_at timestamptz not null default now(),
  unique (channel, our_address, their_address)
) with (fillfactor = 60);
comment on table conversations is 'One person texting one of our numbers: the unit of order. Its waiting texts are the queue.';

create table webhook_receipts (
  channel text not null,
  provider_id text not null,
  -- Set for posts by agents, so that a repeat gets the same answer.
  message_id uuid,
  received_at timestamptz not null default now(),
  primary key (channel, provider_id)
);
create index webhook_receipts_received on webhook_receipts using brin (received_at);
comment on table webhook_receipts is 'Ids already taken in: a webhook or a post delivered twice is one message.';

create table messages (
  id uuid not null default new_id(),
  conversation_id uuid not null,
  direction text not null check (direction in ('in', 'out')),
  -- in: text, keyword. out: reply, fallback, notice (STOP, HELP, RESET answers), proactive.
  kind text not null check (kind in ('text', 'keyword', 'reply', 'fallback', 'notice', 'proactive')),
  -- Number in the mailbox; null for replies, keywords and refused texts.
  seq bigint,
  body text not null,
  media jsonb not null default '[]',
  provider_id text,
  turn_id uuid,
  -- Why a text was not taken into the mailbox: opted_out, own_number, short_code, …
  refused text,
  primary key (id)
) partition by range (id);
create index messages_conversation on messages (conversation_id, id);
comment on table messages is 'Every text in and every reply out, written once.';

create table turns (
  id uuid primary key default new_id(),
  conversation_id uuid not null,
  session_id uuid not null,
  epoch int not null,
  from_seq bigint not null,
  to_seq bigint not null,
  state text not null default 'running'
    check (state in ('running', 'replied', 'deferred', 'fell_back', 'cancelled', 'lost')),
  agent_id uuid,
  -- Agent calls made.
  attempts int not null default 0,
  error_code text,
  reply_id uuid,
  started_at timestamptz not null default now(),
  ended_at timestamptz
) with (fillfactor = 80);
create index turns_conversation on turns (conversation_id, id);
comment on table turns is 'One answer in the making: a burst of texts, the agents tried, how it ended.';

create table outbound_parts (
  id uuid primary key default new_id(),
  conversation_id uuid not null,
  message_id uuid not null,
  turn_id uuid,
  position bigint not null,
  -- reply parts are blocked by an opt-out; notice parts answer the keyword itself.
  kind text not null check (kind in ('reply', 'fallback', 'notice', 'proactive')),
  body text not null,
  media_urls text[] not null default '{}',
  segments int not null,
  state text not null default 'queued'
    check (state in ('queued', 'sending', 'accepted', 'sent', 'delivered', 'read', 'unknown', 'failed', 'undelivered', 'void')),
  -- The time reserved on the sender.
  send_at timestamptz not null,
  attempts int not null default 0,
  provider_id text,
  provider_segments int,
  error_code text,
  error_reason text,
  created_at timestamptz not null default now(),
  sending_at timestamptz,
  accepted_at timestamptz,
  sent_at timestamptz,
  ended_at timestamptz,
  unique (conversation_id, position)
) with (fillfactor = 70);
comment on table outbound_parts is 'What is handed to the carrier, one row per SMS; states only move forward.';

create table exchanges (
  id uuid not null default new_id(),
  conversation_id uuid not null,
  turn_id uuid,
  part_id uuid,
  kind text not null check (kind in ('agent', 'send', 'find')),
  agent_id uuid,
  attempt int not null default 1,
  target text not null,
  http_status int,
  outcome text not null,
  error_code text,
  request text not null,
  response text not null,
  started_at timestamptz not null,
  duration_ms real not null,
  -- The answer of a call whose turn was already decided.
  late boolean not null default false,
  primary key (id)
) partition by range (id);
create index exchanges_conversation on exchanges (conversation_id, id);
comment on table exchanges is 'Every call to an agent and to the carrier, without secrets, first 2 KiB of the answer.';

create table sender_pacing (
  sender text primary key,
  -- Everything reserved so far for replies and for bulk is sent by these times.
  replies_until timestamptz not null default '-infinity',
  bulk_until timestamptz not null default '-infinity'
);
comment on table sender_pacing is 'The next free moment of each sender (GCRA): a reservation, so no process has to tick.';

insert into partitioned_tables (table_name, keep_months) values ('messages', 13), ('exchanges', 2);
