// Which agent answers. Pure: the same agents and the same wish give the same choice, in every process.
import type { Agent } from './agent.ts';

/** From this score on an agent is healthy. */
export const HEALTHY_SCORE = 70;

export type Wish = {
  readonly type: string;
  /** The agent must have all of these. */
  readonly capabilities: readonly string[];
  /** The session's agent: it keeps the conversation while it is healthy. */
  readonly sticky: string | null;
  /** Agents that failed this turn already. */
  readonly exclude: ReadonlySet<string>;
  /** Whose conversation it is: agents of other accounts are not asked. Absent or null: no account's. */
  readonly accountId?: string | null;
  readonly now: Date;
};

/** Healthy: active, a score of at least 70 and not cooling down after a failure. */
export function isHealthy(agent: Agent, now: Date): boolean {
  return agent.status === 'active' && agent.healthScore >= HEALTHY_SCORE && !isCooling(agent, now);
}

function isCooling(agent: Agent, now: Date): boolean {
  return agent.coolingUntil !== null && agent.coolingUntil > now;
}

function freeRatio(agent: Agent): number {
  return Math.max(0, 1 - agent.activeSessions / agent.maxConcurrentSessions);
}

/**
 * The session's own agent if healthy; else the best healthy one with room; else the best healthy one; else, when nobody
 * is healthy, the best of the others, cooling and disabled ones too: a person waits, and a call that succeeds is what
 * ends an outage. Deactivated agents are never asked, draining ones for new sessions only when nobody else fits at all. Null when no agent does.
 */
export function chooseAgent(agents: readonly Agent[], wish: Wish): Agent | null {
  const permitted = agents.filter((agent) => fits(agent, wish));
  const staying = permitted.filter((agent) => !isLeaving(agent, wish));
  const fitting = staying.length > 0 ? staying : permitted;
  const sticky = fitting.find((agent) => agent.id === wish.sticky);
  if (sticky !== undefined && isHealthy(sticky, wish.now)) return sticky;
  const healthy = fitting.filter((agent) => isHealthy(agent, wish.now));
  if (healthy.length > 0) {
    const roomy = healthy.filter((agent) => freeRatio(agent) > 0);
    return best(roomy.length > 0 ? roomy : healthy, byHealth);
  }
  return best(fitting, (a, b) => byTrouble(a, b, wish.now));
}

function fits(agent: Agent, wish: Wish): boolean {
  return (
    agent.type === wish.type &&
    agent.status !== 'deactivated' &&
    !wish.exclude.has(agent.id) &&
    ((agent.accountId ?? null) === null || agent.accountId === wish.accountId) &&
    wish.capabilities.every((capability) => agent.capabilities.includes(capability))
  );
}

/** It is draining, and this is not one of the sessions that it has. */
function isLeaving(agent: Agent, wish: Wish): boolean {
  return agent.isDraining === true && agent.id !== wish.sticky;
}

function best(agents: readonly Agent[], order: (a: Agent, b: Agent) => number): Agent | null {
  return agents.reduce<Agent | null>((top, agent) => (top === null || order(agent, top) < 0 ? agent : top), null);
}

/** The id comes last so that the order of the list never decides. */
function byHealth(a: Agent, b: Agent): number {
  return (
    b.healthScore - a.healthScore ||
    freeRatio(b) - freeRatio(a) ||
    a.responseMs - b.responseMs ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  );
}

/** Among the unhealthy: those whose pause is over first, then the one that pauses shortest. */
function byTrouble(a: Agent, b: Agent, now: Date): number {
  const restMs = (agent: Agent) => Math.max(0, (agent.coolingUntil?.getTime() ?? 0) - now.getTime());
  return restMs(a) - restMs(b) || byHealth(a, b);
}
