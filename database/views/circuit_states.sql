-- Circuits as operators ask for them. An agent whose circuit is open is called by one trial at a time, across all processes.
create or replace view circuit_states as
select id as agent_id, name as agent, circuit as state, consecutive_failures as failures, circuit_opened_at as opened_at,
  case when circuit <> 'closed' then cooling_until end as retry_at, trickle, trial_by, trial_until
from agent_registry
where status <> 'deactivated';

grant select on circuit_states to darkspere_web, darkspere_worker, darkspere_admin;
