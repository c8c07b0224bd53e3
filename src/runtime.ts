// The composition root: opens everything in order, closes it in reverse, and unwinds when a later step fails.
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { type Answerers, answerersOfNumbers } from './agents/agent-list.ts';
import { keepConfiguredAgent, retireDemoAgents } from './agents/house-agents.ts';
import { openSpool } from './bridge/spool/spool.ts';
import type { Channel } from './channels/channel.ts';
import { type Simulator, startSimulator } from './channels/simulator/simulator.ts';
import { createTwilioChannel, createTwilioDispatcher } from './channels/twilio/twilio.ts';
import type { Config } from './config.ts';
import { createOutage } from './database/outage.ts';
import type { Sql } from './database/pools.ts';
import { DarkspereError, messageOf } from './errors.ts';
import type { ServiceName } from './http/services.ts';
import { createMetrics } from './observability/metrics.ts';
import { openAgentCalls } from './runtime/agent-calls.ts';
import { openGateway } from './runtime/gateway.ts';
import { openMcpAdapter } from './runtime/mcp-adapter.ts';
import type { RuntimeOptions, Shared } from './runtime/process.ts';
import { openRegistration } from './runtime/registration.ts';
import { openStorage } from './runtime/storage.ts';
import { openWorker } from './runtime/worker.ts';
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

/** Starts the parts of this process; throws the first thing that stands in the way, with everything closed again. */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { parts, logger } = options;
  const config = await withGatewayPort(options.config);
  const stack = new AsyncDisposableStack();
  const state = { closing: false };
  try {
    await makeDataDir(config.dataDir);
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
    const urls: Runtime['urls'] = carrier.simulator ? { simulator: carrier.simulator.url } : {};
    if (parts.includes('gateway')) urls.gateway = await openGateway(shared);
    if (parts.includes('agent-registration'))
      urls.agentRegistration = await openRegistration(shared, registrationSecret);
    if (parts.includes('mcp-adapter') || parts.includes('worker')) {
      const calls = await openAgentCalls(shared);
      if (parts.includes('mcp-adapter')) urls.mcpAdapter = await openMcpAdapter(shared, calls);
      if (parts.includes('worker')) urls.worker = await openWorker(shared, calls);
    }
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

async function makeDataDir(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new DarkspereError(
      'config_invalid',
      `DARKSPERE_DATA_DIR: ${folder} cannot be made (${messageOf(cause)}). Name a folder that this user may write.`,
      { param: 'DARKSPERE_DATA_DIR', cause },
    );
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
