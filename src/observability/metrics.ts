// Prometheus metrics, one registry per process. Labels are small closed sets: never a phone number, a conversation or an
// address chosen by somebody else.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type Metrics = ReturnType<typeof createMetrics>;

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    textsIn: new Counter({
      name: 'darkspere_texts_in_total',
      help: 'Authentic inbound texts, by what became of the webhook.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    webhooksRejected: new Counter({
      name: 'darkspere_webhooks_rejected_total',
      help: 'Webhooks refused before they were stored, by error code.',
      labelNames: ['code'] as const,
      registers,
    }),
    ingestSeconds: new Histogram({
      name: 'darkspere_ingest_seconds',
      help: 'From an authentic webhook to its commit, or to its fsync in the spool.',
      buckets: SECONDS,
      registers,
    }),
    spoolRecords: new Gauge({
      name: 'darkspere_spool_records',
      help: 'Texts and callbacks that wait on disk for the database.',
      registers,
    }),
    spoolBytes: new Gauge({ name: 'darkspere_spool_bytes', help: 'What they take on disk.', registers }),
    spoolDrained: new Counter({
      name: 'darkspere_spool_drained_total',
      help: 'Spooled texts and callbacks brought to the database.',
      registers,
    }),
    spoolRefused: new Counter({
      name: 'darkspere_spool_refused_total',
      help: 'Texts and callbacks the spool could not take: full, or the disk failed.',
      registers,
    }),
    turns: new Counter({
      name: 'darkspere_turns_total',
      help: 'Turns ended, by state.',
      labelNames: ['state'] as const,
      registers,
    }),
    turnSeconds: new Histogram({
      name: 'darkspere_turn_seconds',
      help: 'From the start of a turn to its commit, agent time included.',
      buckets: SECONDS,
      registers,
    }),
    agentSeconds: new Histogram({
      name: 'darkspere_agent_call_seconds',
      help: 'One agent call, by protocol and outcome (ok or the error code).',
      labelNames: ['protocol', 'outcome'] as const,
      buckets: SECONDS,
      registers,
    }),
    mcpCalls: new Counter({
      name: 'darkspere_mcp_calls_total',
      help: 'Calls of our tools over MCP, by tool and outcome (ok or the error code).',
      labelNames: ['tool', 'outcome'] as const,
      registers,
    }),
    sends: new Counter({
      name: 'darkspere_sends_total',
      help: 'Parts handed to the carrier, by outcome.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    carrierTrouble: new Gauge({
      name: 'darkspere_carrier_trouble',
      help: 'What stands in the way of every text, by this worker’s last try: unreachable, busy, setup (an operator has to act).',
      labelNames: ['kind'] as const,
      registers,
    }),
    partsExpired: new Counter({
      name: 'darkspere_parts_expired_total',
      help: 'Parts that were in line until they were worth nothing any more, and were not sent.',
      registers,
    }),
    statuses: new Counter({
      name: 'darkspere_delivery_callbacks_total',
      help: 'Delivery callbacks, by what they changed.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    turnsHeld: new Gauge({ name: 'darkspere_turns_held', help: 'Turns this worker holds now.', registers }),
    conversationsHeld: new Counter({
      name: 'darkspere_conversations_held_total',
      help: 'Conversations held because they went round too fast: machines that answer each other, floods.',
      registers,
    }),
    poolsRescued: new Counter({
      name: 'darkspere_dead_pools_total',
      help: 'Worker pools found dead, whose jobs were given back.',
      registers,
    }),
  };
}
