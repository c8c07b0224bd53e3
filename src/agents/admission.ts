// Whether a chosen agent may be called now: it has a place, and if it is out, this call is its only one.
import type { Sql } from '../database/pools.ts';
import type { Agent } from './agent.ts';
import type { Capacity } from './capacity.ts';
import type { Registry } from './registry.ts';
import type { Choice } from './routing.ts';

export type Admitted = {
  readonly agent: Agent;
  /** It is the one call that finds out whether the agent is back. */
  readonly isTrial: boolean;
  /** The call is over. `saidNothing`: we cut it off ourselves, so that a trial has to be made by somebody else. */
  leave(saidNothing: boolean): void;
};

export type Admission = {
  /**
   * Takes a place for a call of at most `totalMs`. `full`: all of the agent's are taken. `out`: the agent is out, and somebody
   * else is finding out whether it is back. Rejects while the database is away.
   */
  admit(choice: Choice, totalMs: number): Promise<Admitted | 'full' | 'out'>;
};

/** Between trials, in this process, whether they were granted or not: while others answer there is no hurry. */
const ASK_AGAIN_MS = 1_000;
/** From the end of a call to its record. */
const RECORD_MS = 5_000;

export function createAdmission(deps: {
  readonly sql: Sql;
  readonly poolId: string;
  readonly capacity: Capacity;
  readonly registry: Pick<Registry, 'patch'>;
  readonly onError: (error: unknown) => void;
}): Admission {
  const { sql, poolId, capacity, registry } = deps;
  const refusedUntilMs = new Map<string, number>();

  const isRefused = ({ id }: Agent) => performance.now() < (refusedUntilMs.get(id) ?? 0);

  async function claimTrial(agent: Agent, totalMs: number, isUrgent: boolean): Promise<boolean> {
    if (isRefused(agent)) return false;
    // Set before the question: in this process nobody else asks meanwhile.
    refusedUntilMs.set(agent.id, performance.now() + ASK_AGAIN_MS);
    const forMs = totalMs + RECORD_MS;
    const [row] = await sql<{ granted: boolean }[]>`
      select claim_trial(${agent.id}, ${poolId}, ${forMs} * interval '1 millisecond', ${isUrgent}) as granted`;
    return row!.granted;
  }

  function releaseTrial(agent: Agent): void {
    registry.patch(agent.id, { trialUntil: null });
    refusedUntilMs.delete(agent.id);
    sql`select release_trial(${agent.id}, ${poolId})`.catch(deps.onError);
  }

  return {
    async admit({ agent, as }, totalMs) {
      const isTrial = as === 'trial' || (as === 'last resort' && agent.circuit !== 'closed');
      // Before a place is asked for, which would be for nothing.
      if (isTrial && isRefused(agent)) return 'out';
      const place = await capacity.take(agent);
      if (place === null) return 'full';
      try {
        if (isTrial && !(await claimTrial(agent, totalMs, as === 'last resort'))) {
          place.leave();
          return 'out';
        }
      } catch (error) {
        place.leave();
        throw error;
      }
      return {
        agent,
        isTrial,
        leave(saidNothing) {
          place.leave();
          if (isTrial && saidNothing) releaseTrial(agent);
          // While nobody else is left, everybody waits for it.
          if (isTrial && as === 'last resort') refusedUntilMs.delete(agent.id);
        },
      };
    },
  };
}
