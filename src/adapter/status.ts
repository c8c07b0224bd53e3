// What came of the questions of this process, by agent.
import type { AgentOutcome, AgentResult } from '../agents/agent.ts';
import type { ErrorCode } from '../errors.ts';

export type Counts = {
  /** Those that the program or we cut off are neither answered nor failed. */
  readonly calls: number;
  readonly answered: number;
  /** An answer that is put off counts: whoever asks here gets none. */
  readonly failed: number;
  readonly lastError: ErrorCode | null;
};

export type AgentCounts = {
  note(agentId: string, result: AgentResult): void;
  of(agentId: string): Counts;
};

const NONE: Counts = { calls: 0, answered: 0, failed: 0, lastError: null };
/** Agents come and go; those that were asked least recently are forgotten first. */
const MOST_AGENTS = 10_000;

function errorOf(outcome: AgentOutcome): ErrorCode | null {
  if (outcome.kind === 'deferred') return 'agent_deferred';
  return outcome.kind === 'failed' ? outcome.code : null;
}

/** Calls since the process started, by agent. */
export function createAgentCounts(): AgentCounts {
  const counts = new Map<string, Counts>();
  return {
    note(agentId, { outcome }) {
      const { calls, answered, failed, lastError } = counts.get(agentId) ?? NONE;
      const error = errorOf(outcome);
      const isCutOff = error === 'agent_cancelled';
      const hasFailed = error !== null && !isCutOff;
      counts.delete(agentId);
      counts.set(agentId, {
        calls: calls + 1,
        answered: answered + Number(error === null),
        failed: failed + Number(hasFailed),
        lastError: hasFailed ? error : lastError,
      });
      if (counts.size > MOST_AGENTS) counts.delete(counts.keys().next().value!);
    },
    of: (agentId) => counts.get(agentId) ?? NONE,
  };
}
