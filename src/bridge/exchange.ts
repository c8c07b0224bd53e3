// What is kept of a call. The callers have taken secrets out; here the outcome becomes a row.
import type { AgentResult } from '../agents/agent.ts';
import type { CallRecord, SendOutcome } from '../channels/channel.ts';
import { storable } from '../text.ts';
import type { Exchange } from './store.ts';

export function agentExchange(agentId: string, attempt: number, { outcome, exchange }: AgentResult): Exchange {
  return {
    kind: 'agent',
    agent_id: agentId,
    attempt,
    outcome: outcome.kind,
    error_code: outcome.kind === 'failed' ? outcome.code : null,
    ...wire(exchange),
  };
}

export function sendExchange(attempt: number, outcome: SendOutcome, call: CallRecord): Exchange {
  return {
    kind: 'send',
    agent_id: null,
    attempt,
    outcome: outcome.kind,
    error_code: outcome.kind === 'refused' ? outcome.code : null,
    ...wire(call),
  };
}

function wire(call: CallRecord) {
  return {
    target: call.target,
    http_status: call.status,
    // jsonb-free text columns still refuse NUL; an answer cut in the middle of a character must not break the batch.
    request: storable(call.request),
    response: storable(call.response),
    started_at: call.startedAt,
    duration_ms: call.durationMs,
  };
}
