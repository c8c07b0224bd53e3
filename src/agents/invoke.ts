import type { Dispatcher } from 'undici';
import type { AgentCall, AgentResult, Protocol } from './agent.ts';
import { callEnvelope } from './protocols/envelope.ts';
import { callMcp } from './protocols/mcp/mcp.ts';
import { createMcpMemory } from './protocols/mcp/memory.ts';
import { callOpenai } from './protocols/openai.ts';

/** One attempt at one agent over its protocol: no retry, no failover, never throws. */
export type InvokeAgent = (call: AgentCall) => Promise<AgentResult>;

/** Calls agents through `http`; keeps what calls have taught about their servers. */
export function createInvoke(http: Dispatcher): InvokeAgent {
  const mcpServers = createMcpMemory();
  const callers: Readonly<Record<Protocol, InvokeAgent>> = {
    envelope: (call) => callEnvelope(call, http),
    openai: (call) => callOpenai(call, http),
    mcp: (call) => callMcp(call, http, mcpServers),
  };
  return (call) => callers[call.agent.protocol](call);
}
