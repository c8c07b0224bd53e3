// The `probe` job: one agent is looked at, by one process at a time, and its next probe is planned. What calls say outranks it: while
// an agent answers people nobody has to ask it how it is.
import { now } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import type { ErrorCode } from '../errors.ts';
import type { Agent, Deadlines, Protocol } from './agent.ts';
import { CALL_OUTRANKS_MS, type HealthRecorder } from './health-recorder.ts';
import type { Meet } from './meet.ts';
import type { Meeting } from './protocols/meeting.ts';
import type { Registry } from './registry.ts';

export type ProbePayload = { readonly agent: string };

export type Prober = {
  run(payload: ProbePayload): Promise<void>;
  /** Plans probes for agents that have none. */
  ensure(): Promise<void>;
  /** Cuts off what is under way. */
  stop(): void;
};

/** What a meeting says of health. unknown: the agent answers, and has no way to say how it is. */
export type Finding = {
  readonly outcome: 'up' | 'down' | 'unknown';
  readonly code: ErrorCode | null;
  /** What the agent says of its own load, 0–1. */
  readonly load: number | null;
};

const DEADLINES: Deadlines = { connectMs: 3_000, firstByteMs: 5_000, totalMs: 8_000 };
/** A probe that was begun holds off others for this long, unless its process dies before. */
const LEASE_SECONDS = 15;
/** An agent that cannot say how it is, is asked less often: some take every request for a question of a person. */
const UNKNOWN_TIMES = 10;
const FIRST_RETRY_MS = 2_000;
const JITTER = 0.2;
/** Their question is no part of a call: an odd answer to it does not show that calls fail, and three bad probes disable an agent. */
const ASKED_BESIDE: ReadonlySet<Protocol> = new Set(['envelope', 'openai', 'webhook']);

export function createProber(deps: {
  readonly sql: Sql;
  readonly poolId: string;
  readonly registry: Pick<Registry, 'find' | 'findFresh'>;
  readonly health: HealthRecorder;
  readonly meet: Meet;
  /** Between probes of an agent that is well, milliseconds. */
  readonly intervalMs: number;
}): Prober {
  const { sql, poolId, registry, intervalMs } = deps;
  const shutdown = new AbortController();

  async function look(agent: Agent): Promise<{ finding: Finding | null; durationMs: number }> {
    const [row] = await sql<{ is_answering: boolean }[]>`
      select consecutive_failures = 0 and probe_failures = 0
        and last_success_at > clock_timestamp() - ${CALL_OUTRANKS_MS} * interval '1 millisecond' as is_answering
      from agent_registry where id = ${agent.id}`;
    if (row?.is_answering) return { finding: null, durationMs: 0 };
    const startedAt = now();
    const startedMs = performance.now();
    const meeting = await deps.meet({ agent, deadlines: DEADLINES, signal: shutdown.signal }, 'health');
    // What our own stop has cut off says nothing.
    shutdown.signal.throwIfAborted();
    const durationMs = performance.now() - startedMs;
    const finding = findingOf(agent, meeting, durationMs);
    // Who cannot say how it is has answered at least: it is not gone.
    await deps.health.recordProbe(agent.id, finding.outcome !== 'down', startedAt);
    return { finding, durationMs };
  }

  /** Sooner after failures: 2, 4, 8 s … up to the interval. */
  function nextMs(agentId: string, finding: Finding | null): number {
    const agent = registry.find(agentId);
    const failures = agent === null ? 0 : Math.max(agent.consecutiveFailures, agent.probeFailures);
    const calm = finding?.outcome === 'unknown' ? intervalMs * UNKNOWN_TIMES : intervalMs;
    const ms = failures === 0 ? calm : Math.min(intervalMs, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10));
    return ms * (1 - JITTER + Math.random() * 2 * JITTER);
  }

  return {
    async run({ agent: agentId }) {
      const [taken] = await sql<{ is: boolean }[]>`
        select begin_probe(${agentId}, ${poolId}, ${LEASE_SECONDS} * interval '1 second') as is`;
      if (!taken!.is) return;
      const agent = await registry.findFresh(agentId);
      if (agent === null) return;
      const { finding, durationMs } = await look(agent);
      const nextAt = new Date(now().getTime() + nextMs(agentId, finding));
      await sql`
        select end_probe(${agentId}, ${poolId}, ${finding?.outcome ?? null}, ${finding?.code ?? null}, ${durationMs},
          ${finding?.load ?? null}, ${nextAt})`;
    },
    async ensure() {
      await sql`select ensure_probes(${intervalMs} * interval '1 millisecond')`;
    },
    stop() {
      shutdown.abort();
    },
  };
}

/** What a meeting about its health, which took so long, says of an agent. */
export function findingOf(
  { protocol, responseMs }: Pick<Agent, 'protocol' | 'responseMs'>,
  { outcome, status }: Meeting,
  durationMs: number,
): Finding {
  if (outcome.kind === 'met') return { outcome: 'up', code: null, load: outcome.load };
  if (outcome.kind === 'none') return { outcome: 'unknown', code: null, load: null };
  const { code } = outcome;
  // An agent at its limit lives.
  if (code === 'agent_busy') return { outcome: 'up', code: null, load: null };
  const isOdd = code === 'agent_contract' && status !== null;
  if (isOdd && ASKED_BESIDE.has(protocol)) return { outcome: 'unknown', code: null, load: null };
  // It took the connection, or it would have been given up sooner. One that takes the question for a person's thinks about it, and may
  // well think for longer than a probe waits.
  const isThinking = code === 'agent_timeout' && durationMs >= DEADLINES.firstByteMs;
  if (isThinking && protocol === 'envelope' && 2 * responseMs > DEADLINES.firstByteMs)
    return { outcome: 'unknown', code: null, load: null };
  return { outcome: 'down', code, load: null };
}
