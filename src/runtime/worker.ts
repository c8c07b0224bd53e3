// The worker: turns, sends, housekeeping.
import { setTimeout as sleep } from 'node:timers/promises';
import { createInvoke } from '../agents/invoke.ts';
import { createMeet } from '../agents/meet.ts';
import { createProber } from '../agents/prober.ts';
import { createSessionEvents } from '../agents/session-events.ts';
import { createProbe as createStagedProbe } from '../agents/staged-probe/probe.ts';
import { createCarrierStanding } from '../bridge/carrier-standing.ts';
import { createMailbox } from '../bridge/mailbox.ts';
import { createOutbound } from '../bridge/outbound.ts';
import { createSettle } from '../bridge/settle.ts';
import { withAgentsDown } from '../channels/simulator/agents-down.ts';
import { systemClock } from '../clock.ts';
import { stopListening } from '../database/pools.ts';
import { mediaLinker } from '../http/media.ts';
import { listen } from '../http/services.ts';
import { createChats } from '../inbox/agent-chat.ts';
import { createReplayer } from '../inbox/replay.ts';
import { jobCatalogue } from '../jobs/catalogue.ts';
import { startEngine } from '../jobs/engine.ts';
import type { AgentCalls } from './agent-calls.ts';
import { answers, DRAIN_SHARE, NO_ANSWER, reasons, type Shared, service } from './process.ts';

/** How long a stop waits for sends under way. */
const IDLE_MS = 5_000;

/** Opens it; gives its URL. */
export async function openWorker(shared: Shared, calls: AgentCalls): Promise<string> {
  const { config, pools, logger, metrics, stack, channel, optOutScope } = shared;
  const sql = pools.worker;
  const { poolId, capacity, registry, admission, health, http: agentHttp, onError } = calls;

  const standing = createCarrierStanding({ logger, metrics });
  const app = service(shared, 'worker', {
    check: async () => reasons(await answers(sql), NO_ANSWER),
    notes: async () => standing.notes(),
  });
  const url = await listen(app, 'worker', config);

  const { agentDeadlines: deadlines, turnMs, quietMs, pacing } = config;
  const mediaLinks = mediaLinker({ key: shared.mediaKey, publicUrl: config.publicUrl });
  const outbound = createOutbound({ sql, channel, optOutScope, poolId, standing, logger, metrics });
  const callHttp = shared.simulator ? withAgentsDown(agentHttp, shared.simulator.faults) : agentHttp;
  const sessionEvents = createSessionEvents({ registry, http: callHttp, logger });
  // A database that is away for good must not hold the stop, nor an agent that hangs: what is not recorded is looked up at the next
  // start.
  stack.defer(async () => {
    const idle = Promise.all([outbound.idle(), sessionEvents.idle()]);
    await Promise.race([idle, sleep(IDLE_MS, undefined, { ref: false })]);
    sessionEvents.stop();
  });
  const invoke = createInvoke(callHttp);
  const mailbox = createMailbox({
    sql,
    logger,
    quietMs,
    pacing,
    registry,
    admission,
    capacity,
    health,
    invoke,
    deadlines,
    turnMs,
    metrics,
    clock: systemClock,
    sendNow: outbound.sendNow,
    mediaLinks,
  });
  const replays = createReplayer({ sql, registry, capacity, invoke, deadlines, mediaLinks });
  const chats = createChats({ sql, secretBox: shared.secretBox, capacity, invoke, deadlines });
  const stagedProbes = {
    sql,
    secretBox: shared.secretBox,
    probe: createStagedProbe({ http: agentHttp, egressAllow: config.egressAllow }),
  };
  const catchUp = () => void mailbox.catchUp().catch(onError);
  const hear = (notice: string) => {
    mailbox.cancel(notice);
    outbound.cancel(notice);
  };
  const listening = await sql.listen('darkspere_cancel', hear, catchUp);
  stack.defer(() => stopListening(listening));
  const interrupts = await sql.listen('darkspere_interrupt', (notice) => mailbox.interrupt(notice));
  stack.defer(() => stopListening(interrupts));
  const prober =
    config.probeMs === null
      ? null
      : createProber({ sql, poolId, registry, health, meet: createMeet(agentHttp), intervalMs: config.probeMs });
  const settle = createSettle({ sql, channel, outbound, logger });
  const engine = await startEngine({
    connection: shared.connection,
    poolId,
    logger,
    outage: shared.outage,
    concurrency: config.concurrency,
    tasks: jobCatalogue({
      sql,
      logger,
      metrics,
      mailbox,
      replays,
      chats,
      stagedProbes,
      outbound,
      settle,
      health,
      prober,
      sessionEvents,
      pacing,
    }),
    onDeadPool: () => metrics.poolsRescued.inc(),
  });
  const giveUp = () => {
    mailbox.stop();
    replays.stop();
    chats.stop();
    prober?.stop();
  };
  stack.defer(() => engine.stop(config.shutdownMs * DRAIN_SHARE, giveUp));
  return url;
}
