// A probe on request. Workers make it: they alone read agents' secrets, and it is from where they are that agents must be reached.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../../database/pools.ts';
import { DarkspereError } from '../../errors.ts';
import type { SecretBox } from '../../security/secrets.ts';
import { openAgent } from '../registry.ts';
import { OPERATOR_LIMITS, type ProbeAgent } from './probe.ts';
import type { Depth, Probe } from './stages.ts';

export type StagedProbePayload = {
  readonly agent: string;
  readonly depth: Depth;
  /** When it was asked for; absent: now. */
  readonly at?: string;
};

const LOOK_EVERY_MS = 100;
/** What a probe may take, and the job before it. */
const WAIT_MS = OPERATOR_LIMITS.totalMs + 5_000;

/** Probes an agent and waits for the result. Throws `not_found`, or `probe_unanswered` when no worker has done it. */
export async function requestProbe(sql: Sql, agentId: string, depth: Depth, waitMs: number = WAIT_MS): Promise<Probe> {
  const [asked] = await sql<{ at: Date | null }[]>`select request_probe(${agentId}, ${depth}) as at`;
  if (!asked?.at) throw new DarkspereError('not_found', 'There is no such agent.');
  const endsAtMs = performance.now() + waitMs;
  while (performance.now() < endsAtMs) {
    await sleep(LOOK_EVERY_MS);
    const [row] = await sql<{ last_probe: Probe | null }[]>`
      select last_probe from agent_registry where id = ${agentId}`;
    if (row?.last_probe && isAnswer(row.last_probe, asked.at, depth)) return row.last_probe;
  }
  throw new DarkspereError('probe_unanswered');
}

/** Probes an agent here and keeps what was found; null when there is no such agent. */
export async function probeNow(
  deps: { readonly sql: Sql; readonly secretBox: SecretBox; readonly probe: ProbeAgent },
  { agent: agentId, depth, at }: StagedProbePayload,
  signal?: AbortSignal,
): Promise<Probe | null> {
  const { sql } = deps;
  const opened = await openAgent(sql, deps.secretBox, agentId);
  if (opened === null) return null;
  // Several who ask at the same time need one probe.
  const { lastProbe } = opened;
  if (lastProbe !== null && at !== undefined && isAnswer(lastProbe, new Date(at), depth)) return lastProbe;
  const found = await deps.probe(opened.agent, {
    depth,
    limits: OPERATOR_LIMITS,
    isKnownThere: true,
    forgivesSlowness: false,
    ...(signal === undefined ? {} : { signal }),
  });
  // The database's clock, which the one who asked goes by.
  const probe = { ...found, at: opened.readAt.toISOString() };
  await sql`update agent_registry set last_probe = ${sql.json(probe as never)} where id = ${agentId}`;
  return probe;
}

/** It began after it was asked for, and went as far. */
function isAnswer(probe: Probe, askedAt: Date, depth: Depth): boolean {
  return Date.parse(probe.at) >= askedAt.getTime() && (probe.depth === depth || probe.depth === 'full');
}
