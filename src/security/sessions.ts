// Operators who are signed in: a one-time token opens a session, a session is a cookie.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Sql } from '../database/pools.ts';
import { newToken } from '../ids.ts';
import { hashKey } from './keys.ts';
import type { Principal } from './principal.ts';

/** How long a login address works. */
export const LOGIN_MINUTES = 15;
/** A session ends after this long without a request, and after 30 days in any case (redeem_login_token). */
const IDLE_DAYS = 7;

const LOGIN_PREFIX = 'dsl_';
const SESSION_PREFIX = 'dss_';
const CSRF_PURPOSE = 'darkspere csrf v1';

export type Session = Principal & { readonly kind: 'operator'; readonly expiresAt: Date };
type Row = { id: string; name: string; expires_at: Date; is_stale: boolean };

/** A new one-time token, which only whoever is told it knows. Tokens that expired are removed on the way. */
export async function createLoginToken(sql: Sql): Promise<{ token: string; expiresAt: Date }> {
  const token = newToken(LOGIN_PREFIX);
  const [row] = await sql<{ expires_at: Date }[]>`
    with gone as (delete from login_tokens where expires_at < now())
    insert into login_tokens (token_hash, expires_at)
    values (${hashKey(token)}, now() + make_interval(mins => ${LOGIN_MINUTES}))
    returning expires_at`;
  return { token, expiresAt: row!.expires_at };
}

/** Behind the # it reaches no server, no log and no other site: a page of ours reads it and posts it. */
export function loginUrl(consoleUrl: string, token: string): string {
  return `${consoleUrl}/login#${token}`;
}

/** Uses the token up and signs in; null when it is unknown, used or too old. Of two that come at once one wins. */
export async function redeemLoginToken(
  sql: Sql,
  loginToken: string,
): Promise<{ token: string; expiresAt: Date } | null> {
  const token = newToken(SESSION_PREFIX);
  const [row] = await sql<{ expires_at: Date }[]>`
    select expires_at from redeem_login_token(${hashKey(loginToken)}, ${hashKey(token)})`;
  return row ? { token, expiresAt: row.expires_at } : null;
}

/** The session that a cookie opens, kept alive by being asked for; null when it is over. */
export async function findSession(sql: Sql, token: string): Promise<Session | null> {
  const hash = hashKey(token);
  const [row] = await sql<Row[]>`
    select id, name, least(expires_at, last_seen_at + make_interval(days => ${IDLE_DAYS})) as expires_at,
      last_seen_at < now() - interval '1 minute' as is_stale
    from auth_sessions
    where token_hash = ${hash} and expires_at > now() and last_seen_at > now() - make_interval(days => ${IDLE_DAYS})`;
  if (!row) return null;
  if (row.is_stale) await sql`update auth_sessions set last_seen_at = now() where token_hash = ${hash}`;
  const { id, name, expires_at: expiresAt } = row;
  return { kind: 'operator', id, name, scopes: ['read', 'write'], expiresAt };
}

/** Signs out. Sessions that are over are removed on the way. */
export async function endSession(sql: Sql, id: string): Promise<void> {
  await sql`
    delete from auth_sessions
    where id = ${id} or expires_at < now() or last_seen_at < now() - make_interval(days => ${IDLE_DAYS})`;
}

/** Which of these sessions and keys still open something. */
export async function stillOpen(sql: Sql, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await sql<{ id: string }[]>`
    select id from auth_sessions
    where id = any (${[...ids]}) and expires_at > now() and last_seen_at > now() - make_interval(days => ${IDLE_DAYS})
    union all
    select id from api_keys where id = any (${[...ids]}) and revoked_at is null`;
  return new Set(rows.map(({ id }) => id));
}

/** True when somebody is signed in. */
export async function isAnybodySignedIn(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ yes: boolean }[]>`
    select exists (
      select from auth_sessions
      where expires_at > now() and last_seen_at > now() - make_interval(days => ${IDLE_DAYS})
    ) as yes`;
  return row?.yes === true;
}

/** What a page of ours sends besides the cookie. It follows from the cookie, which no page can read, so nothing is stored. */
export function csrfTokenOf(sessionToken: string): string {
  return createHmac('sha256', sessionToken).update(CSRF_PURPOSE).digest('base64url');
}

/** Constant time. */
export function csrfTokenIsValid(sessionToken: string, given: unknown): boolean {
  if (typeof given !== 'string') return false;
  const [a, b] = [Buffer.from(given), Buffer.from(csrfTokenOf(sessionToken))];
  return a.length === b.length && timingSafeEqual(a, b);
}
