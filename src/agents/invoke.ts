import type { Dispatcher } from 'undici';
import type { AgentCall, AgentResult, Protocol } from './agent.ts';
import type { AgentCard } from './protocols/a2a/client.ts';
import { callEnvelope } from './protocols/envelope.ts';
import type { KnownServer } from './protocols/mcp/mcp.ts';
import { createMemory } from './protocols/memory.ts';
import type { TokensField } from './protocols/openai/chat-completions.ts';
import { callOpenai } from './protocols/openai/openai.ts';
import { callWebhook } from './protocols/webhook.ts';

/** One attempt at one agent over its protocol: no retry, no failover, never throws. */
export type InvokeAgent = (call: AgentCall) => Promise<AgentResult>;

/** Calls agents through `http`; keeps what calls have taught about their servers. */
export function createInvoke(http: Dispatcher): InvokeAgent {
  const mcpServers = createMemory<KnownServer>();
  const cards = createMemory<AgentCard>();
  const tokensFields = createMemory<TokensField>();
  const callers: Readonly<Record<Protocol, InvokeAgent>> = {
    envelope: (call) => callEnvelope(call, http),
    openai: (call) => callOpenai(call, http, tokensFields),
    // Their libraries cost a third of a second and 35 MB, which only those pay who have such an agent, with its first call.
    mcp: async (call) => (await import('./protocols/mcp/mcp.ts')).callMcp(call, http, mcpServers),
    a2a: async (call) => (await import('./protocols/a2a/a2a.ts')).callA2a(call, http, cards),
    webhook: (call) => callWebhook(call, http),
  };
  return (call) => callers[call.agent.protocol](call);
}
