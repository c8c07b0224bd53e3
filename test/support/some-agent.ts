import type { Agent } from '../../src/agents/agent.ts';
import { WELL } from '../../src/agents/health.ts';

/** An agent in full health that nobody has called, for what decides without a database. */
export function someAgent(id: string, more: Partial<Agent> = {}): Agent {
  return {
    ...WELL,
    id,
    name: id,
    type: 'chat',
    protocol: 'envelope',
    endpointUrl: 'https://agent.example/',
    capabilities: [],
    maxConcurrentSessions: 10,
    callsInProgress: 0,
    responseMs: 100,
    p99Ms: null,
    lastFailureAt: null,
    signingSecret: 'whsec_',
    credential: null,
    metadata: {},
    ...more,
  };
}
