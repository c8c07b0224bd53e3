-- Who took an agent out: the name of an operator or key; null: the agent itself, which alone may then come back by itself.
alter table agent_registry add column deactivated_by text;
