-- The health of an agent that answers is written every few seconds. In half-full pages an update stays in its page and touches no
-- index: with 1,000 agents 34 of 5,005 did so in full pages, and in these all of 6,006.
alter table agent_registry set (fillfactor = 50);
