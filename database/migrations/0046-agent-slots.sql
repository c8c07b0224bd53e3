-- How many calls each process may make to an agent at once. Held in blocks, so that most calls ask nobody.
create table agent_slots (
  agent_id uuid not null references agent_registry on delete cascade,
  pool_id text not null,
  slots int not null check (slots > 0),
  -- Of these, calls under way when they were last renewed.
  in_use int not null default 0,
  -- Worth nothing afterwards: its process is dead, or cannot reach the database.
  valid_until timestamptz not null,
  primary key (agent_id, pool_id)
) with (fillfactor = 50);
comment on table agent_slots is 'Reserved capacity of agents, by worker process; together never more than max_concurrent_sessions.';
