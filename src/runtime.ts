// The composition root: opens everything in order, closes it in reverse, and unwinds when a later step fails.
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { createHealthRecorder } from './agents/health.ts';
import { keepConfiguredAgent, retireDemoAgents } from './agents/house-agents.ts';
import { createInvoke } from './agents/invoke.ts';
import { createRegistry } from './agents/registry.ts';
import { createConsent } from './bridge/consent.ts';
import { createDelivery } from './bridge/delivery.ts';
import { createIngest } from './bridge/ingest.ts';
import { createIntake } from './bridge/intake.ts';
import { createMailbox } from './bridge/mailbox.ts';
import { createOutbound } from './bridge/outbound.ts';
import { createSettle } from './bridge/settle.ts';
import { openSpool, type Spool } from './bridge/spool/spool.ts';
import type { Channel } from './channels/channel.ts';
import { type Simulator, startSimulator } from './channels/simulator/simulator.ts';
import { createTwilioChannel, createTwilioDispatcher } from './channels/twilio/twilio.ts';
import { systemClock } from './clock.ts';
import type { Config, Part } from './config.ts';
import { createOutage, type Outage } from './database/outage.ts';
import type { Sql } from './database/pools.ts';
import { messageOf } from './errors.ts';
import { agentRoutes, ownAgentRoutes } from './http/api/agents.ts';
import { postRoutes } from './http/api/posts.ts';
import { docsRoutes } from './http/docs.ts';
import { healthRoutes, type Readiness } from './http/health.ts';
import { hookRoutes } from './http/hooks.ts';
import { mediaLinker, mediaRoutes } from './http/media.ts';
import { createServer } from './http/server.ts';
import { listen, type ServiceName } from './http/services.ts';
import { newId } from './ids.ts';
import { jobCatalogue } from './jobs/catalogue.ts';
import { startEngine } from './jobs/engine.ts';
import type { Logger } from './observability/logger.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';
import { openStorage, type Storage } from './runtime/storage.ts';
import { createEgress } from './security/guarded-fetch.ts';
import { linkKey } from './security/links.ts';
import { loadOrCreateSecret } from './security/registration-secret.ts';
import { createSecretBox, loadOrCreateKey, type SecretBox } from './security/secrets.ts';

export type Runtime = {
  readonly urls: Partial<Record<ServiceName | 'simulator', string>>;
  readonly simulator: Simulator | null;
  /** What agents register with; null when this process does not run the registration service. */
  readonly registrationSecret: string | null;
  /** Readiness off, running work finished or given back, everything closed in reverse. */
  stop(): Promise<void>;
};

export type RuntimeOptions = {
  readonly config: Config;
  readonly parts: readonly Part[];
  readonly logger: Logger;
  /** The database is gone for good: the program should end. */
  readonly onLost: (error: unknown) => void;
};

/** What the parts of one process share. */
type Shared = RuntimeOptions &
  Storage & {
    readonly outage: Outage;
    readonly metrics: Metrics;
    readonly spool: Spool | null;
    readonly secretBox: SecretBox;
    /** Signs the links under which agents fetch media. */
    readonly mediaKey: Buffer;
    readonly channel: Channel;
    readonly optOutScope: string | null;
    readonly stack: AsyncDisposableStack;
    readonly state: { closing: boolean };
  };

/** How long a reply may be when no number's own setting applies (MORE, posts by agents), segments. */
const MAX_SEGMENTS = 10;
/** How long a stop waits for sends under way. */
const IDLE_MS = 5_000;
/** Of the time for stopping, this share is left to running turns before they are given back. */
const DRAIN_SHARE = 0.7;
const NO_ANSWER = 'the database does not answer';

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
      ...(parts.includes('worker') ? { worker: await openWorker(shared) } : {}),
    };
    return {
      urls,
      simulator: carrier.simulator,
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

async function openGateway(shared: Shared): Promise<string> {
  const { config, pools, channel, optOutScope, metrics, logger, numbers, spool, stack } = shared;
  const { pacing, quietMs } = config;
  const databaseAnswers = async () => shared.isOpen() && answers(pools.web);
  const intake = createIntake({
    consent: createConsent({ sql: pools.web, optOutScope, pacing, maxSegments: MAX_SEGMENTS }),
    ingest: createIngest({ sql: pools.web, quietMs, optOutScope, ourNumbers: numbers.current }),
    delivery: createDelivery({ sql: pools.web, optOutScope }),
    spool,
    databaseAnswers,
    metrics,
    logger,
  });
  stack.defer(() => intake.close());
  const app = service(shared, 'gateway', gatewayReadiness(databaseAnswers, spool));
  await app.register(hookRoutes, { channel, intake, areNumbersKnown: numbers.areKnown, metrics, logger });
  mediaRoutes(app, { sql: pools.web, channel, key: shared.mediaKey });
  postRoutes(app, { sql: pools.web, policy: { optOutScope, pacing, maxSegments: MAX_SEGMENTS } });
  return listen(app, 'gateway', config);
}

/**
 * Ready is who can take texts. A gateway that can keep them in its spool stays so without a database: a load balancer that
 * took it out would turn away what the spool is there for.
 */
function gatewayReadiness(databaseAnswers: () => Promise<boolean>, spool: Spool | null): Readiness {
  if (spool === null) return { check: async () => reasons(await databaseAnswers(), NO_ANSWER) };
  return {
    check: async () => (spool.isFull ? reasons(await databaseAnswers(), `${NO_ANSWER} and the spool is full`) : []),
    notes: async () => [
      ...reasons(await databaseAnswers(), `${NO_ANSWER}: texts are kept in the spool`),
      ...reasons(spool.records === 0, waitingIn(spool)),
    ],
  };
}

function waitingIn({ records }: Spool): string {
  return records === 1 ? '1 record waits in the spool' : `${records} records wait in the spool`;
}

async function openRegistration(shared: Shared, registrationSecret: string | null): Promise<string> {
  const { config, pools, secretBox } = shared;
  const app = service(shared, 'agent-registration', {
    check: async () => reasons(await answers(pools.web), NO_ANSWER),
  });
  agentRoutes(app, { sql: pools.web, secretBox, egressAllow: config.egressAllow, registrationSecret });
  ownAgentRoutes(app, { sql: pools.web });
  return listen(app, 'agentRegistration', config);
}

async function openWorker(shared: Shared): Promise<string> {
  const { config, pools, logger, metrics, stack, channel, optOutScope } = shared;
  const sql = pools.worker;
  const onError = (error: unknown) => {
    if (!shared.outage.noticed(error))
      logger.warn({ error: messageOf(error) }, 'agents or conversations could not be read or written');
  };
  const registry = await createRegistry({ sql, secretBox: shared.secretBox, refreshMs: 1_000, onError });
  stack.defer(() => registry.close());
  const health = createHealthRecorder({ sql, registry, onError });
  stack.defer(() => health.close());
  const agentHttp = createEgress({ allow: config.egressAllow, connectMs: config.agentDeadlines.connectMs });
  stack.defer(() => agentHttp.destroy());

  const app = service(shared, 'worker', { check: async () => reasons(await answers(sql), NO_ANSWER) });
  const url = await listen(app, 'worker', config);

  const { agentDeadlines: deadlines, turnMs, quietMs, pacing } = config;
  const poolId = newId();
  const outbound = createOutbound({ sql, channel, optOutScope, poolId, logger, metrics });
  // A database that is away for good must not hold the stop: what is not recorded is looked up at the next start.
  stack.defer(() => Promise.race([outbound.idle(), sleep(IDLE_MS, undefined, { ref: false })]));
  const mailbox = createMailbox({
    sql,
    logger,
    quietMs,
    pacing,
    registry,
    health,
    invoke: createInvoke(agentHttp),
    deadlines,
    turnMs,
    metrics,
    clock: systemClock,
    sendNow: outbound.sendNow,
    mediaLinks: mediaLinker({ key: shared.mediaKey, publicUrl: config.publicUrl }),
  });
  const catchUp = () => void mailbox.catchUp().catch(onError);
  const hear = (notice: string) => {
    mailbox.cancel(notice);
    outbound.cancel(notice);
  };
  const listening = await sql.listen('darkspere_cancel', hear, catchUp);
  stack.defer(() => listening.unlisten());
  const interrupts = await sql.listen('darkspere_interrupt', (notice) => mailbox.interrupt(notice));
  stack.defer(() => interrupts.unlisten());
  const settle = createSettle({ sql, channel, outbound, logger });
  const engine = await startEngine({
    connection: shared.connection,
    poolId,
    logger,
    outage: shared.outage,
    concurrency: config.concurrency,
    tasks: jobCatalogue({ sql, logger, mailbox, outbound, settle, pacing }),
    onDeadPool: () => metrics.poolsRescued.inc(),
  });
  stack.defer(() => engine.stop(config.shutdownMs * DRAIN_SHARE, () => mailbox.stop()));
  return url;
}

/** A server with the routes that every service has, closed with the rest. */
function service(shared: Shared, name: string, readiness: Readiness): FastifyInstance {
  const { state, metrics, logger, stack } = shared;
  const app = createServer({ name, logger, isClosing: () => state.closing });
  docsRoutes(app);
  healthRoutes(app, {
    name,
    metrics,
    readiness: {
      ...readiness,
      check: async () => [...reasons(!state.closing, 'stopping'), ...(await readiness.check())],
    },
  });
  stack.defer(() => app.close());
  return app;
}

function reasons(isFine: boolean, reason: string): string[] {
  return isFine ? [] : [reason];
}

/** True when the pool answers within a second. */
async function answers(sql: Sql): Promise<boolean> {
  const late = new AbortController();
  const answer = sql`select 1`.then(
    () => true,
    () => false,
  );
  const result = await Promise.race([answer, sleep(1_000, false, { signal: late.signal }).catch(() => false)]);
  late.abort();
  return result;
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
    publicUrl: config.publicUrl.replace(/^http:\/\/localhost:0$/, `http://localhost:${port}`),
  };
}
