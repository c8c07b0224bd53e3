-- People choose who answers them.

-- Who can be chosen at a number: agents of its type that can what it asks for, and those that its words lead to. is_mine: the one that
-- answers this person now.
create or replace function agents_to_choose(p_channel text, p_ours text, p_theirs text)
returns table (id uuid, name text, type text, is_healthy boolean, is_mine boolean)
language sql stable security definer set search_path = public, pg_temp
as $$
  select a.id, a.name, a.type, a.status = 'active' and a.circuit = 'closed', coalesce(a.id = s.agent_id, false)
  from agent_registry a
  join phone_numbers n on n.address = p_ours
  left join conversations c on (c.channel, c.our_address, c.their_address) = (p_channel, p_ours, p_theirs)
  left join agent_sessions s on s.id = c.session_id and s.is_active
  where a.status <> 'deactivated' and a.disabled_at is null and a.account_id is null and (
    (a.type = n.agent_type and a.capabilities @> n.required_capabilities)
    or exists (
      select from jsonb_each(n.keywords) word where word.value ->> 'type' = a.type or word.value ->> 'agent' = a.name))
  order by a.id = s.agent_id desc nulls last, a.status = 'active' desc, a.health_score desc, a.id
$$;

-- Stores a text that chooses and says so (apply_keyword); from the next text on that agent answers, or any of that type. What was said
-- before stays. Both null: nothing is chosen, the person has only asked.
create or replace function apply_choice(
  p_channel text, p_provider_id text, p_ours text, p_theirs text, p_body text, p_agent uuid, p_type text, p_scope text,
  p_notice text, p_parts json, p_pacing boolean)
returns void language plpgsql security definer set search_path = public, pg_temp
as $$
declare
  stored record;
  session uuid;
begin
  select * into stored from apply_keyword(
    p_channel, p_provider_id, p_ours, p_theirs, p_body, 'choose', p_scope, p_notice, p_parts, null, p_pacing, null, null);
  -- A repeat of the webhook.
  if stored.conversation_id is null or p_type is null then
    return;
  end if;
  -- A new one begins with what waits for an answer: the agent is told later that it was said.
  session := session_of(stored.conversation_id);
  update agent_sessions set agent_id = p_agent, agent_type = p_type where id = session;
end $$;

revoke execute on function agents_to_choose(text, text, text),
  apply_choice(text, text, text, text, text, uuid, text, text, text, json, boolean) from public;
grant execute on function agents_to_choose(text, text, text),
  apply_choice(text, text, text, text, text, uuid, text, text, text, json, boolean) to darkspere_web;
