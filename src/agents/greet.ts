import type { Dispatcher } from 'undici';
import type { AgentCall, Protocol } from './agent.ts';
import { greetEnvelope } from './protocols/envelope-greeting.ts';
import type { Greeting } from './protocols/greeting.ts';
import { greetOpenai } from './protocols/openai/model-list.ts';

/** Asks an agent over its protocol whether it is what it was registered as, without giving it any work. Never throws. */
export function greet(call: AgentCall, http: Dispatcher): Promise<Greeting> {
  return GREETERS[call.agent.protocol](call, http);
}

const GREETERS: Readonly<Record<Protocol, (call: AgentCall, http: Dispatcher) => Promise<Greeting>>> = {
  envelope: greetEnvelope,
  openai: greetOpenai,
  mcp: async (call, http) => (await import('./protocols/mcp/mcp.ts')).greetMcp(call, http),
  a2a: async (call, http) => (await import('./protocols/a2a/a2a.ts')).greetA2a(call, http),
  webhook: async () => ({ outcome: { kind: 'none', detail: 'a webhook has no greeting' }, status: null }),
};
