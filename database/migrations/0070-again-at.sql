-- A part that the carrier refused for now takes a new place in the line of its sender.

alter table outbound_parts add column again_at timestamptz;
comment on column outbound_parts.again_at is 'The time reserved for another try, after one that the carrier refused for now.';
