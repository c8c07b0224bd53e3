// Keys with which agents come to us, and how keys and signing secrets are changed: for a time two of each hold, so that an agent
// never has to be out between the old one and the new one.
import type { Sql } from '../database/pools.ts';
import { hashKey, newApiKey } from '../security/keys.ts';
import type { SecretBox } from '../security/secrets.ts';
import { newSigningSecret } from '../security/standard-webhooks.ts';
import { AGENT_KEY_PREFIX, KEEP_OLD_SECONDS, noSuchAgent } from './registration.ts';

export type KeyHolder = {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly accountId: string | null;
  readonly isDeactivated: boolean;
  /** The key is one that was replaced, and opens nothing after this time. */
  readonly keyUntil: Date | null;
  /** Until when the secret before the holder's own holds. */
  readonly secretUntil: Date | null;
  /** It is the key of a further copy behind the agent's address, which has a secret of its own too. */
  readonly isCopy: boolean;
};

type Row = {
  is_deactivated: boolean;
  id: string;
  name: string;
  type: string;
  account_id: string | null;
  key_until: Date | null;
  secret_until: Date | null;
  is_copy: boolean;
};

/** The agent that owns a key, or null. The key of a deactivated agent is for its way back alone: that is for callers to see to. */
export async function findAgentByKey(sql: Sql, key: string): Promise<KeyHolder | null> {
  const hash = hashKey(key);
  const [row] = await sql<Row[]>`
    select id, name, type, account_id, status = 'deactivated' as is_deactivated, held.key_until, held.secret_until, held.is_copy
    from (
      select id as agent_id, case when api_key_hash = ${hash} then null else old_key_until end as key_until,
        old_secret_until as secret_until, false as is_copy
      from agent_registry
      where api_key_hash = ${hash} or (old_key_hash = ${hash} and old_key_until > now())
      union all
      -- A copy's secret ends with its key.
      select agent_id, case when is_ending then valid_until end, case when is_ending then valid_until else old_secret_until end, true
      from agent_copies
      where key_hash = ${hash} and valid_until > now()
    ) held
    join agent_registry on agent_registry.id = held.agent_id
    order by held.is_copy limit 1`;
  if (!row) return null;
  return {
    id: row.id,
    name: row.name,
    type: row.type,
    accountId: row.account_id,
    isDeactivated: row.is_deactivated,
    keyUntil: row.key_until,
    secretUntil: row.secret_until,
    isCopy: row.is_copy,
  };
}

/** A copy was heard of: its key and secret hold for another day, unless they were replaced. */
export async function noteCopy(sql: Sql, key: string): Promise<void> {
  await sql`
    update agent_copies set valid_until = now() + make_interval(secs => ${KEEP_OLD_SECONDS})
    where key_hash = ${hashKey(key)} and not is_ending`;
}

/** How long what is replaced holds on, and the key that an agent asks with; null: it is no agent that asks. */
export type Rotation = { readonly keepSeconds: number; readonly presented: string | null };

/**
 * Gives an agent a new key, shown here once. `presented`, the key that the caller came with, holds for `keepSeconds` more, or the
 * newest one where the caller is no agent: so an agent that never got the answer can ask again. Keys of other copies stay as they
 * are when a copy asks, and end like the newest when somebody else does. Throws `not_found`.
 */
export async function rotateAgentKey(
  sql: Sql,
  agentId: string,
  { keepSeconds, presented }: Rotation,
): Promise<{ apiKey: string; oldUntil: Date | null }> {
  const apiKey = newApiKey(AGENT_KEY_PREFIX);
  const [row] = await sql<{ until: Date | null }[]>`
    select rotate_agent_key(${agentId}, ${hashOf(presented)}::bytea, ${hashKey(apiKey)},
      make_interval(secs => ${keepSeconds})) as until`;
  if (!row?.until) throw noSuchAgent();
  return { apiKey, oldUntil: keepSeconds === 0 ? null : row.until };
}

/** Gives an agent a new signing secret, shown here once; calls are signed with both for `keepSeconds`. Throws `not_found`. */
export async function rotateAgentSecret(
  deps: { readonly sql: Sql; readonly secretBox: SecretBox },
  agentId: string,
  { keepSeconds, presented }: Rotation,
): Promise<{ signingSecret: string; oldUntil: Date | null }> {
  const signingSecret = newSigningSecret();
  const sealed = deps.secretBox.seal({ signingSecret });
  const [row] = await deps.sql<{ until: Date | null }[]>`
    select rotate_agent_secret(${agentId}, ${hashOf(presented)}::bytea, ${sealed},
      make_interval(secs => ${keepSeconds})) as until`;
  if (!row?.until) throw noSuchAgent();
  return { signingSecret, oldUntil: keepSeconds === 0 ? null : row.until };
}

function hashOf(key: string | null): Uint8Array | null {
  return key === null ? null : hashKey(key);
}

/**
 * Ends the time of the replaced key, of the replaced secret, or of both, at once. Of further copies `agent` ends what was replaced
 * too, and an operator all that they hold: only the newest is left.
 */
export async function retireOld(
  sql: Sql,
  agentId: string,
  what: 'key' | 'secret' | 'both',
  by: 'agent' | 'operator',
): Promise<void> {
  await sql`
    with agent as (
      select id from agent_registry where id = ${agentId} for update
    ), ended as (
      delete from agent_copies using agent where agent_id = agent.id and (is_ending or ${by === 'operator'})
    ), changed as (
      update agent_registry set
        ${what === 'secret' ? sql`` : sql`old_key_hash = null, old_key_until = null,`}
        ${what === 'key' ? sql`` : sql`old_signing_secret = null, old_secret_until = null,`}
        updated_at = now()
      from agent where agent_registry.id = agent.id
      returning agent.id
    )
    select pg_notify('agents_changed', id::text) from changed`;
}
