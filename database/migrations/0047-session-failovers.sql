-- Which session went from which agent to which, and why.
create table session_failovers (
  id uuid primary key default new_id(),
  session_id uuid not null,
  -- Null: moved by an operator, between turns.
  turn_id uuid,
  old_agent uuid not null,
  new_agent uuid not null,
  -- The error code of the old agent's last call; unhealthy: it was not asked; gone: it was taken out.
  reason text not null
);
create index session_failovers_session on session_failovers (session_id, id);
comment on table session_failovers is 'Sessions that another agent took over, kept as long as messages.';
