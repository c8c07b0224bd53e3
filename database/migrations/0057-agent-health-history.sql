-- How agents did, every five minutes: what their page draws. Written from behind by a job, and only where something happened, so
-- that agents which nobody calls add nothing.
create table agent_health_history (
  agent_id uuid not null references agent_registry on delete cascade,
  -- Begin of five minutes.
  slot timestamptz not null,
  calls int not null,
  failures int not null,
  -- Of the calls that were answered, milliseconds; null: there was none.
  p50_ms real,
  p95_ms real,
  p99_ms real,
  -- At the end of the five minutes; null: nobody looked in time.
  health_score smallint,
  status text,
  primary key (agent_id, slot)
);
comment on table agent_health_history is 'Calls, times, score and status of agents in five minutes each, kept for two days.';
