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
  readonly exclude: Pick<ReadonlySet<string>, 'has'>;
  /** False: nobody in trouble is tried, as long as somebody is well. */
  readonly trials?: boolean;
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
    !isLater(agent.coolingUntil, now)
  );
}

function isLater(date: Date | null, now: Date): boolean {
  return date !== null && date.getTime() > now.getTime();
}

/**
 * In trouble, its pause over, and nothing that a probe has found against it: the next call may be its trial. Without one, an agent
 * that failed once would never be asked again while others have a better score.
 */
function isDue(agent: Agent, isWell: boolean, now: Date): boolean {
  if (isWell && agent.successRate === 1 && agent.consecutiveFailures === 0) return false;
  return agent.probeFailures === 0 && !isLater(agent.coolingUntil, now) && !isLater(agent.trialUntil, now);
}

/** Whether it takes more calls than are under way, as far as is known here. */
export function hasRoom(agent: Agent): boolean {
  return freeShare(agent) > 0;
}

/** Of the calls it takes at once, the share that is free; while it is trusted with a trickle, of that. */
function freeShare(agent: Agent): number {
  const most = Math.min(agent.maxConcurrentSessions, agent.trickle ?? agent.maxConcurrentSessions);
  return Math.max(0, 1 - agent.callsInProgress / most);
}

/**
 * The session's own agent if healthy; else one that is due for its trial, while a healthy one could take over; else the best
 * healthy one with room; else the best healthy one; else, when nobody is healthy, the best of the others, cooling and disabled
 * ones too: a person waits, and a call that succeeds is what ends an outage. Deactivated agents are never asked, draining ones
 * for new sessions only when nobody else who fits is healthy. Null when no agent does.
 */
export function chooseAgent(agents: readonly Agent[], wish: Wish): Choice | null {
  const own = wish.sticky === null ? undefined : agents.find((agent) => agent.id === wish.sticky);
  if (own !== undefined && fits(own, wish) && isHealthy(own, wish.now)) return { agent: own, as: 'healthy' };
  const staying = choose(agents, wish, own, isStaying);
  if (staying !== null && staying.as !== 'last resort') return staying;
  const any = choose(agents, wish, own, () => true);
  return staying === null || any?.as !== 'last resort' ? any : staying;
}

/** Whether anybody who fits is healthy, and could take over. */
export function isAnybodyWell(agents: readonly Agent[], wish: Wish): boolean {
  return agents.some((agent) => fits(agent, wish) && isHealthy(agent, wish.now));
}

/** Not draining. */
function isStaying(agent: Agent): boolean {
  return agent.isDraining !== true;
}

function choose(
  agents: readonly Agent[],
  wish: Wish,
  own: Agent | undefined,
  isOffered: (agent: Agent) => boolean,
): Choice | null {
  let healthy: Rated | null = null;
  let rest: Rated | null = null;
  let due: Rated | null = null;
  for (const agent of agents) {
    if (!fits(agent, wish) || !(agent === own || isOffered(agent))) continue;
    const isWell = isHealthy(agent, wish.now);
    // Not with somebody whom it has just failed.
    const mayTry = wish.trials !== false && agent !== own && isDue(agent, isWell, wish.now);
    if (isWell && !mayTry && isBeaten(agent, healthy)) continue;
    const rated = { agent, free: freeShare(agent) };
    if (isWell) {
      if (healthy === null || byHealth(rated, healthy) < 0) healthy = rated;
    } else if (rest === null || byTrouble(rated, rest, wish.now) < 0) rest = rated;
    if (mayTry && (due === null || byHealth(rated, due) < 0)) due = rated;
  }
  if (healthy === null) return rest && { agent: rest.agent, as: 'last resort' };
  const best = due === null || due.agent === healthy.agent ? healthy : due;
  return { agent: best.agent, as: best === healthy ? 'healthy' : 'trial' };
}

type Rated = { readonly agent: Agent; readonly free: number };

function fits(agent: Agent, wish: Wish): boolean {
  return (
    agent.type === wish.type &&
    agent.status !== 'deactivated' &&
    !wish.exclude.has(agent.id) &&
    ((agent.accountId ?? null) === null || agent.accountId === wish.accountId) &&
    wish.capabilities.every((capability) => agent.capabilities.includes(capability))
  );
}

/** Whatever its room is, `best` comes before it: most of a thousand need not be asked how many calls they have. */
function isBeaten(agent: Agent, best: Rated | null): boolean {
  return best !== null && best.free > 0 && agent.healthScore < best.agent.healthScore;
}

/** Who has room, then health, then room, then speed. The id comes last so that the order of the list never decides. */
function byHealth(a: Rated, b: Rated): number {
  return (
    Number(b.free > 0) - Number(a.free > 0) ||
    b.agent.healthScore - a.agent.healthScore ||
    b.free - a.free ||
    a.agent.responseMs - b.agent.responseMs ||
    (a.agent.id < b.agent.id ? -1 : a.agent.id > b.agent.id ? 1 : 0)
  );
}

/** Among the unhealthy: those whose trial is not under way, then those whose pause is over, then the one that pauses shortest. */
function byTrouble(a: Rated, b: Rated, now: Date): number {
  const isTried = ({ agent }: Rated) => Number(isLater(agent.trialUntil, now));
  const restMs = ({ agent }: Rated) => Math.max(0, (agent.coolingUntil?.getTime() ?? 0) - now.getTime());
  return isTried(a) - isTried(b) || restMs(a) - restMs(b) || byHealth(a, b);
}
