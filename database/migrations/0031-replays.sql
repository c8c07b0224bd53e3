-- A turn asked again: as it was, with other words, or of another agent. Nothing of it is part of the conversation.
create table replays (
  id uuid primary key default new_id(),
  conversation_id uuid not null,
  turn_id uuid not null,
  requested_by text not null,
  agent_id uuid not null references agent_registry,
  -- What is asked.
  text text not null,
  is_edited boolean not null,
  state text not null default 'queued' check (state in ('queued', 'running', 'answered', 'failed')),
  -- Starts: each fences the one before it, whose worker was presumed dead.
  attempts int not null default 0,
  reply text,
  media_urls text[] not null default '{}',
  segments int,
  error_code text,
  duration_ms real,
  -- The message that it became when somebody sent it.
  sent_message_id uuid,
  started_at timestamptz,
  ended_at timestamptz
) with (fillfactor = 80);
create index replays_turn on replays (turn_id, id);
comment on table replays is 'Turns asked again by an operator, to see what an agent says; kept as long as the exchanges.';

-- The call of a replay belongs to no turn.
alter table exchanges add column replay_id uuid;
