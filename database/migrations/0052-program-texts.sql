-- What programs with an API key say over MCP: to whom, how much, and when.

create table allowed_recipients (
  id uuid primary key default new_id(),
  -- Null: for every key that may send.
  api_key_id uuid references api_keys,
  address text not null check (address ~ '^\+[1-9][0-9]{6,14}$'),
  -- In the operator's words: how the person has agreed to get texts.
  consent text not null check (consent <> ''),
  -- Where the person lives, for quiet hours; null: where the limits say.
  time_zone text,
  created_at timestamptz not null default now()
);
create unique index allowed_recipients_address
  on allowed_recipients (address, coalesce(api_key_id, '00000000-0000-0000-0000-000000000000'));
comment on table allowed_recipients is 'Whom programs may text without having been texted first: put there by operators alone.';

create table program_limits (
  -- Null: of every key that has none of its own.
  api_key_id uuid unique references api_keys,
  -- What a key may send in any 24 hours, replies too.
  segments_per_day int not null default 200 check (segments_per_day between 0 and 1000000),
  -- What all keys together may send to one person in any 24 hours, replies not counted.
  texts_per_person int not null default 10 check (texts_per_person between 0 and 1000),
  -- From when until when nobody is texted who did not just text; both null: never.
  quiet_from time,
  quiet_until time,
  time_zone text not null default 'UTC',
  check ((quiet_from is null) = (quiet_until is null) and quiet_from <> quiet_until)
);
create unique index program_limits_default on program_limits ((api_key_id is null)) where api_key_id is null;
comment on table program_limits is 'How much programs may send, and when.';
-- The hours in which American law (47 CFR 64.1200) lets nobody be called or texted who has not asked for it.
insert into program_limits (quiet_from, quiet_until) values ('21:00', '08:00');

create table program_texts (
  id uuid primary key default new_id(),
  api_key_id uuid not null references api_keys,
  kind text not null check (kind in ('send', 'reply')),
  idempotency_key text,
  -- SHA-256 of what was asked for: the same key with another wish is no repeat.
  request_hash bytea not null check (octet_length(request_hash) = 32),
  conversation_id uuid not null,
  message_id uuid not null,
  their_address text not null,
  segments int not null,
  created_at timestamptz not null default now()
);
create unique index program_texts_once on program_texts (api_key_id, idempotency_key) where idempotency_key is not null;
create index program_texts_day on program_texts (api_key_id, created_at);
create index program_texts_person on program_texts (their_address, created_at) where kind = 'send';
comment on table program_texts is 'What programs have sent: each once, and counted. Kept as long as the ids of webhooks.';
