// Which agent answers. Pure: the same agents and the same wish give the same choice, in every process.
import type { Agent } from './agent.ts';
import { HEALTHY_SCORE } from './health.ts';

export type Wish = {
  readonly type: string;
  /** The agent must have all of these. */
  readonly capabilities: readonly string[];
  /** The session's agent: it keeps the conversation while it is healthy. */
  readonly sticky: string | null;
  /** Agents that failed this turn already, or could not take it. */
  readonly exclude: ReadonlySet<string>;
  /** Whose conversation it is: agents of other accounts are not asked. Absent or null: no account's. */
  readonly accountId?: string | null;
  readonly now: Date;
};

/**
 * healthy: as it likes. trial: it was in trouble and its pause is over; one call at a time finds out whether it is well, others are
 * there if it is not. last resort: nobody is healthy.
 */
export type Choice = { readonly agent: Agent; readonly as: 'healthy' | 'trial' | 'last resort' };

/** Healthy: active, circuit closed, a score of at least 70 and not cooling down after a failure. */
export function isHealthy(agent: Agent, now: Date): boolean {
  return (
    agent.status === 'active' &&
    agent.circuit === 'closed' &&
    agent.healthScore >= HEALTHY_SCORE &&
    !isCooling(agent, now)
  );
}

function isCooling(agent: Agent, now: Date): boolean {
  return agent.coolingUntil !== null && agent.coolingUntil > now;
}

/**
 * In trouble, its pause over, and nothing that a probe has found against it: the next call may be its trial. Without one, an agent
 * that failed once would never be asked again while others have a better score.
 */
function isDue(agent: Agent, now: Date): boolean {
  const isTried = agent.trialUntil !== null && agent.trialUntil > now;
  const isWell = agent.successRate === 1 && agent.consecutiveFailures === 0 && isHealthy(agent, now);
  return !isWell && !isCooling(agent, now) && agent.probeFailures === 0 && !isTried;
}

/** Of the calls it takes at once, the share that is free; while it is trusted with a trickle, of that. */
function freeShare(agent: Agent): number {
  const most = Math.min(agent.maxConcurrentSessions, agent.trickle ?? agent.maxConcurrentSessions);
  return Math.max(0, 1 - agent.activeSessions / most);
}

/**
/**
 * The session's own agent if healthy; else one that is due for its trial, while a healthy one could take over; else the best
 * healthy one with room; else the best healthy one; else, when nobody is healthy, the best of the others, cooling and disabled
 * ones too: a person waits, and a call that succeeds is what ends an outage. Deactivated agents are never asked, draining ones
 * for new sessions only when nobody else fits at all. Null when no agent does.
 */
export function chooseAgent(agents: readonly Agent[], wish: Wish): Choice | null {
  return choose(agents, wish, (agent) => !isLeaving(agent, wish)) ?? choose(agents, wish, () => true);
}

function choose(agents: readonly Agent[], wish: Wish, isOffered: (agent: Agent) => boolean): Choice | null {
  let healthy: Agent | null = null;
  let rest: Agent | null = null;
  let due: Agent | null = null;
  for (const agent of agents) {
    if (!fits(agent, wish) || !isOffered(agent)) continue;
    if (isHealthy(agent, wish.now)) {
      if (agent.id === wish.sticky) return { agent, as: 'healthy' };
      if (healthy === null || byHealth(agent, healthy) < 0) healthy = agent;
    } else if (rest === null || byTrouble(agent, rest, wish.now) < 0) rest = agent;
    // Not with somebody whom it has just failed.
    if (agent.id !== wish.sticky && isDue(agent, wish.now) && (due === null || byHealth(agent, due) < 0)) due = agent;
  }
  if (healthy === null) return rest && { agent: rest, as: 'last resort' };
  return due === null || due === healthy ? { agent: healthy, as: 'healthy' } : { agent: due, as: 'trial' };
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

/** Who has room, then health, then room, then speed. The id comes last so that the order of the list never decides. */
function byHealth(a: Agent, b: Agent): number {
  const freeA = freeShare(a);
  const freeB = freeShare(b);
  return (
    Number(freeB > 0) - Number(freeA > 0) ||
    b.healthScore - a.healthScore ||
    freeB - freeA ||
    a.responseMs - b.responseMs ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  );
}

/** Among the unhealthy: those whose pause is over first, then the one that pauses shortest. */
function byTrouble(a: Agent, b: Agent, now: Date): number {
  const restMs = (agent: Agent) => Math.max(0, (agent.coolingUntil?.getTime() ?? 0) - now.getTime());
  return restMs(a) - restMs(b) || byHealth(a, b);
}
