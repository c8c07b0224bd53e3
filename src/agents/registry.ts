// Who can answer. The table is the truth; each process keeps a snapshot of it, so that choosing an agent costs no query.
import { type Sql, stopListening } from '../database/pools.ts';
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

/** Agents with what their further copies hold. */
function withCopies(sql: Sql) {
  return sql`agent_registry left join (
    select agent_id, json_agg(encode(signing_secret, 'base64') order by id) as secrets, string_agg(id::text, ' ' order by id) as version
    from agent_copies where valid_until > clock_timestamp() group by agent_id
  ) held on held.agent_id = agent_registry.id`;
}

/** Of a row as it is read here: it also changes when an old signing secret runs out, or a copy's, which nobody writes. */
function versionOf(sql: Sql) {
  return sql`agent_registry.xmin::text || case when old_secret_until > clock_timestamp() then '+' else '' end
    || coalesce(held.version, '')`;
}

/** All of a row, in the shape of Row. */
function columnsOf(sql: Sql) {
  return sql`agent_registry.*, coalesce(held.secrets, '[]') as copies`;
}

/** One agent with its secrets, disabled and deactivated ones too, its newest probe and when it was read; null when there is none. */
export async function openAgent(
  sql: Sql,
  box: SecretBox,
  agentId: string,
): Promise<{ readonly agent: Agent; readonly lastProbe: Probe | null; readonly readAt: Date } | null> {
  const [row] = await sql<(Row & { read_at: Date })[]>`
    select ${columnsOf(sql)}, clock_timestamp() as read_at from ${withCopies(sql)} where id = ${agentId}`;
  if (!row) return null;
  const { plain } = openSecrets(box, row, null);
  const agent = { ...columns(row), ...plain, metadata: row.metadata, callsInProgress: 0 };
  return { agent, lastProbe: row.last_probe as Probe | null, readAt: row.read_at };
}

export type Registry = {
  /** Agents of a type, as of the last look; `callsInProgress` is live. */
  agents(type: string): readonly Agent[];
  find(agentId: string): Agent | null;
  /** Also one that has registered since the last look: one that is not there is looked for in the table. Rejects as `refresh` does. */
  findFresh(agentId: string): Promise<Agent | null>;
  /** Changes the snapshot ahead of the table: health that this process has just learned. */
  patch(agentId: string, health: Partial<HealthState & Pick<Agent, 'lastFailureAt'>>): void;
  /** Reads the table now. A failure leaves the last snapshot in place and rejects. */
  refresh(): Promise<void>;
  close(): Promise<void>;
};

/** What a patch may change: a whole agent may be given, whose `callsInProgress` is not its own. */
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
  /** Which version of its row each agent was read from; one that was patched since has none. */
  const versions = new Map<string, string>();
  const byId = new Map<string, Agent>();
  let byType = new Map<string, Agent[]>();
  let running: Promise<void> | null = null;
  let again: Promise<void> | null = null;
  let closed = false;

  const secretsOf = (row: Row): Secrets => {
    const secrets = openSecrets(deps.secretBox, row, opened.get(row.id) ?? null);
    opened.set(row.id, secrets);
    return secrets;
  };

  // One getter for all: with one each, every agent would have a shape of its own, and choosing among a thousand took ten times as
  // long (bench/route).
  const live = {
    get callsInProgress(): number {
      return deps.inUse((this as unknown as Agent).id);
    },
  };
  const agentOf = (fields: Omit<Agent, 'callsInProgress'>): Agent => Object.assign(Object.create(live), fields);

  const toAgent = (row: Row): Agent | null => {
    try {
      return agentOf({ ...columns(row), ...secretsOf(row).plain, metadata: row.metadata });
    } catch (error) {
      // One row that cannot be opened must not take every agent away.
      deps.onError(error);
      return null;
    }
  };

  const index = (): void => {
    byType = Map.groupBy(
      [...byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      (agent) => agent.type,
    );
  };

  /** Reads what has changed: a thousand rows, a hundred times while somebody is in trouble, would keep a process busy with nothing else. */
  const read = async (): Promise<void> => {
    // Whom an operator has disabled is not even the last resort.
    const [row] = await sql<{ versions: Record<string, string> | null }[]>`
      select json_object_agg(id, ${versionOf(sql)}) as versions from ${withCopies(sql)}
      where status <> 'deactivated' and disabled_at is null`;
    const there = row!.versions ?? {};
    const stale = Object.keys(there).filter((id) => versions.get(id) !== there[id]);
    const gone = [...byId.keys()].filter((id) => there[id] === undefined);
    const rows =
      stale.length === 0
        ? []
        : await sql<(Row & { row_version: string })[]>`
            select ${columnsOf(sql)}, ${versionOf(sql)} as row_version from ${withCopies(sql)}
            where status <> 'deactivated' and disabled_at is null and id = any (${stale}::uuid[])`;
    for (const id of gone) {
      byId.delete(id);
      versions.delete(id);
    }
    for (const changed of rows) {
      versions.set(changed.id, changed.row_version);
      const agent = toAgent(changed);
      if (agent === null) byId.delete(changed.id);
      else byId.set(agent.id, agent);
    }
    if (rows.length > 0 || gone.length > 0) index();
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

  const find = (agentId: string): Agent | null => byId.get(agentId) ?? null;

  await refresh();
  const listening = await sql.listen('agents_changed', look, look);
  const timer = setInterval(look, deps.refreshMs);
  timer.unref();

  return {
    agents: (type) => byType.get(type) ?? [],
    find,
    async findFresh(agentId) {
      if (!byId.has(agentId)) await refresh();
      return find(agentId);
    },
    patch(agentId, health) {
      const agent = byId.get(agentId);
      if (agent === undefined) return;
      const news = Object.fromEntries(Object.entries(health).filter(([name]) => PATCHED.has(name)));
      const changed = agentOf({ ...agent, ...news });
      byId.set(agentId, changed);
      versions.delete(agentId);
      const same = byType.get(agent.type) ?? [];
      byType.set(
        agent.type,
        same.map((other) => (other.id === agentId ? changed : other)),
      );
    },
    refresh,
    async close() {
      closed = true;
      clearInterval(timer);
      stopListening(listening);
      await Promise.allSettled([running, again]);
    },
  };
}
