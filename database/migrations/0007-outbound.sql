-- Who sends a part: while that pool lives, a part that has been `sending` for a moment is on its way and nobody else's.
alter table outbound_parts add column claimed_by text;
