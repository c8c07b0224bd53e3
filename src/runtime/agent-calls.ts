// What calling agents takes: who there is, places at them, trials, their health, and a way out. A process has it once, whichever of
// its parts call: what one learns of an agent the other knows, and neither takes places from the other.
import { createAdmission } from '../agents/admission.ts';
import { createCapacity } from '../agents/capacity.ts';
import { createHealthRecorder } from '../agents/health-recorder.ts';
import { createRegistry } from '../agents/registry.ts';
import { messageOf } from '../errors.ts';
import { newId } from '../ids.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import type { Shared } from './process.ts';

export type AgentCalls = Awaited<ReturnType<typeof openAgentCalls>>;

/** Opens it, before the parts that use it: what is opened later is closed first. */
export async function openAgentCalls({ config, pools, secretBox, stack, outage, logger }: Shared) {
  // Agents' secrets are the worker's to read, and their health is its to write.
  const sql = pools.worker;
  const onError = (error: unknown) => {
    if (!outage.noticed(error))
      logger.warn({ error: messageOf(error) }, 'agents or conversations could not be read or written');
  };
  const poolId = newId();
  const capacity = await createCapacity({ sql, poolId, onError });
  stack.defer(() => capacity.close());
  const registry = await createRegistry({ sql, secretBox, refreshMs: 1_000, inUse: capacity.inUse, onError });
  stack.defer(() => registry.close());
  const admission = createAdmission({ sql, poolId, capacity, registry, onError });
  const health = createHealthRecorder({ sql, registry, onError, probes: config.probeMs !== null });
  stack.defer(() => health.close());
  const http = createEgress({ allow: config.egressAllow, connectMs: config.agentDeadlines.connectMs });
  stack.defer(() => http.destroy());
  return { poolId, capacity, registry, admission, health, http, onError };
}
