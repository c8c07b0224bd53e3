// Asking an agent how it is, without a person's text: what each protocol has for that.
import type { Dispatcher } from 'undici';
import type { Agent, Deadlines, Protocol } from './agent.ts';
import { probeEnvelope } from './protocols/envelope-probe.ts';
import { probeOpenai } from './protocols/openai/openai.ts';
import { type Finding, type Probing, UNKNOWN } from './protocols/probing.ts';
import { probeWebhook } from './protocols/webhook.ts';

export type { Finding } from './protocols/probing.ts';

/** One probe. Never throws; takes `deadlines.totalMs` at most. */
export type ProbeAgent = (agent: Agent, deadlines: Deadlines, signal: AbortSignal) => Promise<Finding>;

const PROBES: Readonly<Record<Protocol, (probing: Probing) => Promise<Finding>>> = {
  envelope: probeEnvelope,
  openai: probeOpenai,
  webhook: probeWebhook,
  mcp: async (probing) => (await import('./protocols/mcp/probe.ts')).probeMcp(probing),
  a2a: async (probing) => (await import('./protocols/a2a/probe.ts')).probeA2a(probing),
};

/** Probes agents through `http`. */
export function createProbe(http: Dispatcher): ProbeAgent {
  return async (agent, deadlines, signal) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(deadlines.totalMs)]);
    const finding = await PROBES[agent.protocol]({ agent, http, deadlines, signal: limit });
    // What was cut off by our own stop says nothing.
    return signal.aborted
      ? UNKNOWN
      : finding.code === 'agent_cancelled'
        ? { ...finding, code: 'agent_timeout' }
        : finding;
  };
}
