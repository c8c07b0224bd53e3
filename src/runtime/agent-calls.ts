// What calling agents takes in a part that does: who there is, places at them, trials, their health, and a way out.
import { createAdmission } from '../agents/admission.ts';
import { createCapacity } from '../agents/capacity.ts';
import { createHealthRecorder } from '../agents/health-recorder.ts';
import { createRegistry } from '../agents/registry.ts';
import { newId } from '../ids.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import type { Shared } from './process.ts';

/** Opens it; closed with the rest. `onError` hears what could not be read or written meanwhile. */
export async function openAgentCalls(shared: Shared, onError: (error: unknown) => void) {
  const { config, pools, secretBox, stack } = shared;
  // Agents' secrets are the worker's to read, and their health is its to write.
  const sql = pools.worker;
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
  return { poolId, capacity, registry, admission, health, http };
}
