-- Who knows the registration secret may take the place of an agent that joined with it, and of no other.
alter table agent_registry
  add column registered_with text not null default 'secret' check (registered_with in ('secret', 'operator'));
update agent_registry set registered_with = 'operator' where metadata ->> 'source' = 'environment';
