// What an agent is told by its author and by its environment. The author wins; everything wrong is said at once.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Protocol } from './chat.ts';
import { isSigningSecret, TOLERANCE_SECONDS } from './signature.ts';

/** Where an agent belongs, and how Darkspere is to find it. What is absent comes from the environment; see README. */
export type JoinSettings = {
  /** What operators call it, up to 100 characters. */
  readonly name: string;
  /** Which numbers ask it: they name a type. `AGENT_TYPE`, else `chat`. */
  readonly type?: string;
  /** Words that numbers may require; `chat` when absent. */
  readonly capabilities?: readonly string[];
  readonly version?: string;
  /** Anything of yours, up to 8 KiB as JSON; shown to operators. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** The most calls that Darkspere has under way at once, and that `serveAgent` answers at a time. 100 when absent. */
  readonly maxConcurrentSessions?: number;
  /** The service that registers agents. `REGISTRATION_URL`, else `http://127.0.0.1:8002`. */
  readonly registrationUrl?: string;
  /** `REGISTRATION_SECRET`; in development also the secret of a Darkspere in this folder or above it. */
  readonly registrationSecret?: string;
  /** The gateway, where late answers and texts of the agent's own go. `DARKSPERE_URL`, else `http://127.0.0.1:8000`. */
  readonly darkspereUrl?: string;
  /** The file that keeps what was issued, readable by its owner alone. `AGENT_STATE`, else `.darkspere-agent/<name>.json`. */
  readonly stateFile?: string;
  /** Between two heartbeats, milliseconds; 15,000 when absent. */
  readonly heartbeatMs?: number;
  /** Where lines for operators go; never a word of a conversation. To the standard streams when absent. */
  readonly log?: (level: 'info' | 'warn', line: string) => void;
};

export type ServeSettings = JoinSettings & {
  /** Over which protocol Darkspere asks; all are served. `AGENT_PROTOCOL`, else `envelope`. */
  readonly protocol?: Protocol;
  /** A sentence about the agent, for the protocols that describe themselves. */
  readonly description?: string;
  /** `PORT`, else 9000; 0 is any free one. */
  readonly port?: number;
  /** `AGENT_HOST`; loopback in development, all addresses in production. */
  readonly host?: string;
  /** Where Darkspere reaches the agent, `https://agent.example.com`. `AGENT_URL`; in development the port on loopback. */
  readonly publicUrl?: string;
  /** Secrets that were issued elsewhere, `whsec_…`, the newest first. `AGENT_SIGNING_SECRET`, separated by commas. */
  readonly signingSecrets?: readonly string[];
  /** Tokens that open MCP and A2A, beside the one that Darkspere is given. `AGENT_TOKEN`, separated by commas. */
  readonly tokens?: readonly string[];
  /** How far the caller's clock may be off, seconds; 300 when absent. */
  readonly toleranceSeconds?: number;
  /** How long a stop waits for answers under way, milliseconds; 25,000 when absent. */
  readonly drainMs?: number;
  /** False: SIGTERM and SIGINT are left to you; call `stop`. */
  readonly handleSignals?: boolean;
};

export type Environment = Readonly<Record<string, string | undefined>>;
export type Settled<T extends JoinSettings> = T &
  Required<Omit<JoinSettings, 'registrationSecret' | 'version'>> & {
    readonly registrationSecret: string | null;
    readonly isProduction: boolean;
  };

/** The settings of one that joins. Throws one Error that lists everything wrong. */
export function settleJoin<T extends JoinSettings>(given: T, environment: Environment): Settled<T> {
  const isProduction = environment.NODE_ENV === 'production';
  const name = given.name;
  const settled = {
    ...given,
    type: given.type ?? said(environment.AGENT_TYPE) ?? 'chat',
    capabilities: given.capabilities ?? ['chat'],
    metadata: given.metadata ?? {},
    maxConcurrentSessions: given.maxConcurrentSessions ?? 100,
    registrationUrl: trimmed(given.registrationUrl ?? said(environment.REGISTRATION_URL) ?? 'http://127.0.0.1:8002'),
    registrationSecret:
      given.registrationSecret ??
      said(environment.REGISTRATION_SECRET) ??
      (isProduction ? null : secretNearby(environment)),
    darkspereUrl: trimmed(given.darkspereUrl ?? said(environment.DARKSPERE_URL) ?? 'http://127.0.0.1:8000'),
    stateFile: resolve(given.stateFile ?? said(environment.AGENT_STATE) ?? `.darkspere-agent/${fileName(name)}.json`),
    heartbeatMs: given.heartbeatMs ?? 15_000,
    log: given.log ?? logTo(name),
    isProduction,
  };
  const problems = [
    ...problem(typeof name === 'string' && name.trim() !== '' && name.length <= 100, 'name: 1 to 100 characters.'),
    ...problem(settled.type !== '' && settled.type.length <= 50, 'type (AGENT_TYPE): 1 to 50 characters.'),
    ...problem(isHttp(settled.registrationUrl), 'registrationUrl (REGISTRATION_URL): an http or https address.'),
    ...problem(isHttp(settled.darkspereUrl), 'darkspereUrl (DARKSPERE_URL): an http or https address.'),
    ...problem(
      Number.isInteger(settled.maxConcurrentSessions) && settled.maxConcurrentSessions > 0,
      'maxConcurrentSessions: a whole number from 1.',
    ),
    ...problem(settled.heartbeatMs > 0, 'heartbeatMs: more than 0.'),
  ];
  if (problems.length > 0) throw new Error(`The settings of the agent are wrong:\n  ${problems.join('\n  ')}`);
  return settled;
}

export type Served = Omit<Settled<ServeSettings>, 'publicUrl'> &
  Required<Omit<ServeSettings, keyof JoinSettings | 'publicUrl'>> & { readonly publicUrl: string | null };

/** The settings of one that serves. Throws one Error that lists everything wrong. */
export function settleServe(given: ServeSettings, environment: Environment): Served {
  const joined = settleJoin(given, environment);
  const port = given.port ?? Number(said(environment.PORT) ?? '9000');
  const publicUrl = given.publicUrl ?? said(environment.AGENT_URL) ?? null;
  const settled = {
    ...joined,
    protocol: given.protocol ?? protocolIn(environment),
    description: given.description ?? `${given.name}, an agent that answers texts.`,
    port,
    host: given.host ?? said(environment.AGENT_HOST) ?? (joined.isProduction ? '::' : '127.0.0.1'),
    publicUrl: publicUrl === null ? null : trimmed(publicUrl),
    signingSecrets: given.signingSecrets ?? list(environment.AGENT_SIGNING_SECRET),
    tokens: given.tokens ?? list(environment.AGENT_TOKEN),
    toleranceSeconds: given.toleranceSeconds ?? TOLERANCE_SECONDS,
    drainMs: given.drainMs ?? 25_000,
    handleSignals: given.handleSignals ?? true,
  };
  const secrets = settled.signingSecrets.length > 0 || settled.tokens.length > 0;
  const problems = [
    ...problem(Number.isInteger(port) && port >= 0 && port <= 65_535, 'port (PORT): 0 to 65535.'),
    ...problem(publicUrl === null || isHttp(publicUrl), 'publicUrl (AGENT_URL): an http or https address.'),
    ...problem(
      settled.signingSecrets.every(isSigningSecret),
      'signingSecrets (AGENT_SIGNING_SECRET): whsec_ and at least 24 bytes in base64, several separated by commas.',
    ),
    ...problem(settled.tokens.every(isToken), 'tokens (AGENT_TOKEN): at least 16 visible characters each.'),
    ...problem(
      ['envelope', 'mcp', 'a2a'].includes(settled.protocol),
      'protocol (AGENT_PROTOCOL): envelope, mcp or a2a.',
    ),
    ...problem(settled.toleranceSeconds > 0, 'toleranceSeconds: more than 0.'),
    ...problem(
      !joined.isProduction || secrets || joined.registrationSecret !== null || existsSync(joined.stateFile),
      'In production nobody is answered unchecked: set REGISTRATION_SECRET to register, or AGENT_SIGNING_SECRET or AGENT_TOKEN.',
    ),
    ...problem(
      !joined.isProduction || joined.registrationSecret === null || publicUrl !== null,
      'publicUrl (AGENT_URL) is needed in production: the address at which Darkspere reaches this agent.',
    ),
  ];
  if (problems.length > 0) throw new Error(`The settings of the agent are wrong:\n  ${problems.join('\n  ')}`);
  return settled;
}

/** Checked with the rest, so that all problems are listed at once. */
function protocolIn(environment: Environment): Protocol {
  return (said(environment.AGENT_PROTOCOL) ?? 'envelope') as Protocol;
}

/** The registration secret that a Darkspere on this machine keeps for its owner: in its data folder here or above. */
function secretNearby(environment: Environment): string | null {
  const named = said(environment.DARKSPERE_DATA_DIR);
  if (named !== undefined) return secretIn(named);
  for (let at = process.cwd(); ; at = dirname(at)) {
    const secret = secretIn(join(at, '.darkspere'));
    if (secret !== null || at === dirname(at)) return secret;
  }
}

function secretIn(folder: string): string | null {
  try {
    return said(readFileSync(join(folder, 'registration-secret'), 'utf8').trim()) ?? null;
  } catch {
    return null;
  }
}

function logTo(name: string) {
  return (level: 'info' | 'warn', line: string): void => {
    (level === 'warn' ? process.stderr : process.stdout).write(`${name}: ${line}\n`);
  };
}

/** A problem for the list, unless it is none. */
export function problem(isFine: boolean, what: string): string[] {
  return isFine ? [] : [what];
}

const said = (value: string | undefined): string | undefined =>
  value === undefined || value === '' ? undefined : value;
const trimmed = (url: string): string => url.replace(/\/+$/, '');
const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
const isToken = (text: string): boolean => /^[\x21-\x7e]{16,}$/.test(text);
const fileName = (name: unknown): string =>
  String(name)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '') || 'agent';

function isHttp(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}
