// What is known of MCP servers from earlier calls: which protocol they speak and which tool is their chat. It saves two or
// three requests per call, expires, and is dropped as soon as a server says otherwise.
import type { PriorDiscovery, Tool } from '@modelcontextprotocol/client';
import type { Agent } from '../../agent.ts';
import type { Plan } from './tool-choice.ts';

export type Known = { readonly era: PriorDiscovery; readonly plan: Plan<Tool> };

/** A server that was upgraded goes on answering in the old way, so nobody would ever notice without an expiry. */
const KEPT_MS = 5 * 60_000;
const MOST_SERVERS = 1_000;

export type McpMemory = {
  recall(agent: Agent): Known | null;
  keep(agent: Agent, known: Known): void;
  forget(agent: Agent): void;
};

export function createMcpMemory(nowMs: () => number = () => performance.now()): McpMemory {
  const servers = new Map<string, { known: Known; untilMs: number }>();
  return {
    recall(agent) {
      const entry = servers.get(keyOf(agent));
      return entry !== undefined && entry.untilMs > nowMs() ? entry.known : null;
    },
    keep(agent, known) {
      const key = keyOf(agent);
      servers.delete(key);
      servers.set(key, { known, untilMs: nowMs() + KEPT_MS });
      // The oldest goes first: a Map keeps the order of insertion.
      if (servers.size > MOST_SERVERS) for (const oldest of servers.keys()) return void servers.delete(oldest);
    },
    forget: (agent) => void servers.delete(keyOf(agent)),
  };
}

/** Another address or other settings are another server. */
function keyOf(agent: Agent): string {
  return JSON.stringify([agent.id, agent.endpointUrl, agent.metadata]);
}
