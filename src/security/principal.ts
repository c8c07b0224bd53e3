// Who asks, as the routes see it. Users and roles come later: they will be principals too, and routes ask for scopes only.

export const SCOPES = ['read', 'write'] as const;
export type Scope = (typeof SCOPES)[number];

export type Principal = {
  /** `operator`: somebody signed in to the console; `api_key`: a program; `agent`: an agent with its own key. */
  readonly kind: 'operator' | 'api_key' | 'agent';
  /** Of the session, the key or the agent. */
  readonly id: string;
  /** What is written down as "by whom". */
  readonly name: string;
  /** An agent has none: it may post to its own sessions, and nothing else. */
  readonly scopes: readonly Scope[];
  /** Whose things alone it may see and change; absent: an operator's, who may do so with everybody's. */
  readonly accountId?: string;
};

export function mayDo(principal: Principal, scope: Scope): boolean {
  return principal.scopes.includes(scope);
}
