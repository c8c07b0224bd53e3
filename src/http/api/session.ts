// Signing in to the console, and who one is.
import type { FastifyInstance } from 'fastify';
import { DarkspereError } from '../../errors.ts';
import { createGuessLimit } from '../../security/guess-limit.ts';
import { csrfTokenOf, endSession, findSession, redeemLoginToken } from '../../security/sessions.ts';
import { type AccessDeps, noteGuess, sessionTokenOf, setSessionCookie } from '../authentication.ts';
import { LoginBody, Session } from '../contract/access.ts';
import type { EventHub } from '../event-stream.ts';
import { route } from '../routes.ts';
import { refuseForeignPages } from '../same-origin.ts';

export type SessionDeps = AccessDeps & {
  readonly consoleUrl: string;
  /** A session that ends takes its streams along. */
  readonly events: Pick<EventHub, 'drop'>;
};

export function sessionRoutes(app: FastifyInstance, deps: SessionDeps): void {
  const { sql, consoleUrl } = deps;
  // Of its own: who guesses keys must not keep operators out.
  const guesses = createGuessLimit();

  route(app, {
    method: 'POST',
    path: '/v1/login',
    summary: 'Sign in to the console',
    description:
      'Uses up the token of a login address (`npx darkspere login`) and sets the session cookie. Programs use API keys instead.',
    tag: 'console',
    scope: 'anyone',
    body: LoginBody,
    answers: { 204: null },
    errors: ['login_token_invalid', 'csrf_refused', 'rate_limited', 'storage_unavailable'],
    handle: async ({ body: { token }, request, reply }) => {
      // Another site must not sign somebody in, not even as themselves.
      refuseForeignPages(request, { origin: new URL(consoleUrl).origin, mustSay: false });
      const session = await redeemLoginToken(sql, token);
      if (!session) {
        noteGuess(request, guesses, token);
        throw new DarkspereError(
          'login_token_invalid',
          'This login address was used already, is older than 15 minutes, or was never ours. Get a new one: npx darkspere login',
          { param: 'token' },
        );
      }
      setSessionCookie(reply, session.token, session.expiresAt);
      return undefined;
    },
  });

  route(app, {
    method: 'GET',
    path: '/v1/session',
    summary: 'Who is signed in',
    tag: 'console',
    scope: 'read',
    answers: { 200: Session },
    handle: async ({ principal, request }) => {
      const token = principal.kind === 'operator' ? sessionTokenOf(request) : null;
      const session = token === null ? null : await findSession(sql, token);
      return {
        kind: principal.kind === 'operator' ? ('operator' as const) : ('api_key' as const),
        name: principal.name,
        expires_at: session?.expiresAt.toISOString() ?? null,
        csrf_token: token === null ? null : csrfTokenOf(token),
      };
    },
  });

  route(app, {
    method: 'DELETE',
    path: '/v1/session',
    summary: 'Sign out',
    tag: 'console',
    scope: 'read',
    answers: { 204: null },
    handle: async ({ principal, reply }) => {
      if (principal.kind !== 'operator') {
        throw new DarkspereError(
          'forbidden',
          'A key has no session to end. Take the key away with: npx darkspere keys revoke <name>',
        );
      }
      await endSession(sql, principal.id);
      deps.events.drop(principal.id);
      setSessionCookie(reply, null);
      return undefined;
    },
  });
}
