-- A STOP came while the part was in a worker's hands, or nobody knew what had become of it: if it turns out not to have left,
-- it never will.
alter table outbound_parts add column recalled boolean not null default false;

-- An opt-out that covers a messaging service ends the person's conversations with all of its numbers.
create index conversations_their_address on conversations (their_address);
