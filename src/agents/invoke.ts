import type { Dispatcher } from 'undici';
import type { AgentCall, AgentResult, Protocol } from './agent.ts';
import { callEnvelope } from './protocols/envelope.ts';
import { callOpenai } from './protocols/openai.ts';

const CALLERS: Readonly<Record<Protocol, (call: AgentCall, http: Dispatcher) => Promise<AgentResult>>> = {
  envelope: callEnvelope,
  openai: callOpenai,
};

/** One attempt at one agent over its protocol: no retry, no failover, never throws. */
export function invokeAgent(call: AgentCall, http: Dispatcher): Promise<AgentResult> {
  return CALLERS[call.agent.protocol](call, http);
}
