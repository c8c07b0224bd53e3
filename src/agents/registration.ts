// How an agent joins, and how its registration changes. Neither its key nor its signing secret can be read here again.
import { isDeepStrictEqual } from 'node:util';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { newId } from '../ids.ts';
import { assertReachableAddress, checkUrl, parseCidrs, type Resolve } from '../security/egress-rules.ts';
import { hashKey, newApiKey } from '../security/keys.ts';
import type { SecretBox } from '../security/secrets.ts';
import { newSigningSecret } from '../security/standard-webhooks.ts';
import type { Agent, Protocol } from './agent.ts';
import { WELL } from './health.ts';
import { settleSettings } from './protocols/settings.ts';
import type { Probe } from './staged-probe/stages.ts';

export const AGENT_KEY_PREFIX = 'dsp_agent_';

/** How long a key or secret holds on after it was replaced, unless told otherwise. */
export const KEEP_OLD_SECONDS = 86_400;

/** Somebody else's looks like one that is not there. */
export const noSuchAgent = () => new DarkspereError('not_found', 'There is no such agent, or it is not yours.');

export type NewAgent = {
  readonly name: string;
  readonly type: string;
  readonly protocol: Protocol;
  readonly endpointUrl: string;
  readonly capabilities: readonly string[];
  readonly maxConcurrentSessions: number;
  readonly version: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Bearer credential for the endpoint; sealed, never shown again. */
  readonly credential: string | null;
  /** Asked for this account's conversations alone; absent: for everybody's. */
  readonly accountId?: string | null;
  /** Absent: with the registration secret, which must not take the place of an agent that an operator has registered. */
  readonly registeredWith?: 'secret' | 'operator';
};

export type RegisterDeps = {
  readonly sql: Sql;
  readonly secretBox: SecretBox;
  readonly egressAllow: readonly string[];
  readonly resolve?: Resolve;
};

/**
 * Looks at an agent before it is kept, its address first; null: nobody has looked. `hasCredential`: it is there with what it will be
 * called with. Throws what is wrong with it.
 */
export type Look = (agent: Agent, hasCredential: boolean) => Promise<Probe | null>;

export type Registered = {
  readonly agentId: string;
  readonly apiKey: string;
  readonly signingSecret: string;
  /** False: it was known already, and its key and secret of before are another copy's now. */
  readonly isNew: boolean;
  readonly probe: Probe | null;
};

/**
 * Registers an agent after checking that its address may be called. The same name and type at the same address is the agent of
 * before that has started again: it keeps its id. Both secrets are shown here once: the key is kept as a hash, the signing secret
 * sealed. Throws `invalid_request` or `egress_denied` naming `endpoint_url`, or what `look` throws.
 */
export async function registerAgent(
  deps: RegisterDeps,
  input: NewAgent,
  look: Look = async () => null,
): Promise<Registered> {
  const { sql } = deps;
  const url = checkUrl(input.endpointUrl, parseCidrs(deps.egressAllow));
  const apiKey = newApiKey(AGENT_KEY_PREFIX);
  const signingSecret = newSigningSecret();
  const accountId = input.accountId ?? null;
  const agent = { ...input, id: newId(), endpointUrl: url.href };
  const probe = await look(asAgent(agent, signingSecret), true);
  if (probe === null) await assertPermitted(deps, url);
  const row = {
    id: agent.id,
    name: input.name,
    type: input.type,
    protocol: input.protocol,
    endpoint_url: url.href,
    capabilities: input.capabilities,
    max_concurrent_sessions: input.maxConcurrentSessions,
    version: input.version,
    metadata: input.metadata,
    account_id: accountId,
    registered_with: input.registeredWith ?? 'secret',
    probe,
  };
  const sealed = deps.secretBox.seal({ signingSecret, credential: input.credential });
  const [added] = await sql<{ agent_id: string; is_new: boolean }[]>`
    select agent_id, is_new from register_agent(${JSON.stringify(row)}::text::json, ${hashKey(apiKey)}, ${sealed},
      make_interval(secs => ${KEEP_OLD_SECONDS}))`;
  return { agentId: added!.agent_id, apiKey, signingSecret, isNew: added!.is_new, probe };
}

export type AgentChange = {
  readonly [Field in Exclude<keyof NewAgent, 'accountId' | 'credential' | 'registeredWith'>]?:
    | NewAgent[Field]
    | undefined;
} & {
  /** Absent: the one it has stays, as long as its host does; null: it has none any more. */
  readonly credential?: string | null | undefined;
};

type Current = {
  registered_with: string;
  name: string;
  type: string;
  protocol: Protocol;
  endpoint_url: string;
  capabilities: string[];
  max_concurrent_sessions: number;
  version: string | null;
  metadata: Record<string, unknown>;
};

/**
 * Changes what is named of a registration and nothing else. Another address or protocol is looked at first. Which numbers an agent
 * answers follows from its name, type and capabilities, so where an operator gave them it cannot change them by itself. Throws what
 * `registerAgent` throws, `not_found`, or `conflict` when somebody else changed the same things meanwhile.
 */
export async function updateAgent(
  deps: RegisterDeps,
  agentId: string,
  change: AgentChange,
  { by, look = async () => null }: { readonly by: 'operator' | 'itself'; readonly look?: Look },
): Promise<{ readonly probe: Probe | null }> {
  const { sql } = deps;
  const [now] = await sql<Current[]>`
    select registered_with, name, type, protocol, endpoint_url, capabilities, max_concurrent_sessions, version, metadata
    from agent_registry where id = ${agentId} and status <> 'deactivated'`;
  if (!now) throw noSuchAgent();
  if (by === 'itself' && now.registered_with === 'operator') refuseOtherRole(now, change);
  const url = change.endpointUrl === undefined ? null : checkUrl(change.endpointUrl, parseCidrs(deps.egressAllow));
  // Else whoever has the agent's key could have the credential sent to a host of theirs.
  const leavesHost = url !== null && url.origin !== new URL(now.endpoint_url).origin;
  const newCredential = change.credential ?? (leavesHost ? null : change.credential);
  const changesSettings = change.protocol !== undefined || change.metadata !== undefined;
  const settled = changesSettings
    ? settleSettings(change.protocol ?? now.protocol, change.metadata ?? now.metadata)
    : { protocol: now.protocol, metadata: now.metadata };
  const next = {
    name: change.name ?? now.name,
    type: change.type ?? now.type,
    protocol: settled.protocol,
    endpointUrl: url?.href ?? now.endpoint_url,
    capabilities: change.capabilities ?? now.capabilities,
    maxConcurrentSessions: change.maxConcurrentSessions ?? now.max_concurrent_sessions,
    version: change.version === undefined ? now.version : change.version,
    metadata: settled.metadata,
    credential: newCredential ?? null,
  };
  const isElsewhere = next.endpointUrl !== now.endpoint_url || next.protocol !== now.protocol;
  const probe = isElsewhere ? await look(asAgent({ ...next, id: agentId }, null), newCredential !== undefined) : null;
  if (probe === null && url !== null) await assertPermitted(deps, url);
  const credential = newCredential === undefined ? null : deps.secretBox.seal({ credential: newCredential });
  const changed = await sql`
    with changed as (
      update agent_registry set name = ${next.name}, type = ${next.type}, protocol = ${next.protocol},
        endpoint_url = ${next.endpointUrl}, capabilities = ${[...next.capabilities]},
        max_concurrent_sessions = ${next.maxConcurrentSessions}, version = ${next.version},
        metadata = ${sql.json(next.metadata as never)},
        ${credential === null ? sql`` : sql`credential = ${credential},`}
        ${probe === null ? sql`` : sql`last_probe = ${sql.json(probe as never)},`}
        updated_at = now()
      where id = ${agentId} and status <> 'deactivated' and protocol = ${now.protocol}
        and endpoint_url = ${now.endpoint_url} and metadata = ${sql.json(now.metadata as never)}
      returning id
    )
    select pg_notify('agents_changed', id::text) from changed`;
  if (changed.length === 0)
    throw new DarkspereError(
      'conflict',
      'The agent was changed by somebody else at the same time. Read it and try again.',
    );
  return { probe };
}

/** Throws `invalid_request` naming what an operator gave and the agent would change; what stays as it is passes. */
function refuseOtherRole(now: Current, { name, type, capabilities }: AgentChange): void {
  const isSame = {
    agent_name: name === undefined || name === now.name,
    agent_type: type === undefined || type === now.type,
    capabilities: capabilities === undefined || isDeepStrictEqual(new Set(capabilities), new Set(now.capabilities)),
  };
  for (const [param, same] of Object.entries(isSame)) {
    if (same) continue;
    throw new DarkspereError(
      'invalid_request',
      `${param} is what an operator registered, and only an operator changes it. Send it as it is, or leave it out.`,
      { param },
    );
  }
}

/** What the first stage of a probe sees to otherwise. */
function assertPermitted({ egressAllow, resolve }: RegisterDeps, url: URL): Promise<void> {
  return assertReachableAddress(url, parseCidrs(egressAllow), resolve);
}

/** What is registered, as calls see it. Without a secret nothing that it signs can be right. */
function asAgent(input: NewAgent & { readonly id: string }, signingSecret: string | null): Agent {
  return {
    ...input,
    ...WELL,
    callsInProgress: 0,
    responseMs: 0,
    p99Ms: null,
    lastFailureAt: null,
    signingSecret: signingSecret ?? '',
  };
}
