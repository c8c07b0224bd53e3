// The MCP adapter: agents for programs.
import { createChat } from '../adapter/chat.ts';
import { createAgentCounts } from '../adapter/status.ts';
import { createInvoke } from '../agents/invoke.ts';
import { createMeet } from '../agents/meet.ts';
import { now, systemClock } from '../clock.ts';
import { adapterRoutes } from '../http/mcp-adapter.ts';
import { listen } from '../http/services.ts';
import { createGuessLimit } from '../security/guess-limit.ts';
import type { AgentCalls } from './agent-calls.ts';
import { answers, DRAIN_SHARE, NO_ANSWER, reasons, type Shared, service } from './process.ts';

/** Opens it; gives its URL. */
export async function openMcpAdapter(shared: Shared, calls: AgentCalls): Promise<string> {
  const { config, pools, metrics, stack } = shared;
  const sql = pools.worker;
  const { registry, capacity, admission, health, http } = calls;
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
