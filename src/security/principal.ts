// Who asks, as the routes see it. Users and roles come later: they will be principals too, and routes ask for scopes only.

/**
 * What a credential may do. `read` and `write`: the /v1 API. `reply` and `send`: what a program may say over MCP, to somebody
 * who has just texted and to somebody on the operator's list. `chat`: ask agents through the MCP adapter.
 */
export const SCOPES = ['read', 'write', 'reply', 'send', 'chat'] as const;
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
