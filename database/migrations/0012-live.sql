-- Gateways that somebody watches through. What happens to a conversation is announced only while there is one: a NOTIFY in every
-- commit has its price. Unlogged: after a crash of the server nobody watches until a gateway has said so again.
create unlogged table live_watchers (
  watcher uuid primary key,
  seen_at timestamptz not null
) with (fillfactor = 50);
comment on table live_watchers is 'Gateways that are told of every change, as long as they say every few seconds that somebody watches.';
