-- What the console finds conversations and texts with. A job fills both from behind (src/inbox/index-messages.ts), so that the
-- text path does nothing for it.

create table message_words (
  -- The first and the last message of a block of 512.
  from_id uuid primary key,
  to_id uuid not null,
  messages int not null,
  -- What they say, in lower case, one after the other.
  words text not null,
  -- As numbers (src/inbox/grams.ts): every two and every three characters in a row of the words, and the carrier's ids.
  grams int[] not null
);
alter table message_words
  -- Read whole or not at all: unpacking would take longer than looking through.
  alter column words set storage external,
  alter column grams set storage external;
-- The job empties the pending list itself, after a number of blocks: all of them together cost less than one after the other.
create index message_words_grams on message_words using gin (grams) with (fastupdate = on, gin_pending_list_limit = 65536);
comment on table message_words is 'The texts of 512 messages in one row: what a search looks through.';

create table conversation_activity (
  conversation_id uuid primary key,
  -- The newest of its messages that message_words holds.
  last_message_id uuid not null
) with (fillfactor = 70);
create index conversation_activity_last on conversation_activity (last_message_id);
comment on table conversation_activity is 'Conversations by their newest message, up to where message_words reaches.';
