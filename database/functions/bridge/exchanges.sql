-- Calls to agents and to the carrier, from any batch whose items carry `exchanges`. Those of a turn that is not in p_valid
-- came too late to matter.
create or replace function record_exchanges(p_items json, p_valid uuid[])
returns void language plpgsql
as $$
begin
  insert into exchanges (conversation_id, turn_id, part_id, replay_id, kind, agent_id, attempt, target, http_status, outcome, error_code,
    request, response, started_at, duration_ms, late)
  select i.conversation_id, i.turn_id, i.part_id, i.replay_id, e.kind, e.agent_id, coalesce(e.attempt, 1), e.target, e.http_status, e.outcome,
    e.error_code, e.request, e.response, e.started_at, e.duration_ms, i.turn_id is not null and i.turn_id <> all (p_valid)
  from json_to_recordset(p_items) i (conversation_id uuid, turn_id uuid, part_id uuid, replay_id uuid, exchanges json)
  cross join lateral json_to_recordset(coalesce(i.exchanges, '[]'))
    e (kind text, agent_id uuid, attempt int, target text, http_status int, outcome text, error_code text, request text,
       response text, started_at timestamptz, duration_ms real);
end $$;

revoke execute on function record_exchanges(json, uuid[]) from public;
