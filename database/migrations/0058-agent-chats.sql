-- Questions that operators ask an agent directly, to try it. They wait here for a worker, which alone can read an agent's secrets,
-- and for whoever asked.
create table agent_chats (
  id uuid primary key default new_id(),
  agent_id uuid not null references agent_registry on delete cascade,
  -- What the agent knows the conversation by; of the page's own making.
  session_id uuid not null,
  asked_by text not null,
  message text not null,
  -- [{ role, content, timestamp }], oldest first, without the message.
  history json not null,
  started_at timestamptz,
  ended_at timestamptz,
  -- src/inbox/agent-chat.ts
  result json
);
create index agent_chats_session on agent_chats (session_id, id);
comment on table agent_chats is 'Questions of operators to an agent directly, kept for an hour.';
