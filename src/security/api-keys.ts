// Keys of programs that use the /v1 API, MCP or the MCP adapter.
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import { hashKey, newApiKey } from './keys.ts';
import type { Principal, Scope } from './principal.ts';

export const API_KEY_PREFIX = 'dsk_';
const HINT_LENGTH = API_KEY_PREFIX.length + 4;

export type ApiKey = {
  readonly id: string;
  readonly name: string;
  /** How the key begins. */
  readonly hint: string;
  readonly scopes: readonly Scope[];
  readonly created_at: Date;
  /** To the minute. */
  readonly last_used_at: Date | null;
};

/** Makes a key, which is shown here once. Throws `conflict` when a living key has that name. */
export async function addApiKey(
  sql: Sql,
  wanted: { name: string; scopes: readonly Scope[] },
): Promise<ApiKey & { readonly key: string }> {
  const key = newApiKey(API_KEY_PREFIX);
  const [row] = await sql<ApiKey[]>`
    insert into api_keys (name, key_hash, hint, scopes)
    values (${wanted.name}, ${hashKey(key)}, ${key.slice(0, HINT_LENGTH)}, ${[...wanted.scopes]})
    on conflict (name) where revoked_at is null do nothing
    returning id, name, hint, scopes, created_at, last_used_at`;
  if (!row)
    throw new DarkspereError(
      'conflict',
      `There is a key named ${wanted.name} already. Take another name, or revoke that one.`,
    );
  return { ...row, key };
}

/** Living keys, oldest first. */
export async function listApiKeys(sql: Sql): Promise<ApiKey[]> {
  return sql<ApiKey[]>`
    select id, name, hint, scopes, created_at, last_used_at from api_keys where revoked_at is null order by id`;
}

/** Takes a key away, by its name or id; it opens nothing from now on. Throws `not_found`. */
export async function revokeApiKey(sql: Sql, nameOrId: string): Promise<ApiKey> {
  const id = isUuid(nameOrId) ? nameOrId : null;
  const [row] = await sql<ApiKey[]>`
    update api_keys set revoked_at = now()
    where revoked_at is null and (id = ${id} or name = ${nameOrId})
    returning id, name, hint, scopes, created_at, last_used_at`;
  if (!row) throw new DarkspereError('not_found', `There is no key ${nameOrId}. List them with: darkspere keys list`);
  return row;
}

/** Whom a key belongs to, or null. */
export async function findApiKey(sql: Sql, key: string): Promise<Principal | null> {
  const hash = hashKey(key);
  const [row] = await sql<
    { id: string; name: string; scopes: Scope[]; account_id: string | null; is_stale: boolean }[]
  >`
    select id, name, scopes, account_id, coalesce(last_used_at < now() - interval '1 minute', true) as is_stale
    from api_keys where key_hash = ${hash} and revoked_at is null`;
  if (!row) return null;
  if (row.is_stale) await sql`update api_keys set last_used_at = now() where key_hash = ${hash}`;
  const principal = { kind: 'api_key' as const, id: row.id, name: row.name, scopes: row.scopes };
  return row.account_id === null ? principal : { ...principal, accountId: row.account_id };
}
