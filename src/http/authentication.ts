// Who asks: a session cookie of the console, an API key, or, where the route takes them, the key of an agent.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { findAgentByKey, type KeyHolder } from '../agents/credentials.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { API_KEY_PREFIX, findApiKey } from '../security/api-keys.ts';
import type { GuessLimit } from '../security/guess-limit.ts';
import { mayDo, type Principal, type Scope } from '../security/principal.ts';
import { csrfTokenIsValid, findSession, type Session } from '../security/sessions.ts';
import { bearerOf } from './bearer.ts';
import { refuseForeignPages } from './same-origin.ts';

export type AccessDeps = {
  readonly sql: Sql;
  /** Where operators open the console: scheme, host and port; null: no console here, so nobody has a session. */
  readonly consoleUrl: string | null;
  readonly guesses: GuessLimit;
};

declare module 'fastify' {
  interface FastifyInstance {
    access: AccessDeps;
  }
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

export type Needs = {
  readonly scope: Scope;
  /** Whether keys of agents will do; `left`: those of deactivated ones too. */
  readonly agents: boolean | 'left';
  readonly accounts: boolean;
};

/** The caller, who may do what the route asks for. Throws unauthenticated, forbidden, csrf_refused, rate_limited … */
export async function authenticate(request: FastifyRequest, needs: Needs): Promise<Principal> {
  const { access } = request.server;
  const principal =
    request.headers.authorization === undefined && access.consoleUrl !== null
      ? await operatorOf(request, access, access.consoleUrl)
      : await keyHolderOf(request, access, needs.agents);
  if (principal.kind !== 'agent' && !mayDo(principal, needs.scope)) {
    throw new DarkspereError(
      'forbidden',
      `The key ${principal.name} has the scope ${principal.scopes.join(', ')}; this needs ${needs.scope}. Make one with: npx darkspere keys add <name> --scope ${principal.scopes.concat(needs.scope).join(',')}`,
    );
  }
  if (!needs.accounts) refuseAccounts(principal);
  return principal;
}

function refuseAccounts(principal: Principal): void {
  if (principal.kind === 'agent' || principal.accountId === undefined) return;
  throw new DarkspereError('forbidden', `The key ${principal.name} is one of an account, and this is for operators.`);
}

/** The name of the session cookie: two copies on one machine must not sign each other out, and cookies know no port. */
function cookieName(consoleUrl: string): string {
  const { protocol, port } = new URL(consoleUrl);
  return protocol === 'https:' ? '__Host-darkspere' : `darkspere-${port === '' ? '80' : port}`;
}

/** The session's own token, as the browser keeps it. */
export function sessionTokenOf(request: FastifyRequest): string | null {
  const { consoleUrl } = request.server.access;
  return consoleUrl === null ? null : (request.cookies[cookieName(consoleUrl)] ?? null);
}

/** Gives the browser a session, or with null takes it away. */
export function setSessionCookie(reply: FastifyReply, token: string | null, expiresAt: Date = new Date(0)): void {
  const { consoleUrl } = reply.server.access;
  if (consoleUrl === null) return;
  reply.setCookie(cookieName(consoleUrl), token ?? '', {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    secure: consoleUrl.startsWith('https:'),
    expires: expiresAt,
  });
}

async function operatorOf(request: FastifyRequest, access: AccessDeps, consoleUrl: string): Promise<Session> {
  const token = sessionTokenOf(request);
  if (token === null) throw new DarkspereError('unauthenticated', NOBODY);
  const isUnsafe = !SAFE.has(request.method);
  refuseForeignPages(request, { origin: new URL(consoleUrl).origin, mustSay: isUnsafe });
  // A page left open asks again and again with a session that is over: that is no guess.
  if (access.guesses.isKnownWrong(token)) throw new DarkspereError('unauthenticated', OVER);
  const session = await tried(request, access, token, () => findSession(access.sql, token));
  if (!session) throw new DarkspereError('unauthenticated', OVER);
  if (isUnsafe && !csrfTokenIsValid(token, request.headers['x-csrf-token'])) {
    throw new DarkspereError(
      'csrf_refused',
      'x-csrf-token is missing or wrong. Send the csrf_token of GET /v1/session.',
      {
        param: 'x-csrf-token',
      },
    );
  }
  return session;
}

/** Who holds the key of the header, an API key or an agent's: no session opens what asks for this. Throws as `authenticate`. */
export async function bearerHolderOf(request: FastifyRequest): Promise<Principal> {
  const principal = await keyHolderOf(request, request.server.access, true);
  refuseAccounts(principal);
  return principal;
}

async function keyHolderOf(request: FastifyRequest, access: AccessDeps, agents: Needs['agents']): Promise<Principal> {
  const key = bearerOf(request);
  const isAgents = agents !== false && !key.startsWith(API_KEY_PREFIX);
  const found = await tried(request, access, key, async () => {
    if (!isAgents) return findApiKey(access.sql, key);
    const agent = await findAgentByKey(access.sql, key);
    // A key that is known is no guess; and an agent that took this for an unknown key would register itself anew.
    if (agent?.isDeactivated && agents !== 'left') throw new DarkspereError('agent_deactivated');
    return agent && agentPrincipal(agent);
  });
  if (found) return found;
  throw isAgents ? new DarkspereError('agent_key_invalid') : new DarkspereError('unauthenticated', UNKNOWN_KEY);
}

function agentPrincipal({ id, name, accountId }: KeyHolder): Principal {
  const principal = { kind: 'agent' as const, id, name, scopes: [] };
  return accountId === null ? principal : { ...principal, accountId };
}

/** Looks a secret up, and counts the wrong ones. */
async function tried<T>(
  request: FastifyRequest,
  { guesses }: AccessDeps,
  secret: string,
  find: () => Promise<T | null>,
): Promise<T | null> {
  const found = await find();
  if (!found) noteGuess(request, guesses, secret);
  return found;
}

/**
 * Counts a wrong key or token. After too many from one address throws `rate_limited`, and says when to come back. A right one is
 * let in however many wrong ones came from its address: many may share one, and 256 random bits cannot be guessed.
 */
export function noteGuess(request: FastifyRequest, guesses: GuessLimit, secret: string): void {
  const waitSeconds = guesses.waitSeconds(request.ip);
  guesses.noteWrong(request.ip, secret);
  if (waitSeconds === 0) return;
  throw new DarkspereError(
    'rate_limited',
    `Too many wrong keys or tokens from this address. Try again in ${waitSeconds} s.`,
    {
      facts: { retryAfterSeconds: waitSeconds },
    },
  );
}

/** Makes the server know its callers. */
export function prepareAccess(app: FastifyInstance, deps: AccessDeps): void {
  app.decorate('access', deps);
}

const NOBODY =
  'Sign in (npx darkspere login prints an address to open), or send `Authorization: Bearer <api key>` (npx darkspere keys add).';
const OVER = 'The session is over. Sign in again: npx darkspere login prints an address to open.';
const UNKNOWN_KEY =
  'The API key is not known or was revoked. List them with npx darkspere keys list, make one with npx darkspere keys add.';
