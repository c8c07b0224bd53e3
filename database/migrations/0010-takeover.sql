-- An operator answers a conversation by hand: the agent stays silent from `takeover_since` until it is handed back, or until
-- `takeover_until`, which each act of the operator moves on.
alter table conversations
  add column takeover_by text,
  add column takeover_since timestamptz,
  add column takeover_until timestamptz;

-- None of the text path's updates touches it: they stay HOT.
create index conversations_taken_over on conversations (takeover_until) where takeover_by is not null;

-- operator: what an operator wrote. Not validated: every row there is satisfied the narrower check.
alter table messages
  drop constraint messages_kind_check,
  add constraint messages_kind_check
    check (kind in ('text', 'keyword', 'reply', 'fallback', 'notice', 'proactive', 'holding', 'operator')) not valid;
alter table outbound_parts
  drop constraint outbound_parts_kind_check,
  add constraint outbound_parts_kind_check
    check (kind in ('reply', 'fallback', 'notice', 'proactive', 'holding', 'operator')) not valid;
