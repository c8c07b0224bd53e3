-- When somebody has looked how agents did: of five minutes without a row and without a look nothing is known, least of all that the
-- score stayed what it was. A row for all agents together.
create table agent_health_looks (
  -- Begin of the five minutes that had just ended.
  slot timestamptz primary key
);
comment on table agent_health_looks is 'The five minutes whose end was looked at in time, kept for two days as agent_health_history.';

insert into agent_health_looks select distinct slot from agent_health_history where health_score is not null;
