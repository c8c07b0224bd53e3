// The MCP adapter: agents for programs.
import { createChat } from '../adapter/chat.ts';
import { createAgentCounts } from '../adapter/status.ts';
import { createAdmission } from '../agents/admission.ts';
import { createCapacity } from '../agents/capacity.ts';
import { createHealthRecorder } from '../agents/health-recorder.ts';
import { createInvoke } from '../agents/invoke.ts';
import { createMeet } from '../agents/meet.ts';
import { createRegistry } from '../agents/registry.ts';
import { now, systemClock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { adapterRoutes } from '../http/mcp-adapter.ts';
import { listen } from '../http/services.ts';
import { newId } from '../ids.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import { createGuessLimit } from '../security/guess-limit.ts';
import { answers, NO_ANSWER, reasons, type Shared, service } from './process.ts';

/** Of the time for stopping, this share is left to questions under way. */
const DRAIN_SHARE = 0.7;

/** Opens it; gives its URL. */
export async function openMcpAdapter(shared: Shared): Promise<string> {
  const { config, pools, logger, metrics, stack } = shared;
  // Agents' secrets are the worker's to read, and their health is its to write.
  const sql = pools.worker;
  const onError = (error: unknown) => {
    if (!shared.outage.noticed(error)) logger.warn({ error: messageOf(error) }, 'agents could not be read or written');
  };
  const poolId = newId();
  const capacity = await createCapacity({ sql, poolId, onError });
  stack.defer(() => capacity.close());
  const registry = await createRegistry({
    sql,
    secretBox: shared.secretBox,
    refreshMs: 1_000,
    inUse: capacity.inUse,
    onError,
  });
  stack.defer(() => registry.close());
  const admission = createAdmission({ sql, poolId, capacity, registry, onError });
  const health = createHealthRecorder({ sql, registry, onError, probes: config.probeMs !== null });
  stack.defer(() => health.close());
  const http = createEgress({ allow: config.egressAllow, connectMs: config.agentDeadlines.connectMs });
  stack.defer(() => http.destroy());
  const app = service(shared, 'mcp-adapter', {
    check: async () => reasons((await answers(sql)) && (await answers(pools.web)), NO_ANSWER),
  });
  const counts = createAgentCounts();
  const chat = createChat({
    sql,
    registry,
    admission,
    capacity,
    health,
    counts,
    metrics,
    invoke: createInvoke(http),
    deadlines: config.agentDeadlines,
    turnMs: config.turnMs,
    clock: systemClock,
  });
  stack.defer(() => chat.close(config.shutdownMs * DRAIN_SHARE));
  await adapterRoutes(app, {
    access: { sql: pools.web, consoleUrl: null, guesses: createGuessLimit() },
    sql,
    registry,
    chat,
    counts,
    meet: createMeet(http),
    deadlines: config.agentDeadlines,
    startedAt: now(),
    isClosing: () => shared.state.closing,
  });
  return listen(app, 'mcpAdapter', config);
}
