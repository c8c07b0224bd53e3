-- How a number behaves while its conversations are busy, and what holds machines and floods back.

alter table phone_numbers
  -- What a text does that comes while an answer is in the making: collect: the next turn takes it. interrupt: the running
  -- call is cancelled and made anew with everything. queue: every text has a turn of its own.
  add column busy_policy text not null default 'collect' check (busy_policy in ('collect', 'interrupt', 'queue')),
  -- After this long without an answer the person gets hold_text, once per answer; null: never.
  add column hold_ms int check (hold_ms between 1000 and 600000),
  add column hold_text text not null default 'One moment please, I am working on it.'
    check (length(hold_text) between 1 and 300);

alter table conversations
  -- When the last nine answers were made, newest first: how a machine that answers us is told from a person.
  add column answered_at timestamptz[] not null default '{}',
  -- Until then no turn starts; the texts wait and are answered together.
  add column held_until timestamptz,
  -- Holds in a row: each is longer than the one before.
  add column holds smallint not null default 0,
  -- How often the waiting head has been interrupted.
  add column interrupts smallint not null default 0,
  -- The head whose sender was told to wait (hold_text).
  add column hold_told_seq bigint not null default 0;

-- holding: "one moment please". Not validated: every row there is satisfied the narrower check, and reading them all
-- would lock the tables for as long.
alter table messages
  drop constraint messages_kind_check,
  add constraint messages_kind_check
    check (kind in ('text', 'keyword', 'reply', 'fallback', 'notice', 'proactive', 'holding')) not valid;
alter table outbound_parts
  drop constraint outbound_parts_kind_check,
  add constraint outbound_parts_kind_check
    check (kind in ('reply', 'fallback', 'notice', 'proactive', 'holding')) not valid;
