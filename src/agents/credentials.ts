// Keys with which agents come to us, and how keys and signing secrets are changed: for a time two of each hold, so that an agent
// never has to be out between the old one and the new one.
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { hashKey, newApiKey } from '../security/keys.ts';
import type { SecretBox } from '../security/secrets.ts';
import { newSigningSecret } from '../security/standard-webhooks.ts';
import { AGENT_KEY_PREFIX } from './registration.ts';

export type KeyHolder = {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly accountId: string | null;
  /** The key is one that was replaced, and opens nothing after this time. */
  readonly keyUntil: Date | null;
};

type Row = { id: string; name: string; type: string; account_id: string | null; key_until: Date | null };

/** The agent that owns a key, or null. The key of a deactivated agent opens nothing, but for its way back. */
export async function findAgentByKey(
  sql: Sql,
  key: string,
  { deactivated = false }: { readonly deactivated?: boolean } = {},
): Promise<KeyHolder | null> {
  const hash = hashKey(key);
  const [row] = await sql<Row[]>`
    select id, name, type, account_id, case when api_key_hash = ${hash} then null else old_key_until end as key_until
    from agent_registry
    where (api_key_hash = ${hash} or (old_key_hash = ${hash} and old_key_until > now()))
      and (status <> 'deactivated' or ${deactivated})`;
  if (!row) return null;
  const { account_id: accountId, key_until: keyUntil, ...rest } = row;
  return { ...rest, accountId, keyUntil };
}

/**
 * Gives an agent a new key, shown here once. `presented`, the key that the caller came with, holds for `keepSeconds` more, or the
 * newest one where the caller is no agent: so an agent that never got the answer can ask again. Throws `not_found`.
 */
export async function rotateAgentKey(
  sql: Sql,
  agentId: string,
  how: { readonly keepSeconds: number; readonly presented: string | null },
): Promise<{ apiKey: string; oldUntil: Date | null }> {
  const apiKey = newApiKey(AGENT_KEY_PREFIX);
  const { keepSeconds, presented } = how;
  const kept = presented === null ? null : hashKey(presented);
  const [row] = await sql<{ old_key_until: Date | null }[]>`
    update agent_registry set
      old_key_hash = case when ${keepSeconds}::int > 0 then coalesce(${kept}::bytea, api_key_hash) end,
      old_key_until = case when ${keepSeconds}::int > 0 then now() + make_interval(secs => ${keepSeconds}) end,
      api_key_hash = ${hashKey(apiKey)}, updated_at = now()
    where id = ${agentId} and status <> 'deactivated'
    returning old_key_until`;
  if (!row) throw gone();
  return { apiKey, oldUntil: row.old_key_until };
}

/** Gives an agent a new signing secret, shown here once; calls are signed with both for `keepSeconds`. Throws `not_found`. */
export async function rotateAgentSecret(
  deps: { readonly sql: Sql; readonly secretBox: SecretBox },
  agentId: string,
  keepSeconds: number,
): Promise<{ signingSecret: string; oldUntil: Date | null }> {
  const signingSecret = newSigningSecret();
  const sealed = deps.secretBox.seal({ signingSecret });
  const [row] = await deps.sql<{ until: Date | null }[]>`
    select rotate_agent_secret(${agentId}, ${sealed}, make_interval(secs => ${keepSeconds})) as until`;
  if (!row?.until) throw gone();
  return { signingSecret, oldUntil: keepSeconds === 0 ? null : row.until };
}

/** Ends the time of the replaced key, of the replaced secret, or of both, at once. */
export async function retireOld(sql: Sql, agentId: string, what: 'key' | 'secret' | 'both'): Promise<void> {
  await sql`
    with changed as (
      update agent_registry set
        ${what === 'secret' ? sql`` : sql`old_key_hash = null, old_key_until = null,`}
        ${what === 'key' ? sql`` : sql`old_signing_secret = null, old_secret_until = null,`}
        updated_at = now()
      where id = ${agentId}
      returning id
    )
    select pg_notify('agents_changed', id::text) from changed`;
}

function gone(): DarkspereError {
  return new DarkspereError('not_found', 'There is no such agent, or it is not yours.');
}
