-- Every message with what became of it. The state follows from the counters of its conversation, its turn and its parts;
-- nothing is ever updated on the message itself.
create or replace view message_log with (security_invoker = false) as
select
  m.id, id_time(m.id) as at, m.conversation_id, c.channel, c.our_address, c.their_address, m.direction, m.kind, m.body, m.media,
  m.provider_id, coalesce(t.id, m.turn_id) as turn_id, t.agent_id,
  case
    when m.refused is not null then 'refused'
    when m.kind = 'keyword' then 'handled'
    when m.direction = 'in' and t.state = 'running' then 'in_turn'
    when m.direction = 'in' and m.seq > c.done_seq then
      case when c.takeover_by is not null then 'with_operator' when is_held(c.held_until) then 'held' else 'pending' end
    when m.direction = 'in' and t.state = 'replied' then 'answered'
    when m.direction = 'in' then coalesce(t.state, 'cancelled')
    else parts.state
  end as state,
  m.refused as reason
from messages m
join conversations c on c.id = m.conversation_id
left join lateral (
  select x.id, x.state, x.agent_id from turns x
  where x.conversation_id = m.conversation_id and m.seq between x.from_seq and x.to_seq
  order by x.id desc limit 1
) t on m.seq is not null
left join lateral (
  -- A reply is as far as its slowest part; one that failed, or ran out of time, says more than any other.
  select p.state from outbound_parts p
  where m.direction = 'out' and p.conversation_id = m.conversation_id and p.message_id = m.id
  order by p.state not in ('failed', 'undelivered'), p.error_code is distinct from 'expired', p.state = 'void',
    state_rank(p.state), p.position limit 1
) parts on true;

grant select on message_log to darkspere_web, darkspere_worker, darkspere_admin;
