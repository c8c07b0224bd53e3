// The configuration, read once in two pure steps: `readEnv` takes what is ours from the environment, `toConfig` makes it
// a value or a list of all problems. Nothing else in src/ reads process.env.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type AgentSettings, readAgent } from './config/agent.ts';
import { mistypedNames } from './config/names.ts';
import { createReading, type Problem, type RawEnv, type Reading } from './config/reading.ts';
import { NAMES, type Name, type Value } from './config/variables.ts';
import { DarkspereError, messageOf } from './errors.ts';

export type { Problem } from './config/reading.ts';

export type Config = {
  /** 0 is any free port. */
  readonly ports: {
    readonly gateway: number;
    readonly agentRegistration: number;
    readonly worker: number;
    readonly mcpAdapter: number;
    readonly simulator: number;
    readonly demoAgent: number;
  };
  readonly host: string;
  /** Scheme, host and perhaps a path prefix; no trailing slash. */
  readonly publicUrl: string;
  /** Where operators open the console: scheme and host. */
  readonly consoleUrl: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly database: { readonly kind: 'embedded' } | { readonly kind: 'external'; readonly url: string };
  /** Where texts wait for a database that is away, and how much of them; null: nowhere. */
  readonly spool: { readonly directory: string; readonly maxBytes: number } | null;
  readonly pools: { readonly web: number; readonly worker: number; readonly admin: number };
  readonly carrier:
    | { readonly kind: 'simulator' }
    | {
        readonly kind: 'twilio';
        readonly accountSid: string;
        /** The current token first; webhooks signed with any of them are authentic. */
        readonly authTokens: readonly string[];
        readonly apiUrl: string;
        readonly messagingServiceSid: string | null;
      };
  /** Ours, E.164, each once. Empty only when a messaging service chooses the number. */
  readonly numbers: readonly string[];
  readonly quietMs: number;
  readonly agentDeadlines: { readonly connectMs: number; readonly firstByteMs: number; readonly totalMs: number };
  /** All attempts of one turn together. */
  readonly turnMs: number;
  /** Turns held at once by one worker. */
  readonly concurrency: number;
  /** What the carrier charges, micro-dollars; without the networks' fees. */
  readonly prices: { readonly segment: number; readonly mms: number };
  /** How long an operator keeps a conversation after their last act. */
  readonly takeoverMinutes: number;
  /** Between probes of an agent; null: none are made. */
  readonly probeMs: number | null;
  /** The carrier answers STOP, START and HELP by itself. */
  readonly carrierKeywords: boolean;
  readonly pacing: boolean;
  /** Null: generated under `dataDir`, or not needed by the parts that run. */
  readonly registrationSecret: string | null;
  /** 32 bytes; null: generated under `dataDir`. */
  readonly secretKey: Buffer | null;
  /** CIDRs an agent may live in besides the public internet. */
  readonly egressAllow: readonly string[];
  /** The agent that the environment names. */
  readonly agent: AgentSettings | null;
  readonly demoAgent: boolean;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly logFormat: 'pretty' | 'json';
  readonly shutdownMs: number;
};

export const PARTS = ['gateway', 'worker', 'mcp-adapter', 'agent-registration'] as const;
export type Part = (typeof PARTS)[number];

/** What a configuration depends on besides the environment. */
export type Situation = {
  /** True when log lines go to a terminal. */
  readonly tty: boolean;
  /** Relative paths start here. */
  readonly baseDir: string;
  /** The parts this process runs; some variables are required by one part only. */
  readonly parts: readonly Part[];
};

const TWILIO_API = 'https://api.twilio.com';
const SIMULATOR_NUMBER = '+15550001111';
const LOOPBACK = ['127.0.0.0/8', '::1/128'] as const;

/** Step one: the texts of our variables and the names of all others. Decides nothing. */
export function readEnv(env: NodeJS.ProcessEnv): RawEnv {
  const texts: Partial<Record<Name, string>> = {};
  for (const name of NAMES) if (env[name] !== undefined) texts[name] = env[name];
  return { texts, otherNames: Object.keys(env).filter((name) => !(name in texts)) };
}

/** Step two: the configuration, or every problem at once. Pure; warnings and problems never hold a secret. */
export function toConfig(
  raw: RawEnv,
  situation: Situation,
): { ok: true; config: Config; warnings: string[] } | { ok: false; problems: Problem[] } {
  const reading = createReading(raw);
  for (const warning of mistypedNames(raw.otherNames)) reading.warn(warning);
  const config = assemble(reading, situation);
  if (config === null || reading.problems.length > 0) return { ok: false, problems: reading.problems };
  return { ok: true, config, warnings: reading.warnings };
}

/** Adds what DARKSPERE_ENV_FILE holds to the environment, whose own values win; without that variable what `usual` holds, if it is there. */
export function readEnvFile(usual: string): void {
  const named = process.env.DARKSPERE_ENV_FILE;
  const file = named ?? usual;
  if (file === '' || (named === undefined && !existsSync(file))) return;
  try {
    process.loadEnvFile(file);
  } catch (error) {
    throw new Error(`DARKSPERE_ENV_FILE cannot be read: ${messageOf(error)}. Name a file, or nothing for none.`);
  }
}

/** Both steps for a program. @throws DarkspereError `config_invalid`: one line per problem, secrets never among them. */
export function loadConfig(
  env: NodeJS.ProcessEnv = process.env,
  situation: Partial<Situation> = {},
): { config: Config; warnings: string[] } {
  const result = toConfig(readEnv(env), {
    tty: process.stdout.isTTY === true,
    baseDir: process.cwd(),
    parts: PARTS,
    ...situation,
  });
  if (result.ok) return { config: result.config, warnings: result.warnings };
  const lines = result.problems.map(({ variable, what, fix }) => `  ${variable} ${what}: ${fix}.`);
  const count = lines.length === 1 ? '1 problem' : `${lines.length} problems`;
  throw new DarkspereError('config_invalid', `The configuration has ${count}:\n${lines.join('\n')}`, {
    facts: { variables: result.problems.map(({ variable }) => variable) },
  });
}

/** Null stands for "a problem was noted": every part is read all the same, so that all problems are found. */
function assemble(reading: Reading, situation: Situation): Config | null {
  const value = <N extends Name>(name: N): Value<N> => reading.read(name) as Value<N>;
  const simulated = !reading.isSet('TWILIO_ACCOUNT_SID') && !reading.isSet('TWILIO_AUTH_TOKEN');
  const carrier = simulated ? simulator(reading) : twilio(reading);
  const numbers = reading.read('TWILIO_PHONE_NUMBERS') ?? (simulated ? [SIMULATOR_NUMBER] : []);
  const publicUrl = readPublicUrl(reading, simulated);
  const consoleUrl = readConsoleUrl(reading, publicUrl);
  const database = readDatabase(reading);
  const embedded = database?.kind === 'embedded';
  const choice = value('DARKSPERE_DEMO_AGENT');
  const agent = readAgent(reading);
  const demoAgent = choice === 'auto' ? simulated && !reading.isSet('DARKSPERE_AGENT_URL') : choice === 'on';
  const format = value('DARKSPERE_LOG_FORMAT');
  const ports = readPorts(reading, situation, { simulated, demoAgent });
  const dataDir = resolve(situation.baseDir, value('DARKSPERE_DATA_DIR'));
  const rest = {
    host: reading.read('DARKSPERE_HOST') ?? (simulated ? '127.0.0.1' : '0.0.0.0'),
    dataDir,
    spool: readSpool(reading, situation, dataDir),
    pools: {
      web: reading.read('DARKSPERE_WEB_POOL') ?? (embedded ? 4 : 50),
      worker: reading.read('DARKSPERE_WORKER_POOL') ?? (embedded ? 6 : 100),
      admin: reading.read('DARKSPERE_ADMIN_POOL') ?? (embedded ? 2 : 10),
    },
    quietMs: value('DARKSPERE_QUIET_MS'),
    ...readDeadlines(reading),
    concurrency: value('DARKSPERE_CONCURRENCY'),
    prices: { segment: value('DARKSPERE_SEGMENT_MICRO_USD'), mms: value('DARKSPERE_MMS_MICRO_USD') },
    takeoverMinutes: value('DARKSPERE_TAKEOVER_MINUTES'),
    probeMs: value('DARKSPERE_PROBE_SECONDS') === 0 ? null : value('DARKSPERE_PROBE_SECONDS') * 1000,
    carrierKeywords: value('DARKSPERE_CARRIER_KEYWORDS') === 'on',
    pacing: value('DARKSPERE_PACING') === 'on',
    ...readSecrets(reading, { external: !embedded, parts: situation.parts }),
    egressAllow: readEgress(reading, { simulated, demoAgent }),
    agent,
    demoAgent,
    logLevel: value('LOG_LEVEL'),
    logFormat: format === 'auto' ? (situation.tty ? 'pretty' : 'json') : format,
    shutdownMs: value('DARKSPERE_SHUTDOWN_MS'),
  } as const;
  if (!simulated && !rest.pacing)
    reading.warn('DARKSPERE_PACING is off with a real carrier: it will throttle or block the texts.');
  return carrier === null || publicUrl === null || database === null
    ? null
    : { ports, publicUrl, consoleUrl, database, carrier, numbers, ...rest };
}

function simulator(reading: Reading): Config['carrier'] {
  reading.read('TWILIO_API_URL');
  reading.read('TWILIO_MESSAGING_SERVICE_SID');
  for (const name of ['TWILIO_API_URL', 'TWILIO_MESSAGING_SERVICE_SID'] as const) {
    if (reading.isSet(name))
      reading.warn(`${name} has no effect: without TWILIO_ACCOUNT_SID the simulator is the carrier.`);
  }
  return { kind: 'simulator' };
}

function twilio(reading: Reading): Config['carrier'] | null {
  const accountSid = reading.read('TWILIO_ACCOUNT_SID');
  const authTokens = reading.read('TWILIO_AUTH_TOKEN');
  const messagingServiceSid = reading.read('TWILIO_MESSAGING_SERVICE_SID');
  const apiUrl = reading.read('TWILIO_API_URL') ?? TWILIO_API;
  for (const name of ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN'] as const) {
    if (!reading.isSet(name))
      reading.problem(name, 'is missing', 'set both it and its partner, or neither to use the simulator');
  }
  if (!reading.isSet('TWILIO_PHONE_NUMBERS') && !reading.isSet('TWILIO_MESSAGING_SERVICE_SID')) {
    reading.problem(
      'TWILIO_PHONE_NUMBERS',
      'is missing',
      'list your Twilio numbers, or set TWILIO_MESSAGING_SERVICE_SID',
    );
  }
  if (apiUrl.startsWith('http:'))
    reading.warn('TWILIO_API_URL is plain http: the auth token crosses that network unprotected.');
  return accountSid === null || authTokens === null
    ? null
    : { kind: 'twilio', accountSid, authTokens, apiUrl, messagingServiceSid };
}

function readPublicUrl(reading: Reading, simulated: boolean): string | null {
  const publicUrl = reading.read('PUBLIC_URL');
  if (simulated) return publicUrl ?? `http://localhost:${reading.read('PORT')}`;
  if (!reading.isSet('PUBLIC_URL')) {
    reading.problem('PUBLIC_URL', 'is missing', 'set the https address under which Twilio reaches the gateway');
  }
  if (publicUrl === null) return null;
  const { protocol, hostname } = new URL(publicUrl);
  if (hostname.includes('_')) {
    // The status callback is built on this address and Twilio takes none whose host has an underscore: every send would fail.
    reading.problem('PUBLIC_URL', 'has an underscore in its host, which Twilio refuses', 'use a host name without one');
  }
  if (protocol === 'http:') {
    if (reading.read('TWILIO_API_URL') === TWILIO_API)
      reading.problem('PUBLIC_URL', 'is plain http', 'use https: texts would cross the internet unprotected');
    else reading.warn('PUBLIC_URL is plain http: texts reach the gateway unprotected.');
  }
  return publicUrl;
}

/** The console stands at the root of its host: its pages and its cookie know no prefix. */
function readConsoleUrl(reading: Reading, publicUrl: string | null): string {
  const wanted = reading.read('DARKSPERE_CONSOLE_URL');
  if (wanted !== null) {
    const { origin, pathname } = new URL(wanted);
    if (pathname !== '/') reading.problem('DARKSPERE_CONSOLE_URL', 'has a path', 'leave it out: scheme and host only');
    return origin;
  }
  if (publicUrl !== null && new URL(publicUrl).pathname === '/') return publicUrl;
  return `http://localhost:${reading.read('PORT')}`;
}

function readDatabase(reading: Reading): Config['database'] | null {
  const older = (['DB_HOST', 'DB_PORT', 'DB_NAME', 'DB_USER', 'DB_PASSWORD'] as const).filter(reading.isSet);
  const [host, port, name, user, password] = [
    reading.read('DB_HOST'),
    reading.read('DB_PORT'),
    reading.read('DB_NAME'),
    reading.read('DB_USER'),
    reading.read('DB_PASSWORD'),
  ];
  if (reading.isSet('DATABASE_URL')) {
    if (older.length > 0)
      reading.warn(`DATABASE_URL decides: ${older.join(', ')} ${older.length === 1 ? 'has' : 'have'} no effect.`);
    const url = reading.read('DATABASE_URL');
    return url === null ? null : { kind: 'external', url };
  }
  if (older.length === 0) return { kind: 'embedded' };
  if (!older.includes('DB_HOST')) {
    reading.problem(
      'DB_HOST',
      `is missing beside ${older.join(', ')}`,
      'set it (or DATABASE_URL), or remove them to use the embedded database',
    );
  }
  if (host === null) return null;
  const login = encodeURIComponent(user!) + (password === null ? '' : `:${encodeURIComponent(password)}`);
  const address = host.includes(':') ? `[${host}]` : host;
  return { kind: 'external', url: `postgres://${login}@${address}:${port}/${encodeURIComponent(name!)}` };
}

function readSpool(reading: Reading, { baseDir }: Situation, dataDir: string): Config['spool'] {
  const directory = reading.read('DARKSPERE_SPOOL_DIR');
  const megabytes = reading.read('DARKSPERE_SPOOL_MAX_MB') as number;
  if (megabytes === 0) return null;
  return {
    directory: directory === null ? join(dataDir, 'spool') : resolve(baseDir, directory),
    maxBytes: megabytes * 1024 * 1024,
  };
}

function readPorts(
  reading: Reading,
  { parts }: Situation,
  runs: { simulated: boolean; demoAgent: boolean },
): Config['ports'] {
  const taken = new Map<number, Name>();
  const port = (
    name:
      | 'PORT'
      | 'MCP_ADAPTER_PORT'
      | 'AGENT_REGISTRATION_PORT'
      | 'WORKER_PORT'
      | 'DARKSPERE_SIMULATOR_PORT'
      | 'DARKSPERE_DEMO_AGENT_PORT',
    used: boolean,
  ) => {
    const number = reading.read(name) as number;
    const other = taken.get(number);
    if (used && number !== 0 && other !== undefined)
      reading.problem(name, `is the same port as ${other} (${number})`, 'give each its own');
    if (used) taken.set(number, name);
    return number;
  };
  return {
    gateway: port('PORT', parts.includes('gateway')),
    mcpAdapter: port('MCP_ADAPTER_PORT', parts.includes('mcp-adapter')),
    agentRegistration: port('AGENT_REGISTRATION_PORT', parts.includes('agent-registration')),
    worker: port('WORKER_PORT', parts.includes('worker')),
    simulator: port('DARKSPERE_SIMULATOR_PORT', runs.simulated),
    demoAgent: port('DARKSPERE_DEMO_AGENT_PORT', runs.demoAgent),
  };
}

function readDeadlines(reading: Reading): Pick<Config, 'agentDeadlines' | 'turnMs'> {
  const milliseconds = (
    name:
      | 'DARKSPERE_AGENT_CONNECT_MS'
      | 'DARKSPERE_AGENT_FIRST_BYTE_MS'
      | 'DARKSPERE_AGENT_TOTAL_MS'
      | 'DARKSPERE_TURN_MS',
  ) => reading.read(name) as number;
  const totalMs = milliseconds('DARKSPERE_AGENT_TOTAL_MS');
  for (const name of ['DARKSPERE_AGENT_CONNECT_MS', 'DARKSPERE_AGENT_FIRST_BYTE_MS'] as const) {
    if (milliseconds(name) > totalMs)
      reading.warn(`${name} has no effect: DARKSPERE_AGENT_TOTAL_MS (${totalMs}) ends the call before.`);
  }
  const turnMs = milliseconds('DARKSPERE_TURN_MS');
  if (turnMs < totalMs)
    reading.warn(`DARKSPERE_TURN_MS (${turnMs}) ends a turn before one call of an agent may end (${totalMs}).`);
  return {
    agentDeadlines: {
      connectMs: milliseconds('DARKSPERE_AGENT_CONNECT_MS'),
      firstByteMs: milliseconds('DARKSPERE_AGENT_FIRST_BYTE_MS'),
      totalMs,
    },
    turnMs,
  };
}

function readSecrets(
  reading: Reading,
  { external, parts }: { external: boolean; parts: readonly Part[] },
): Pick<Config, 'registrationSecret' | 'secretKey'> {
  // Machines that share a database must share these two; a file under one machine's data directory cannot do that.
  if (external && parts.includes('agent-registration') && !reading.isSet('REGISTRATION_SECRET')) {
    reading.problem(
      'REGISTRATION_SECRET',
      'is missing and required with an external database',
      'set it, for example from `openssl rand -hex 32`',
    );
  }
  if (external && !reading.isSet('DARKSPERE_SECRET_KEY')) {
    reading.problem(
      'DARKSPERE_SECRET_KEY',
      'is missing and required with an external database',
      'set it, for example from `openssl rand -base64 32`',
    );
  }
  return { registrationSecret: reading.read('REGISTRATION_SECRET'), secretKey: reading.read('DARKSPERE_SECRET_KEY') };
}

function readEgress(
  reading: Reading,
  { simulated, demoAgent }: { simulated: boolean; demoAgent: boolean },
): readonly string[] {
  const networks = reading.read('DARKSPERE_EGRESS_ALLOW') ?? (simulated ? LOOPBACK : []);
  if (networks.some((network) => network.endsWith('/0'))) {
    reading.warn('DARKSPERE_EGRESS_ALLOW lets agents live anywhere, the internal network and cloud metadata included.');
  }
  if (demoAgent && !networks.some((network) => network.startsWith('127.') || network.endsWith('/0'))) {
    reading.warn(
      'The demo agent lives on loopback: add 127.0.0.0/8 to DARKSPERE_EGRESS_ALLOW, or set DARKSPERE_DEMO_AGENT=off.',
    );
  }
  return networks;
}
