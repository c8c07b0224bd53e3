// The composition root: opens everything in order, closes it in reverse, and unwinds when a later step fails.
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answerers, answerersOfNumbers } from './agents/agent-list.ts';
import { keepConfiguredAgent, retireDemoAgents } from './agents/house-agents.ts';
import { createInvoke } from './agents/invoke.ts';
import { createMeet } from './agents/meet.ts';
import { createProber } from './agents/prober.ts';
import { createSessionEvents } from './agents/session-events.ts';
import { createProbe as createStagedProbe } from './agents/staged-probe/probe.ts';
import { createCarrierStanding } from './bridge/carrier-standing.ts';
import { createMailbox } from './bridge/mailbox.ts';
import { createOutbound } from './bridge/outbound.ts';
import { createSettle } from './bridge/settle.ts';
import { openSpool } from './bridge/spool/spool.ts';
import type { Channel } from './channels/channel.ts';
import { withAgentsDown } from './channels/simulator/agents-down.ts';
import { type Simulator, startSimulator } from './channels/simulator/simulator.ts';
import { createTwilioChannel, createTwilioDispatcher } from './channels/twilio/twilio.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { createOutage } from './database/outage.ts';
import type { Sql } from './database/pools.ts';
import { messageOf } from './errors.ts';
import { mediaLinker } from './http/media.ts';
import { registrationRoutes } from './http/registration.ts';
import { listen, type ServiceName } from './http/services.ts';
import { createChats } from './inbox/agent-chat.ts';
import { createReplayer } from './inbox/replay.ts';
import { jobCatalogue } from './jobs/catalogue.ts';
import { startEngine } from './jobs/engine.ts';
import { createMetrics } from './observability/metrics.ts';
import { openAgentCalls } from './runtime/agent-calls.ts';
import { openGateway } from './runtime/gateway.ts';
import { openMcpAdapter } from './runtime/mcp-adapter.ts';
import {
  agentDeps,
  answers,
  NO_ANSWER,
  type RuntimeOptions,
  reasons,
  type Shared,
  service,
} from './runtime/process.ts';
import { openStorage } from './runtime/storage.ts';
import { createEgress } from './security/guarded-fetch.ts';
import { linkKey } from './security/links.ts';
import { loadOrCreateSecret } from './security/registration-secret.ts';
import { createSecretBox, loadOrCreateKey } from './security/secrets.ts';
import { createLoginToken, isAnybodySignedIn, loginUrl } from './security/sessions.ts';

export type Runtime = {
  readonly urls: Partial<Record<ServiceName | 'simulator', string>>;
  readonly simulator: Simulator | null;
  /** Where the console is, and an address that signs in to it once; null when this process does not serve it. */
  readonly console: { readonly url: string; firstLogin(): Promise<string | null> } | null;
  /** Those of ours that are in use, and who answers each. Rejects while the database is away. */
  numbers(): Promise<readonly Answerers[]>;
  /** What agents register with; null when this process does not run the registration service. */
  readonly registrationSecret: string | null;
  /** Readiness off, running work finished or given back, everything closed in reverse. */
  stop(): Promise<void>;
};

/** How long a stop waits for sends under way. */
const IDLE_MS = 5_000;
/** Of the time for stopping, this share is left to running turns before they are given back. */
const DRAIN_SHARE = 0.7;

/** Starts the parts of this process; throws the first thing that stands in the way, with everything closed again. */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { parts, logger } = options;
  const config = await withGatewayPort(options.config);
  const stack = new AsyncDisposableStack();
  const state = { closing: false };
  try {
    await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
    const metrics = createMetrics();
    const outage = createOutage(logger);
    // First: a spool that cannot be written must stop the start, not the first outage.
    const spool =
      parts.includes('gateway') && config.spool !== null ? await openSpool({ ...config.spool, logger, metrics }) : null;
    if (spool) stack.defer(() => spool.close());
    const storage = await openStorage({ ...options, config, outage }, stack);
    const { pools, numbers } = storage;

    const secretKey = config.secretKey ?? (await loadOrCreateKey(config.dataDir));
    const secretBox = createSecretBox(secretKey);
    if (parts.includes('agent-registration')) {
      await keepConfiguredAgent({ sql: pools.admin, secretBox, egressAllow: config.egressAllow }, config.agent);
      if (!config.demoAgent) await retireDemoAgents(pools.admin);
    }
    const carrier = await openCarrier(config, numbers.current, stack);
    const shared: Shared = {
      ...options,
      config,
      ...storage,
      outage,
      metrics,
      spool,
      secretBox,
      mediaKey: linkKey(secretKey),
      channel: carrier.channel,
      optOutScope: carrier.optOutScope,
      simulator: carrier.simulator,
      stack,
      state,
    };

    const registrationSecret = parts.includes('agent-registration')
      ? (config.registrationSecret ?? (await loadOrCreateSecret(config.dataDir)))
      : null;
    const urls: Runtime['urls'] = {
      ...(carrier.simulator ? { simulator: carrier.simulator.url } : {}),
      ...(parts.includes('gateway') ? { gateway: await openGateway(shared) } : {}),
      ...(parts.includes('agent-registration')
        ? { agentRegistration: await openRegistration(shared, registrationSecret) }
        : {}),
      ...(parts.includes('mcp-adapter') ? { mcpAdapter: await openMcpAdapter(shared) } : {}),
      ...(parts.includes('worker') ? { worker: await openWorker(shared) } : {}),
    };
    return {
      urls,
      simulator: carrier.simulator,
      console: parts.includes('gateway')
        ? { url: config.consoleUrl, firstLogin: () => firstLogin(pools.admin, config.consoleUrl) }
        : null,
      numbers: () => answerersOfNumbers(pools.admin),
      registrationSecret,
      async stop() {
        state.closing = true;
        await stack.disposeAsync();
      },
    };
  } catch (error) {
    state.closing = true;
    await stack
      .disposeAsync()
      .catch((unwinding) => logger.error({ error: messageOf(unwinding) }, 'could not close cleanly'));
    throw error;
  }
}

type Carrier = { readonly channel: Channel; readonly optOutScope: string | null; readonly simulator: Simulator | null };

/** The carrier of the configuration, or the simulator under an identity made up for this start. */
async function openCarrier(
  config: Config,
  ourNumbers: () => ReadonlySet<string>,
  stack: AsyncDisposableStack,
): Promise<Carrier> {
  const simulated = config.carrier.kind === 'simulator' ? await openSimulator(config, stack) : null;
  const account = simulated?.account ?? (config.carrier as Extract<Config['carrier'], { kind: 'twilio' }>);
  const http = createTwilioDispatcher(account.apiUrl);
  stack.defer(() => http.close());
  const mediaHttp = createEgress({ allow: config.egressAllow, connectMs: config.agentDeadlines.connectMs });
  stack.defer(() => mediaHttp.destroy());
  return {
    channel: createTwilioChannel({
      ...account,
      publicUrl: config.publicUrl,
      ourNumbers,
      http,
      mediaHttp,
      carrierAnswersKeywords: config.carrierKeywords,
    }),
    optOutScope: account.messagingServiceSid,
    simulator: simulated?.simulator ?? null,
  };
}

async function openSimulator(config: Config, stack: AsyncDisposableStack) {
  const accountSid = `AC${randomBytes(16).toString('hex')}`;
  const authToken = randomBytes(16).toString('hex');
  const simulator = await startSimulator({
    port: config.ports.simulator,
    accountSid,
    authToken,
    numbers: config.numbers,
    webhookUrl: `${config.publicUrl}/webhooks/twilio/messages`,
    pacing: config.pacing ? 'carrier' : 'off',
  });
  stack.defer(() => simulator.close());
  return {
    simulator,
    account: { accountSid, authTokens: [authToken], apiUrl: simulator.url, messagingServiceSid: null },
  };
}

async function openRegistration(shared: Shared, registrationSecret: string | null): Promise<string> {
  const { config, pools } = shared;
  const app = service(shared, 'agent-registration', {
    check: async () => reasons(await answers(pools.web), NO_ANSWER),
  });
  await registrationRoutes(app, { ...agentDeps(shared), registrationSecret });
  return listen(app, 'agentRegistration', config);
}

async function openWorker(shared: Shared): Promise<string> {
  const { config, pools, logger, metrics, stack, channel, optOutScope } = shared;
  const sql = pools.worker;
  const onError = (error: unknown) => {
    if (!shared.outage.noticed(error))
      logger.warn({ error: messageOf(error) }, 'agents or conversations could not be read or written');
  };
  const { poolId, capacity, registry, admission, health, http: agentHttp } = await openAgentCalls(shared, onError);

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
  stack.defer(() => listening.unlisten());
  const interrupts = await sql.listen('darkspere_interrupt', (notice) => mailbox.interrupt(notice));
  stack.defer(() => interrupts.unlisten());
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

/** An address for somebody who never signed in; null when somebody is, or while the database is away. */
async function firstLogin(sql: Sql, consoleUrl: string): Promise<string | null> {
  try {
    if (await isAnybodySignedIn(sql)) return null;
    return loginUrl(consoleUrl, (await createLoginToken(sql)).token);
  } catch {
    return null;
  }
}

/** Any-free-port (0) of the gateway becomes a port now: the address that webhooks are signed for must be known first. */
async function withGatewayPort(config: Config): Promise<Config> {
  if (config.ports.gateway !== 0) return config;
  const probe = createNetServer();
  await new Promise<void>((resolve) => probe.listen(0, config.host, resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return {
    ...config,
    ports: { ...config.ports, gateway: port },
    publicUrl: withPort(config.publicUrl, port),
    consoleUrl: withPort(config.consoleUrl, port),
  };
}

function withPort(url: string, port: number): string {
  return url.replace(/^http:\/\/localhost:0$/, `http://localhost:${port}`);
}
