// Who can answer. The table is the truth; each process keeps a snapshot of it, so that choosing an agent costs no query.
import type { Sql } from '../database/pools.ts';
import type { AgentRegistryRow } from '../database/tables.ts';
import type { SecretBox } from '../security/secrets.ts';
import type { Agent, AgentStatus, Circuit, Protocol } from './agent.ts';
import { type HealthState, WELL } from './health.ts';
import { openSecrets, type SealedRow, type Secrets } from './sealed.ts';
import type { Probe } from './staged-probe/stages.ts';

type Row = Omit<AgentRegistryRow, keyof SealedRow> & {
  protocol: Protocol;
  status: AgentStatus;
  circuit: Circuit;
  metadata: Record<string, unknown>;
} & SealedRow;

function columns(row: Row) {
  return {
    id: row.id,
    name: row.name,
    type: row.type,
    protocol: row.protocol,
    endpointUrl: row.endpoint_url,
    capabilities: row.capabilities,
    status: row.status,
    healthScore: row.health_score,
    maxConcurrentSessions: row.max_concurrent_sessions,
    responseMs: row.response_ms,
    p95Ms: row.p95_ms,
    p99Ms: row.p99_ms,
    successRate: row.success_rate,
    consecutiveFailures: row.consecutive_failures,
    probeFailures: row.probe_failures,
    backoff: row.backoff,
    coolingUntil: row.cooling_until,
    accountId: row.account_id,
    isDraining: row.draining_since !== null,
    circuit: row.circuit,
    trickle: row.trickle,
    trialUntil: row.trial_until,
    lastFailureAt: row.last_failure_at,
  };
}

/** One agent with its secrets, disabled and deactivated ones too, its newest probe and when it was read; null when there is none. */
export async function openAgent(
  sql: Sql,
  box: SecretBox,
  agentId: string,
): Promise<{ readonly agent: Agent; readonly lastProbe: Probe | null; readonly readAt: Date } | null> {
  const [row] = await sql<(Row & { read_at: Date })[]>`
    select *, clock_timestamp() as read_at from agent_registry where id = ${agentId}`;
  if (!row) return null;
  const { plain } = openSecrets(box, row, null);
  const agent = { ...columns(row), ...plain, metadata: row.metadata, activeSessions: 0 };
  return { agent, lastProbe: row.last_probe as Probe | null, readAt: row.read_at };
}

export type Registry = {
  /** Agents of a type, as of the last look; `activeSessions` is live. */
  agents(type: string): readonly Agent[];
  find(agentId: string): Agent | null;
  /** Changes the snapshot ahead of the table: health that this process has just learned. */
  patch(agentId: string, health: Partial<HealthState & Pick<Agent, 'lastFailureAt'>>): void;
  /** Reads the table now. A failure leaves the last snapshot in place and rejects. */
  refresh(): Promise<void>;
  close(): Promise<void>;
};

/** What a patch may change: a whole agent may be given, whose `activeSessions` is not its own. */
const PATCHED = new Set([...Object.keys(WELL), 'lastFailureAt']);

/**
 * Opens the snapshot: reads once (and fails if that fails), then again every `refreshMs` and whenever an agent is
 * registered or changes health anywhere.
 */
export async function createRegistry(deps: {
  readonly sql: Sql;
  readonly secretBox: SecretBox;
  readonly refreshMs: number;
  /** Calls to an agent that are under way. */
  inUse(agentId: string): number;
  readonly onError: (error: unknown) => void;
}): Promise<Registry> {
  const { sql } = deps;
  const opened = new Map<string, Secrets>();
  let byId = new Map<string, Agent>();
  let byType = new Map<string, Agent[]>();
  let running: Promise<void> | null = null;
  let again: Promise<void> | null = null;
  let closed = false;

  const secretsOf = (row: Row): Secrets => {
    const secrets = openSecrets(deps.secretBox, row, opened.get(row.id) ?? null);
    opened.set(row.id, secrets);
    return secrets;
  };

  const toAgent = (row: Row): Agent | null => {
    try {
      return {
        ...columns(row),
        ...secretsOf(row).plain,
        metadata: row.metadata,
        get activeSessions() {
          return deps.inUse(row.id);
        },
      };
    } catch (error) {
      // One row that cannot be opened must not take every agent away.
      deps.onError(error);
      return null;
    }
  };

  const index = (agents: Iterable<Agent>): void => {
    byId = new Map();
    byType = new Map();
    for (const agent of agents) {
      byId.set(agent.id, agent);
      const same = byType.get(agent.type);
      if (same === undefined) byType.set(agent.type, [agent]);
      else same.push(agent);
    }
  };

  const read = async (): Promise<void> => {
    // Whom an operator has disabled is not even the last resort.
    const rows = await sql<Row[]>`
      select * from agent_registry where status <> 'deactivated' and disabled_at is null order by id`;
    index(rows.map(toAgent).filter((agent) => agent !== null));
  };

  /** At most one read runs and one waits: a caller gets a read that began after it asked. */
  const refresh = (): Promise<void> => {
    if (running === null) {
      running = read().finally(() => {
        running = null;
      });
      return running;
    }
    again ??= running
      .catch(() => undefined)
      .then(() => {
        again = null;
        return refresh();
      });
    return again;
  };

  const look = (): void => {
    if (!closed) refresh().catch(deps.onError);
  };

  await refresh();
  const listening = await sql.listen('agents_changed', look, look);
  const timer = setInterval(look, deps.refreshMs);
  timer.unref();

  return {
    agents: (type) => byType.get(type) ?? [],
    find: (agentId) => byId.get(agentId) ?? null,
    patch(agentId, health) {
      const agent = byId.get(agentId);
      if (agent === undefined) return;
      // Copying descriptors keeps `activeSessions` live, which a spread would freeze.
      const changed = Object.defineProperties({}, Object.getOwnPropertyDescriptors(agent)) as Agent;
      Object.assign(changed, Object.fromEntries(Object.entries(health).filter(([name]) => PATCHED.has(name))));
      byId.set(agentId, changed);
      const same = byType.get(agent.type);
      if (same !== undefined)
        byType.set(
          agent.type,
          same.map((other) => (other.id === agentId ? changed : other)),
        );
    },
    refresh,
    async close() {
      closed = true;
      clearInterval(timer);
      await listening.unlisten();
      await Promise.allSettled([running, again]);
    },
  };
}
