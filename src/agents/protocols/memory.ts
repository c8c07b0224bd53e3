// What earlier calls have taught about agents: which protocol a server speaks, which tool is its chat, what an agent's card
// says. It saves requests, expires, and is dropped as soon as an agent says otherwise.
import type { Agent } from '../agent.ts';

/** A server that was upgraded goes on answering in the old way, so nobody would ever notice without an expiry. */
const KEPT_MS = 5 * 60_000;
const MOST_AGENTS = 1_000;

export type AgentMemory<T> = {
  recall(agent: Agent): T | null;
  keep(agent: Agent, known: T): void;
  forget(agent: Agent): void;
};

export function createMemory<T>(nowMs: () => number = () => performance.now()): AgentMemory<T> {
  const agents = new Map<string, { known: T; untilMs: number }>();
  return {
    recall(agent) {
      const entry = agents.get(keyOf(agent));
      return entry !== undefined && entry.untilMs > nowMs() ? entry.known : null;
    },
    keep(agent, known) {
      const key = keyOf(agent);
      agents.delete(key);
      agents.set(key, { known, untilMs: nowMs() + KEPT_MS });
      // The oldest goes first: a Map keeps the order of insertion.
      if (agents.size > MOST_AGENTS) for (const oldest of agents.keys()) return void agents.delete(oldest);
    },
    forget: (agent) => void agents.delete(keyOf(agent)),
  };
}

/** Another address or other settings are another agent. */
function keyOf(agent: Agent): string {
  return JSON.stringify([agent.id, agent.endpointUrl, agent.metadata]);
}
