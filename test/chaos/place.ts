// A whole installation among bad wires: PostgreSQL of its own, several gateways and workers as processes, the carrier and
// three agents in this process, and a fault proxy on every way between them.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator } from '../../src/channels/simulator/simulator.ts';
import { type Connection, connectionUrl } from '../../src/database/connection.ts';
import { startEmbedded } from '../../src/database/embedded.ts';
import { migrate } from '../../src/database/migrate.ts';
import { openSql } from '../../src/database/pools.ts';
import { messageOf } from '../../src/errors.ts';
import { newId } from '../../src/ids.ts';
import { freePort } from '../support/free-port.ts';
import { endWithUs } from '../support/left-behind.ts';
import { runProgram } from '../support/program.ts';
import { startScriptedAgent } from '../support/scripted-agent.ts';
import { newSid } from '../support/signed-webhook.ts';
import { until } from '../support/until.ts';
import { createAgent, type MoodyAgent, type RunningAgent } from './agents.ts';
import { mountDisk, pretendDisk } from './disk.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import type { AgentCall, AgentPost } from './history.ts';
import { type Supervised, supervise } from './processes.ts';
import { agentWire, type Targets } from './schedule.ts';

/** Our numbers, each with another policy for texts that come during an answer. */
const NUMBERS = {
  '+15550001111': { busy_policy: 'collect' },
  '+15550002222': { busy_policy: 'interrupt' },
  '+15550003333': { busy_policy: 'queue', hold_ms: 1_500 },
};
export const OUR_NUMBERS = Object.keys(NUMBERS);

export type PlaceOptions = {
  readonly gateways: number;
  readonly workers: number;
  /** Whether gateways keep on disk what the database cannot take. */
  readonly spool: boolean;
  /** Whether parts keep the pace of sender, campaign and brand: it is so fast that it costs rows and locks, and hardly any time. */
  readonly pacing: boolean;
  /** Texts that the carrier has to remember. */
  readonly texts: number;
  readonly say: (line: string) => void;
};

export type Place = Awaited<ReturnType<typeof openPlace>>;

/** A restarted server has what it had, so nothing has to reach the disk: only the processes die, never the machine. */
const SERVER_SETTINGS = { fsync: 'off', full_page_writes: 'off', shared_buffers: '128MB', max_connections: '300' };
/** Long answers become three parts. */
const MAX_SEGMENTS = 30;
const AGENTS = ['agent one', 'agent two', 'agent three'];

/** Starts everything; `close` leaves nothing behind. */
export async function openPlace(options: PlaceOptions) {
  const stack = new AsyncDisposableStack();
  try {
    return await build(stack, options);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function build(stack: AsyncDisposableStack, options: PlaceOptions) {
  const dataDir = await mkdtemp(join(tmpdir(), 'darkspere-chaos-'));
  const isGone = endWithUs({ dataDir });
  stack.defer(() => rm(dataDir, { recursive: true, force: true }).then(isGone));
  const server = await startEmbedded({
    dataDir,
    settings: SERVER_SETTINGS,
    log: options.say,
    onLost: (error) => options.say(`the server is lost: ${messageOf(error)}`),
  });
  stack.defer(() => server.stop());
  const mounted = await mountDisk(stack, server, dataDir);
  await migrate(server.connection);
  const sql = openSql(server.connection, { max: 2 });
  stack.defer(() => sql.end({ timeout: 5 }));
  const disk = mounted ?? (await pretendDisk(sql));

  const wires = new Map<string, FaultProxy>();
  async function wire(name: string, targets: readonly NetConnectOpts[], port?: number): Promise<FaultProxy> {
    const proxy = await startFaultProxy(targets, port);
    stack.defer(() => proxy.close());
    wires.set(name, proxy);
    return proxy;
  }

  const ports = await Promise.all(Array.from({ length: options.gateways }, () => freePort()));
  const front = await wire(
    'front',
    ports.map((port) => ({ host: '127.0.0.1', port })),
  );
  const publicUrl = `http://127.0.0.1:${front.port}`;
  const webhookUrl = `${publicUrl}/webhooks/twilio/messages`;
  const account = { accountSid: newSid('AC'), authToken: randomBytes(16).toString('hex') };
  const simulator = await startSimulator({
    ...account,
    port: 0,
    numbers: OUR_NUMBERS,
    webhookUrl,
    pacing: 'off',
    maxStored: options.texts * 4 + 1_000,
  });
  stack.defer(() => simulator.close());
  const carrier = await wire('carrier', [{ host: '127.0.0.1', port: Number(new URL(simulator.url).port) }]);

  const registrationSecret = randomBytes(16).toString('hex');
  const env: Record<string, string> = {
    DATABASE_URL: server.url,
    DARKSPERE_DATA_DIR: dataDir,
    DARKSPERE_HOST: '127.0.0.1',
    PUBLIC_URL: publicUrl,
    MCP_ADAPTER_PORT: '0',
    AGENT_REGISTRATION_PORT: '0',
    WORKER_PORT: '0',
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: account.authToken,
    TWILIO_API_URL: `http://127.0.0.1:${carrier.port}`,
    TWILIO_PHONE_NUMBERS: OUR_NUMBERS.join(','),
    DARKSPERE_EGRESS_ALLOW: '127.0.0.0/8',
    DARKSPERE_DEMO_AGENT: 'off',
    DARKSPERE_PACING: options.pacing ? 'on' : 'off',
    // The carrier hears no keywords here, so that what keeps silence after a STOP is Darkspere alone.
    DARKSPERE_CARRIER_KEYWORDS: 'off',
    DARKSPERE_QUIET_MS: '50',
    DARKSPERE_TURN_MS: '30000',
    DARKSPERE_AGENT_CONNECT_MS: '1000',
    DARKSPERE_AGENT_FIRST_BYTE_MS: '2000',
    DARKSPERE_AGENT_TOTAL_MS: '3000',
    DARKSPERE_SHUTDOWN_MS: '3000',
    DARKSPERE_SECRET_KEY: randomBytes(32).toString('base64'),
    DARKSPERE_WEB_POOL: '4',
    DARKSPERE_WORKER_POOL: '6',
    DARKSPERE_ADMIN_POOL: '1',
    REGISTRATION_SECRET: registrationSecret,
    ...(options.spool ? {} : { DARKSPERE_SPOOL_MAX_MB: '0' }),
    LOG_LEVEL: 'warn',
    DARKSPERE_LOG_FORMAT: 'json',
  };

  const calls: AgentCall[] = [];
  const posts: AgentPost[] = [];
  const agents = await registerAgents(env, registrationSecret, (name) => createAgent(name, calls, posts));
  for (const { agent, port, apiKey } of agents) {
    stack.defer(agent.down);
    agent.postTo(publicUrl, apiKey);
    stack.defer(agent.hush);
    const { port: wired } = await wire(agentWire(agent.name), [{ host: '127.0.0.1', port }]);
    await sql`update agent_registry set endpoint_url = ${`http://127.0.0.1:${wired}/`} where id = ${agent.id}`;
  }
  const brand = { id: newId(), name: 'one brand', daily_segments: 1_000_000 };
  const campaign = { id: newId(), name: 'one campaign', brand_id: brand.id, segments_per_minute: 24_000 };
  await sql`insert into brands ${sql(brand)}`;
  await sql`insert into campaigns ${sql(campaign)}`;
  for (const [address, policy] of Object.entries(NUMBERS)) {
    const columns = { ...policy, max_segments: MAX_SEGMENTS, segments_per_second: 200, campaign_id: campaign.id };
    await sql`update phone_numbers set ${sql(columns)} where address = ${address}`;
  }

  const slots = [
    ...ports.map((port, n) => ({ name: `gateway ${n + 1}`, part: 'gateway' as const, own: { PORT: String(port) } })),
    ...Array.from({ length: options.workers }, (_, n) => ({
      name: `worker ${n + 1}`,
      part: 'worker' as const,
      own: {},
    })),
  ];
  const processes: Supervised[] = [];
  for (const { name, part, own } of slots) {
    const { port } = await wire(`database of ${name}`, [socketOf(server.connection)]);
    const reached = connectionUrl({ ...server.connection, host: '127.0.0.1', port });
    const one = supervise({ name, part, env: { ...env, ...own, DATABASE_URL: reached } });
    stack.defer(() => one.stop('SIGKILL').then(() => {}));
    processes.push(one);
  }
  await Promise.all(processes.map((one) => one.ready()));

  const targets: Targets = {
    processes: processes.map(({ name }) => name),
    databaseWires: slots.map(({ name }) => `database of ${name}`),
    agents: AGENTS,
  };
  return {
    sql,
    server,
    simulator,
    wires,
    processes,
    agents: agents.map(({ agent }) => agent),
    calls,
    posts,
    disk,
    targets,
    account,
    webhookUrl,
    close: () => stack.disposeAsync(),
  };
}

function socketOf({ host, port }: Connection): NetConnectOpts {
  return host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
}

/** Registers the agents through a process that ends before anything goes wrong. */
async function registerAgents(
  env: Readonly<Record<string, string>>,
  registrationSecret: string,
  create: (name: string) => MoodyAgent,
) {
  const { child, output, exited } = runProgram(['start', 'agent-registration'], env);
  try {
    const [, registration = ''] = await until(() => /^ {2}agents +(http:\/\/[^/\s]+)/m.exec(output()), {
      what: 'the registration service',
      timeoutMs: 30_000,
    });
    const agents: { agent: RunningAgent; port: number; apiKey: string }[] = [];
    for (const name of AGENTS) {
      const moody = create(name);
      const scripted = await startScriptedAgent({ gateway: '', registration, registrationSecret }, moody.behaviour, {
        name,
      });
      agents.push({
        agent: { ...moody, id: scripted.id, down: scripted.down, up: scripted.up },
        port: scripted.port,
        apiKey: scripted.apiKey,
      });
    }
    return agents;
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}
