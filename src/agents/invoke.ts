import type { Dispatcher } from 'undici';
import type { AgentCall, AgentResult, Protocol } from './agent.ts';
import { type AgentCard, callA2a } from './protocols/a2a/a2a.ts';
import { callEnvelope } from './protocols/envelope.ts';
import { callMcp, type KnownServer } from './protocols/mcp/mcp.ts';
import { createMemory } from './protocols/memory.ts';
import { callOpenai } from './protocols/openai/openai.ts';
import { callWebhook } from './protocols/webhook.ts';

/** One attempt at one agent over its protocol: no retry, no failover, never throws. */
export type InvokeAgent = (call: AgentCall) => Promise<AgentResult>;

/** Calls agents through `http`; keeps what calls have taught about their servers. */
export function createInvoke(http: Dispatcher): InvokeAgent {
  const mcpServers = createMemory<KnownServer>();
  const cards = createMemory<AgentCard>();
  const callers: Readonly<Record<Protocol, InvokeAgent>> = {
    envelope: (call) => callEnvelope(call, http),
    openai: (call) => callOpenai(call, http),
    mcp: (call) => callMcp(call, http, mcpServers),
    a2a: (call) => callA2a(call, http, cards),
    webhook: (call) => callWebhook(call, http),
  };
  return (call) => callers[call.agent.protocol](call);
}
