import type { Dispatcher } from 'undici';
import type { Approach } from '../../agent.ts';
import { type About, type Meeting, meetOver, met } from '../meeting.ts';
import { failed, misshapen } from '../wire.ts';
import { connect, type McpWire, openMcpWire } from './connection.ts';
import { choosePlan, failureOf, knownPlan, listTools } from './mcp.ts';
import { mcpSettings } from './settings.ts';

/**
 * The handshake of a call without the call: `server/discover`, or `initialize` where a server is older. Asked about its
 * capabilities, it also finds the tool that texts would go to. Never throws.
 */
export function meetMcp(approach: Approach, http: Dispatcher, about: About): Promise<Meeting> {
  const wire = openMcpWire(approach, http);
  return meetOver(
    wire,
    () => shakeHands(approach, wire, about),
    (error) => failureOf(error, { wire, isIdempotent: false }),
  );
}

async function shakeHands(approach: Approach, wire: McpWire, about: About): Promise<Meeting['outcome']> {
  const settings = mcpSettings.safeParse(approach.agent.metadata);
  if (!settings.success) return misshapen(settings.error);
  const connection = await connect(approach, wire, settings.data, null);
  try {
    const { name = null, version = null } = connection.client.getServerVersion() ?? {};
    const era = connection.era.kind === 'legacy' ? 'a revision before 2026-07-28' : '2026-07-28';
    if (about === 'health') return met(`it speaks ${era}`, { name, version });
    const tools = await listTools(connection, wire);
    const plan = knownPlan(connection, settings.data) ?? choosePlan(tools, settings.data);
    if ('refusal' in plan) return failed('agent_contract', plan.refusal);
    const offers = tools.map((tool) => tool.name);
    return met(`it speaks ${era}; texts go to the tool ${plan.name.slice(0, 100)}`, { offers, name, version });
  } finally {
    void connection.release();
  }
}
