-- What an agent's score is made of, its circuit, and what probes find.

alter table agent_registry
  -- Share of calls answered, each newest one weighing a tenth.
  add column success_rate real not null default 1 check (success_rate between 0 and 1),
  -- Time to answer over the last quarter of an hour, milliseconds; null: too few calls to say.
  add column p50_ms real,
  add column p95_ms real,
  add column p99_ms real,
  add column probe_failures int not null default 0,
  -- Failures since it was last well: the pause after the next one is 2^backoff seconds.
  add column backoff smallint not null default 0,
  -- closed: called as it likes. open: called by a trial only. half_open: the trial is under way.
  add column circuit text not null default 'closed' check (circuit in ('closed', 'open', 'half_open')),
  add column circuit_opened_at timestamptz,
  -- After it was out: calls at once that it is trusted with, twice as many after each success; null: all it takes.
  add column trickle smallint check (trickle > 0),
  -- The one call that finds out whether it is back: which pool makes it, and until when.
  add column trial_by text,
  add column trial_until timestamptz,
  -- The same for its probe.
  add column probe_by text,
  add column probe_until timestamptz;

create table agent_health_checks (
  id uuid primary key default new_id(),
  agent_id uuid not null references agent_registry on delete cascade,
  -- up; down; unknown: it answers, and has no way to say how it is.
  outcome text not null check (outcome in ('up', 'down', 'unknown')),
  error_code text,
  duration_ms real not null,
  -- What the agent says of its own load, 0 to 1.
  load real,
  -- Score and status after it.
  health_score int not null,
  status text not null
);
create index agent_health_checks_agent on agent_health_checks (agent_id, id);
comment on table agent_health_checks is 'What each probe of an agent found, kept for a week.';

create table agent_call_times (
  agent_id uuid not null references agent_registry on delete cascade,
  -- Begin of five minutes.
  slot timestamptz not null,
  -- Calls answered in 1.04^(bucket - 1) to 1.04^bucket milliseconds; -1: calls that failed.
  bucket smallint not null,
  calls int not null,
  primary key (agent_id, slot, bucket)
) with (fillfactor = 70);
comment on table agent_call_times is 'How long agents took, as histograms that can be added up; kept for two hours.';
