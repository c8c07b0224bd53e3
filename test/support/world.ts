// A whole Darkspere for a test: a database of its own, the real runtime in this process, a simulated carrier, scripted
// agents and people with phones. Start one per file and take a `line` per test: a number of ours with agents of its own.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type SimulatorOptions, startSimulator } from '../../src/channels/simulator/simulator.ts';
import { loadConfig, PARTS, type Part } from '../../src/config.ts';
import { type Runtime, startRuntime } from '../../src/runtime.ts';
import { freshDatabase } from './database.ts';
import { type Line, type LineSettings, openLine } from './line.ts';
import {
  type AgentOptions,
  type Behaviour,
  registerAgent,
  type ScriptedAgent,
  startScriptedAgent,
} from './scripted-agent.ts';
import { type FormFields, newSid, postSigned, type Signing } from './signed-webhook.ts';
import { until } from './until.ts';

export type WorldOptions = {
  /** The burst window; default 30 ms, so that a test is not slow. */
  readonly quietMs?: number;
  /** Variables over those of the world. */
  readonly env?: Readonly<Record<string, string>>;
  readonly parts?: readonly Part[];
  readonly simulator?: Partial<SimulatorOptions>;
  /** The carrier is the one that the program starts itself when no account is configured (`runtime.simulator`). */
  readonly ownSimulator?: true;
};

export type { Line } from './line.ts';
export type World = Awaited<ReturnType<typeof startWorld>>;

const NUMBERS = Array.from({ length: 60 }, (_, n) => `+1555010${String(n).padStart(4, '0')}`);

/** Starts a world; `stop` leaves nothing behind. */
export async function startWorld(options: WorldOptions = {}) {
  const stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), 'darkspere-world-'));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  const database = await freshDatabase({ web: 1, worker: 1, admin: 1 });
  stack.defer(() => database.drop());
  const sql = database.admin;
  // The hour at which a test runs must not matter; tests of quiet hours set their own.
  await sql`update program_limits set quiet_from = null, quiet_until = null`;

  const accountSid = newSid('AC');
  const authToken = randomBytes(16).toString('hex');
  const simulator = await startSimulator({
    port: 0,
    accountSid,
    authToken,
    numbers: NUMBERS,
    webhookUrl: 'http://localhost:1/not-yet',
    pacing: 'off',
    ...options.simulator,
  });
  stack.defer(() => simulator.close());

  const registrationSecret = randomBytes(16).toString('hex');
  const log: string[] = [];
  const env = {
    DATABASE_URL: database.url,
    DARKSPERE_DATA_DIR: dataDir,
    DARKSPERE_HOST: '127.0.0.1',
    PUBLIC_URL: 'http://localhost:0',
    PORT: '0',
    MCP_ADAPTER_PORT: '0',
    AGENT_REGISTRATION_PORT: '0',
    WORKER_PORT: '0',
    ...(options.ownSimulator
      ? { DARKSPERE_SIMULATOR_PORT: '0' }
      : { TWILIO_ACCOUNT_SID: accountSid, TWILIO_AUTH_TOKEN: authToken, TWILIO_API_URL: simulator.url }),
    TWILIO_PHONE_NUMBERS: NUMBERS.join(','),
    DARKSPERE_EGRESS_ALLOW: '127.0.0.0/8',
    DARKSPERE_DEMO_AGENT: 'off',
    DARKSPERE_PACING: 'off',
    DARKSPERE_QUIET_MS: String(options.quietMs ?? 30),
    DARKSPERE_SHUTDOWN_MS: '500',
    DARKSPERE_SECRET_KEY: randomBytes(32).toString('base64'),
    DARKSPERE_WEB_POOL: '4',
    DARKSPERE_WORKER_POOL: '6',
    DARKSPERE_ADMIN_POOL: '1',
    REGISTRATION_SECRET: registrationSecret,
    ...options.env,
  };

  /** One more process of the same installation, in this one. */
  async function runtime(parts: readonly Part[], more: Readonly<Record<string, string>> = {}): Promise<Runtime> {
    const { config } = loadConfig({ ...env, ...more }, { tty: false, baseDir: dataDir, parts });
    const logger = pino({ level: 'debug', base: null }, { write: (line: string) => void log.push(line) });
    const started = await startRuntime({ config, parts, logger, onLost: (error) => void log.push(String(error)) });
    let stopped: Promise<void> | undefined;
    const stop = () => (stopped ??= started.stop());
    stack.defer(stop);
    return { ...started, stop };
  }

  const main = await runtime(options.parts ?? PARTS).catch(async (error) => {
    await stack.disposeAsync();
    throw error;
  });
  const gateway = main.urls.gateway ?? '';
  env.PUBLIC_URL = gateway;
  simulator.setWebhookUrl(`${gateway}/webhooks/twilio/messages`);

  /** Makes every worker read its agents again and waits for one that did. */
  async function refreshAgents(): Promise<void> {
    if (main.urls.worker === undefined) return;
    const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
    await sql`select pg_notify('agents_changed', '')`;
    const reading = '%from agent_registry%disabled_at is null%';
    await until(
      () =>
        sql`
        select 1 from pg_stat_activity
        where datname = current_database() and application_name = 'darkspere_worker' and query like ${reading}
          and query_start > ${row!.now} and state = 'idle'
        limit 1`.then((rows) => rows.length),
      { what: 'a worker that reads its agents' },
    );
  }

  const host = { gateway, registration: main.urls.agentRegistration ?? '', registrationSecret };

  async function agent(behaviour: Behaviour, agentOptions: AgentOptions = {}): Promise<ScriptedAgent> {
    const added = await startScriptedAgent(host, behaviour, agentOptions);
    stack.defer(added.down);
    await refreshAgents();
    return added;
  }

  /** Registers an agent that another program serves; gives its id. */
  async function agentAt(url: string, agentOptions: AgentOptions): Promise<string> {
    const { agent_id } = await registerAgent(host, url, agentOptions);
    await refreshAgents();
    return agent_id;
  }

  const unused = NUMBERS.values();
  let people = 0;
  const newPhone = () => `+1555020${String(people++).padStart(4, '0')}`;

  /** The next number of ours, with settings and agents of its own: what happens there disturbs no other test. */
  async function line(settings: LineSettings = {}): Promise<Line> {
    const { value } = unused.next();
    if (value === undefined) throw new Error('The world has no number left.');
    return openLine({ sql, simulator, newPhone, agent }, value, settings);
  }

  return {
    urls: { ...main.urls, simulator: simulator.url },
    /** The simulator of the program itself, with `ownSimulator`. */
    ownSimulator: main.simulator,
    accountSid,
    authToken,
    registrationSecret,
    dataDir,
    simulator,
    /** The owner of everything: for arranging and looking. */
    sql,
    database,
    /** Every log line of every runtime, as JSON. */
    log,
    runtime,
    line,
    agent,
    agentAt,
    refreshAgents,
    /** Somebody with a phone, who texts the first of our numbers. */
    person: (phone: string) => simulator.person(phone),
    newPhone,
    /** The fields of an inbound text, with a message id of its own. */
    form: (more: Readonly<Record<string, string>>): Record<string, string> => ({
      AccountSid: accountSid,
      MessageSid: newSid(),
      From: newPhone(),
      To: NUMBERS[0]!,
      Body: 'hello',
      NumMedia: '0',
      NumSegments: '1',
      ApiVersion: '2010-04-01',
      ...more,
    }),
    /** Posts a form to the gateway, signed as the carrier signs it unless told otherwise. */
    signedPost: (path: string, fields: FormFields, more: Partial<Signing> & { readonly token?: string } = {}) =>
      postSigned(fields, { authToken: more.token ?? authToken, url: gateway + path, ...more }),
    stop: () => stack.disposeAsync(),
  };
}
