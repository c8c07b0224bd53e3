// Registrations and changes as they come in bodies, from agents and from operators alike.
import type { z } from 'zod';
import { settleSettings } from '../../agents/protocols/settings.ts';
import {
  type AgentChange,
  type Look,
  type NewAgent,
  type RegisterDeps,
  type Registered,
  registerAgent,
  updateAgent,
} from '../../agents/registration.ts';
import { type ProbeAgent, probeFailed, REGISTRATION_LIMITS } from '../../agents/staged-probe/probe.ts';
import type { Depth, Probe } from '../../agents/staged-probe/stages.ts';
import { DarkspereError } from '../../errors.ts';
import type { Principal } from '../../security/principal.ts';
import { unstorable } from '../body.ts';
import type { AgentChangeBody, NewAgentBody } from '../contract/agents.ts';

const MAX_METADATA_BYTES = 8_192;
const MAX_METADATA_DEPTH = 10;

export type AgentDeps = RegisterDeps & { readonly probe: ProbeAgent };

/** Registers what the body says, after a probe. Throws what the probe or `registerAgent` finds wrong. */
export async function registerFrom(
  deps: AgentDeps,
  body: z.output<typeof NewAgentBody>,
  probe: Depth | 'skip',
  /** Who registers it; null: somebody with the registration secret. */
  by: Principal | null,
): Promise<Registered> {
  const { credential, rest } = readMetadata(body.metadata);
  const { protocol, metadata } = settleSettings(body.protocol ?? null, rest);
  const agent: NewAgent = {
    name: body.agent_name,
    type: body.agent_type,
    protocol,
    endpointUrl: body.endpoint_url,
    capabilities: [...new Set(body.capabilities)],
    maxConcurrentSessions: body.max_concurrent_sessions,
    version: body.version ?? null,
    metadata,
    credential: credential ?? null,
    accountId: by?.accountId ?? null,
    registeredWith: by === null ? 'secret' : 'operator',
  };
  return registerAgent(deps, agent, lookWith(deps, probe));
}

/** Changes what the body names. Throws what `updateAgent` throws. */
export function changeFrom(
  deps: AgentDeps,
  agentId: string,
  body: z.output<typeof AgentChangeBody>,
  { probe, by }: { readonly probe: Depth | 'skip'; readonly by: 'operator' | 'itself' },
): Promise<{ probe: Probe | null }> {
  const settings = body.metadata === undefined ? null : readMetadata(body.metadata);
  const change: AgentChange = {
    name: body.agent_name,
    type: body.agent_type,
    protocol: body.protocol,
    endpointUrl: body.endpoint_url,
    capabilities: body.capabilities && [...new Set(body.capabilities)],
    maxConcurrentSessions: body.max_concurrent_sessions,
    version: body.version,
    metadata: settings?.rest,
    credential: settings?.credential,
  };
  return updateAgent(deps, agentId, change, { by, look: lookWith(deps, probe) });
}

/** An agent learns its signing secret with the answer, so until then it may refuse what we sign. */
function lookWith({ probe }: AgentDeps, depth: Depth | 'skip'): Look {
  return async (agent, hasCredential) => {
    if (depth === 'skip') return null;
    const found = await probe(agent, {
      depth,
      limits: REGISTRATION_LIMITS,
      isKnownThere: agent.protocol !== 'envelope' && hasCredential,
      forgivesSlowness: true,
    });
    if (!found.ok) throw probeFailed(found);
    return found;
  };
}

/** Metadata that can be stored, and the credential in it: undefined when it says nothing of one, null to take it away. */
function readMetadata(metadata: Readonly<Record<string, unknown>>) {
  const why = unstorable(metadata, MAX_METADATA_DEPTH);
  if (why !== null) throw refused('metadata', `metadata ${why}.`);
  if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_METADATA_BYTES)
    throw refused(
      'metadata',
      'metadata is larger than 8 KiB as JSON. Keep there what calls need, and the rest with you.',
    );
  const { api_key: credential, ...rest } = metadata;
  if (credential === undefined || credential === null) return { credential, rest };
  if (typeof credential !== 'string' || credential === '' || /[^\x21-\x7e]/.test(credential)) {
    throw refused(
      'metadata.api_key',
      'metadata.api_key must be text without spaces, as a header can carry it; null takes it away.',
    );
  }
  return { credential, rest };
}

function refused(param: string, message: string): DarkspereError {
  return new DarkspereError('invalid_request', message, { param });
}
