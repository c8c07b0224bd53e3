// Every environment variable the product reads, as data: reading, `.env.example` and docs/reference/config.md follow from
// this table, so none of them can disagree with another.

/** How the text of a variable becomes a value; `ValueOf` says which one. */
export type Kind =
  | { readonly is: 'port' }
  | {
      readonly is: 'integer';
      readonly min: number;
      readonly max: number;
      readonly unit: 'milliseconds' | 'minutes' | 'seconds' | 'megabytes' | 'micro-dollars' | 'count';
    }
  | { readonly is: 'choice'; readonly of: readonly string[] }
  | { readonly is: 'text' }
  | { readonly is: 'host' }
  | { readonly is: 'http-url' }
  | { readonly is: 'postgres-url' }
  | { readonly is: 'sid'; readonly prefix: 'AC' | 'MG' }
  | { readonly is: 'phones' }
  | { readonly is: 'networks' }
  | { readonly is: 'password' }
  /** Refused when empty, a placeholder or shorter than 16 characters. */
  | { readonly is: 'secret' }
  /** Comma-separated secrets, the current one first. */
  | { readonly is: 'secrets' }
  /** Base64 of exactly 32 bytes. */
  | { readonly is: 'key' };

export type ValueOf<K extends Kind> = K extends { is: 'port' | 'integer' }
  ? number
  : K extends { is: 'choice'; of: readonly (infer Choice)[] }
    ? Choice
    : K extends { is: 'phones' | 'networks' | 'secrets' }
      ? readonly string[]
      : K extends { is: 'key' }
        ? Buffer
        : string;

export const SECTIONS = [
  'Network',
  'Carrier',
  'Database and storage',
  'Secrets',
  'Conversations',
  'Agents',
  'Logging',
] as const;

export type Variable = {
  readonly section: (typeof SECTIONS)[number];
  readonly kind: Kind;
  /** What holds when the variable is absent; null when that is nothing, or follows from other variables (`otherwise`). */
  readonly default: string | null;
  /** In words: what holds when the variable is absent and there is no fixed default. */
  readonly otherwise?: string;
  readonly description: string;
  /** Its value never leaves the process: not in messages, not in logs, not as a prefix. */
  readonly secret?: true;
};

export const VARIABLES = {
  PORT: {
    section: 'Network',
    kind: { is: 'port' },
    default: '8000',
    description:
      'Port of the gateway: Twilio webhooks and the /v1 API. 0 takes any free port, here and for every other port.',
  },
  MCP_ADAPTER_PORT: {
    section: 'Network',
    kind: { is: 'port' },
    default: '8001',
    description: 'Port of the MCP adapter: agents asked over HTTP, whatever protocol they speak.',
  },
  AGENT_REGISTRATION_PORT: {
    section: 'Network',
    kind: { is: 'port' },
    default: '8002',
    description: 'Port of the registration service for agents.',
  },
  WORKER_PORT: {
    section: 'Network',
    kind: { is: 'port' },
    default: '8005',
    description: 'Port where the worker serves /health, /ready and /metrics.',
  },
  DARKSPERE_SIMULATOR_PORT: {
    section: 'Network',
    kind: { is: 'port' },
    default: '8006',
    description: 'Port of the simulated carrier, used only while no Twilio account is configured.',
  },
  DARKSPERE_DEMO_AGENT_PORT: {
    section: 'Network',
    kind: { is: 'port' },
    default: '8007',
    description: 'Port of the demo agent.',
  },
  DARKSPERE_HOST: {
    section: 'Network',
    kind: { is: 'host' },
    default: null,
    otherwise: '127.0.0.1 with the simulator, 0.0.0.0 with a real carrier',
    description: 'Address the services listen on.',
  },
  PUBLIC_URL: {
    section: 'Network',
    kind: { is: 'http-url' },
    default: null,
    otherwise: 'http://localhost:PORT with the simulator; required with Twilio',
    description:
      'The address under which Twilio reaches the gateway: scheme and host exactly as Twilio calls them, because the webhook signature covers them. May carry a path prefix.',
  },
  DARKSPERE_CONSOLE_URL: {
    section: 'Network',
    kind: { is: 'http-url' },
    default: null,
    otherwise: 'the host of PUBLIC_URL; http://localhost:PORT when that has a path',
    description:
      'Where operators open the console, when that is not PUBLIC_URL: a name inside your network, say. Scheme and host only. With https the session cookie is sent over https alone.',
  },
  TWILIO_ACCOUNT_SID: {
    section: 'Carrier',
    kind: { is: 'sid', prefix: 'AC' },
    default: null,
    otherwise: 'the simulator is the carrier',
    description: 'The Twilio account (AC and 32 hexadecimal digits).',
  },
  TWILIO_AUTH_TOKEN: {
    section: 'Carrier',
    kind: { is: 'secrets' },
    default: null,
    otherwise: 'required with TWILIO_ACCOUNT_SID',
    description:
      'The auth token of that account. While rotating: the current and the next token, separated by a comma.',
    secret: true,
  },
  TWILIO_PHONE_NUMBERS: {
    section: 'Carrier',
    kind: { is: 'phones' },
    default: null,
    otherwise: '+15550001111 with the simulator; with Twilio required unless TWILIO_MESSAGING_SERVICE_SID is set',
    description: 'Our phone numbers in E.164 form, separated by commas.',
  },
  TWILIO_MESSAGING_SERVICE_SID: {
    section: 'Carrier',
    kind: { is: 'sid', prefix: 'MG' },
    default: null,
    otherwise: 'texts are sent from the number that was texted',
    description: 'A Twilio messaging service to send through (MG and 32 hexadecimal digits).',
  },
  TWILIO_API_URL: {
    section: 'Carrier',
    kind: { is: 'http-url' },
    default: 'https://api.twilio.com',
    description: 'Where the Twilio API is: Twilio itself or any compatible server.',
  },
  DARKSPERE_SEGMENT_MICRO_USD: {
    section: 'Carrier',
    kind: { is: 'integer', min: 0, max: 10_000_000, unit: 'micro-dollars' },
    // https://www.twilio.com/en-us/sms/pricing/us, "current as of October 2026": $0.0083, both ways, for long codes, toll-free
    // numbers and short codes alike.
    default: '8300',
    description:
      'What the carrier charges for a segment, in millionths of a dollar: what the console shows a text to cost. The default is Twilio’s list price for the United States; the fees that the mobile networks add (about 3,000 to 6,000) are not in it.',
  },
  DARKSPERE_MMS_MICRO_USD: {
    section: 'Carrier',
    kind: { is: 'integer', min: 0, max: 10_000_000, unit: 'micro-dollars' },
    // The same page: $0.022 to send one, $0.0165 to receive one.
    default: '22000',
    description: 'The same for a message with a picture, whatever its length.',
  },
  DATABASE_URL: {
    section: 'Database and storage',
    kind: { is: 'postgres-url' },
    default: null,
    otherwise: 'an embedded PostgreSQL under DARKSPERE_DATA_DIR',
    description:
      'PostgreSQL 14 or newer, as postgres://user:password@host:port/name. Several hosts (host1:port,host2:port) are tried in turn: the one that takes writes is used.',
    secret: true,
  },
  DB_HOST: {
    section: 'Database and storage',
    kind: { is: 'host' },
    default: null,
    otherwise: 'DATABASE_URL decides',
    description: 'Older form of DATABASE_URL, in five parts: the host. DATABASE_URL wins over all five.',
  },
  DB_PORT: {
    section: 'Database and storage',
    kind: { is: 'port' },
    default: '5432',
    description: 'With DB_HOST: the port.',
  },
  DB_NAME: {
    section: 'Database and storage',
    kind: { is: 'text' },
    default: 'darkspere',
    description: 'With DB_HOST: the database.',
  },
  DB_USER: {
    section: 'Database and storage',
    kind: { is: 'text' },
    default: 'darkspere',
    description: 'With DB_HOST: the user.',
  },
  DB_PASSWORD: {
    section: 'Database and storage',
    kind: { is: 'password' },
    default: null,
    otherwise: 'no password is sent',
    description: 'With DB_HOST: the password.',
    secret: true,
  },
  DARKSPERE_DATA_DIR: {
    section: 'Database and storage',
    kind: { is: 'text' },
    default: '.darkspere',
    description:
      'Directory of the embedded PostgreSQL and of generated secrets; relative to where Darkspere is started.',
  },
  DARKSPERE_SPOOL_DIR: {
    section: 'Database and storage',
    kind: { is: 'text' },
    default: null,
    otherwise: '`spool` under DARKSPERE_DATA_DIR',
    description:
      'Where a gateway keeps texts while the database is away; on a disk that outlives the process. Several gateways may share it.',
  },
  DARKSPERE_SPOOL_MAX_MB: {
    section: 'Database and storage',
    kind: { is: 'integer', min: 0, max: 65_536, unit: 'megabytes' },
    default: '256',
    description:
      'What one gateway keeps there at most, about 3,000 texts per MB; what comes then is answered 503. 0 does without a spool.',
  },
  DARKSPERE_WEB_POOL: {
    section: 'Database and storage',
    kind: { is: 'integer', min: 1, max: 1000, unit: 'count' },
    default: null,
    otherwise: '4 embedded, 50 external',
    description: 'Database connections of the HTTP services.',
  },
  DARKSPERE_WORKER_POOL: {
    section: 'Database and storage',
    kind: { is: 'integer', min: 1, max: 1000, unit: 'count' },
    default: null,
    otherwise: '6 embedded, 100 external',
    description: 'Database connections of the worker.',
  },
  DARKSPERE_ADMIN_POOL: {
    section: 'Database and storage',
    kind: { is: 'integer', min: 1, max: 100, unit: 'count' },
    default: null,
    otherwise: '2 embedded, 10 external',
    description: 'Database connections for administration and migrations.',
  },
  REGISTRATION_SECRET: {
    section: 'Secrets',
    kind: { is: 'secret' },
    default: null,
    otherwise: 'generated under DARKSPERE_DATA_DIR with the embedded database; required with an external one',
    description: 'What an agent must know to register. At least 16 characters.',
    secret: true,
  },
  DARKSPERE_SECRET_KEY: {
    section: 'Secrets',
    kind: { is: 'key' },
    default: null,
    otherwise: 'generated under DARKSPERE_DATA_DIR with the embedded database; required with an external one',
    description:
      'Encrypts credentials in the database: 32 random bytes in base64 (`openssl rand -base64 32`), the same on every machine. Without it those credentials are lost: keep a copy.',
    secret: true,
  },
  DARKSPERE_QUIET_MS: {
    section: 'Conversations',
    kind: { is: 'integer', min: 0, max: 5000, unit: 'milliseconds' },
    default: '800',
    description: 'Texts that follow each other within this time are answered together. 0 answers each text at once.',
  },
  DARKSPERE_TURN_MS: {
    section: 'Conversations',
    kind: { is: 'integer', min: 1000, max: 3_600_000, unit: 'milliseconds' },
    default: '60000',
    description:
      'Time for one turn, all attempts at all agents together; then the person is told that nobody can answer.',
  },
  DARKSPERE_CONCURRENCY: {
    section: 'Conversations',
    kind: { is: 'integer', min: 1, max: 20_000, unit: 'count' },
    default: '2000',
    description: 'Turns that one worker holds at once.',
  },
  DARKSPERE_TAKEOVER_MINUTES: {
    section: 'Conversations',
    kind: { is: 'integer', min: 1, max: 10_080, unit: 'minutes' },
    default: '30',
    description:
      'How long after their last act an operator keeps a conversation that they have taken over; then the agent answers again.',
  },
  DARKSPERE_CARRIER_KEYWORDS: {
    section: 'Conversations',
    kind: { is: 'choice', of: ['on', 'off'] },
    default: 'on',
    description:
      'on: the carrier itself answers STOP, START and HELP, as Twilio does by default, and Darkspere stays silent. off: you have had that turned off at Twilio, so Darkspere answers them.',
  },
  DARKSPERE_PACING: {
    section: 'Conversations',
    kind: { is: 'choice', of: ['on', 'off'] },
    default: 'on',
    description: 'Sends texts no faster than the carrier allows. Off is for load tests against the simulator only.',
  },
  DARKSPERE_SHUTDOWN_MS: {
    section: 'Conversations',
    kind: { is: 'integer', min: 0, max: 600_000, unit: 'milliseconds' },
    default: '25000',
    description:
      'Time for running turns to end when the process is asked to stop; what is cut off then is taken up again at the next start.',
  },
  DARKSPERE_AGENT_CONNECT_MS: {
    section: 'Agents',
    kind: { is: 'integer', min: 1, max: 600_000, unit: 'milliseconds' },
    default: '3000',
    description: 'Time for an agent to take the connection.',
  },
  DARKSPERE_AGENT_FIRST_BYTE_MS: {
    section: 'Agents',
    kind: { is: 'integer', min: 1, max: 600_000, unit: 'milliseconds' },
    default: '20000',
    description: 'Time for an agent to begin its answer.',
  },
  DARKSPERE_AGENT_TOTAL_MS: {
    section: 'Agents',
    kind: { is: 'integer', min: 1, max: 600_000, unit: 'milliseconds' },
    default: '30000',
    description: 'Time for one call of an agent as a whole.',
  },
  DARKSPERE_PROBE_SECONDS: {
    section: 'Agents',
    kind: { is: 'integer', min: 0, max: 3_600, unit: 'seconds' },
    default: '30',
    description:
      'Time between probes of an agent that nobody has texted meanwhile; shorter after failures. 0: agents are judged by their calls alone.',
  },
  DARKSPERE_EGRESS_ALLOW: {
    section: 'Agents',
    kind: { is: 'networks' },
    default: null,
    otherwise: '127.0.0.0/8,::1/128 with the simulator, none with a real carrier',
    description:
      'Networks (CIDR, separated by commas) an agent may live in besides the public internet; `none` for none.',
  },
  DARKSPERE_AGENT_URL: {
    section: 'Agents',
    kind: { is: 'http-url' },
    default: null,
    description:
      'Endpoint of your agent: registered at the start, instead of the demo agent. More agents join through POST /api/agents/register.',
  },
  DARKSPERE_AGENT_PROTOCOL: {
    section: 'Agents',
    kind: { is: 'choice', of: ['envelope', 'openai', 'mcp', 'a2a'] },
    default: 'envelope',
    description:
      'How that agent is spoken to: the signed envelope, OpenAI-compatible Chat Completions, as an MCP server, or over A2A.',
  },
  DARKSPERE_AGENT_SECRET: {
    section: 'Agents',
    kind: { is: 'secret' },
    default: null,
    secret: true,
    description: 'Secret shared with that agent (whsec_ and base64), protocol envelope: it signs requests and answers.',
  },
  DARKSPERE_AGENT_KEY: {
    section: 'Agents',
    kind: { is: 'password' },
    default: null,
    secret: true,
    description: 'API key sent to that agent as a bearer token, any protocol but envelope.',
  },
  DARKSPERE_AGENT_MODEL: {
    section: 'Agents',
    kind: { is: 'text' },
    default: null,
    description: 'Model asked for, protocol openai.',
  },
  DARKSPERE_AGENT_INSTRUCTIONS: {
    section: 'Agents',
    kind: { is: 'text' },
    default: null,
    description: 'System message for that agent, protocol openai.',
  },
  DARKSPERE_DEMO_AGENT: {
    section: 'Agents',
    kind: { is: 'choice', of: ['auto', 'on', 'off'] },
    default: 'auto',
    description:
      'Runs the demo agent beside the product; auto runs it with the simulator, unless DARKSPERE_AGENT_URL names yours.',
  },
  DARKSPERE_ENV_FILE: {
    section: 'Database and storage',
    kind: { is: 'text' },
    default: null,
    otherwise: '.env beside the program, if there is one',
    description: 'File with more of these variables; those of the environment win. Empty: no file is read.',
  },
  LOG_LEVEL: {
    section: 'Logging',
    kind: { is: 'choice', of: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] },
    default: 'info',
    description: 'The least important level that is logged.',
  },
  DARKSPERE_LOG_FORMAT: {
    section: 'Logging',
    kind: { is: 'choice', of: ['auto', 'pretty', 'json'] },
    default: 'auto',
    description: 'How log lines look; auto is pretty on a terminal and json elsewhere.',
  },
} as const satisfies Record<string, Variable>;

export type Name = keyof typeof VARIABLES;
export type Value<N extends Name> = ValueOf<(typeof VARIABLES)[N]['kind']>;

export const NAMES = Object.keys(VARIABLES) as Name[];

/** The variable as its general type, for code that walks over the table. */
export function variable(name: Name): Variable {
  return VARIABLES[name];
}
