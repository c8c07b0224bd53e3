-- Forgets the ids of webhooks that no carrier delivers again (Twilio gives up within 15 s; people replay for days), and what
-- was counted in windows of pacing that are over. Gives the number of ids.
create or replace function prune_receipts(p_older_than interval default '30 days')
returns int language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  n int;
begin
  delete from webhook_receipts where received_at < clock_timestamp() - p_older_than;
  get diagnostics n = row_count;
  delete from pacing_windows where starts_at < clock_timestamp() - interval '2 days';
  return n;
end $$;

revoke execute on function prune_receipts(interval) from public;
grant execute on function prune_receipts(interval) to darkspere_worker;
