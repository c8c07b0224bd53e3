-- What the session's agent calls it in its own memory (a conversation, context, task or response id), so that its next question
-- finds the way back: { agent, handle, at, missed? }. It is told to that agent alone.
alter table agent_sessions add column thread jsonb;
