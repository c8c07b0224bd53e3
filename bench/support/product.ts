// The product as its own process on an embedded PostgreSQL with production durability, in a folder that goes away.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { type Embedded, startEmbedded } from '../../src/database/embedded.ts';
import { freePort } from '../../test/support/free-port.ts';
import { type Account, publicUrl } from './carrier-side.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const START_MS = 60_000;
/** As bin/launch.mjs starts it. */
const NODE_FLAGS = ['--max-semi-space-size=8'];

// What was started ends with us, also when we are told to end: the handlers of `exit` see to it.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(code));

/** A new cluster with the product's own settings; closed and removed with the stack. One in a `keep` folder stays there. */
export async function openDatabase(
  stack: AsyncDisposableStack,
  settings: Readonly<Record<string, string>> = {},
  keep?: string,
): Promise<Embedded> {
  const folder = keep ?? (await mkdtemp(join(tmpdir(), 'darkspere-bench-')));
  const remove = (path: string) => {
    if (keep === undefined) stack.defer(() => rm(path, { recursive: true, force: true }));
  };
  await mkdir(folder, { recursive: true });
  remove(folder);
  await chmod(folder, 0o755);
  const embedded = await startEmbedded({ dataDir: folder, settings });
  // As root the cluster may have been put where its user can reach it, outside the folder.
  const home = realpathSync(join(folder, 'postgres'));
  // SIGINT is PostgreSQL's fast shutdown: for a benchmark that breaks.
  const end = () => process.kill(embedded.pid, 'SIGINT');
  process.once('exit', end);
  stack.defer(() => {
    process.off('exit', end);
  });
  remove(home);
  stack.defer(() => embedded.stop());
  return embedded;
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

export type Product = {
  readonly pid: number;
  /** The end of its log: warnings and errors only. */
  said(): string;
  /** Throws what it last said when it has ended. */
  assertAlive(): void;
  /** What an agent needs to register. */
  readonly registration: { readonly url: string; readonly secret: string };
};

export type ProductOptions = {
  readonly account: Account;
  readonly databaseUrl: string;
  readonly carrierUrl: string;
  readonly ports: { readonly registration: number; readonly worker: number };
  /** Parts to start; none means all. */
  readonly parts: readonly string[];
  readonly nodeArguments?: readonly string[];
  /** What several processes of one installation share; a single one makes its own. */
  readonly secrets?: Secrets;
  /** Turns that a worker holds at once; without it the product's default. */
  readonly concurrency?: number;
};

export type Secrets = { readonly key: string; readonly registration: string };

export function newSecrets(): Secrets {
  return { key: randomBytes(32).toString('base64'), registration: randomBytes(24).toString('hex') };
}

/** Starts the product and waits until it is ready. It has the pools it gives itself on an embedded database. */
export async function startProduct(stack: AsyncDisposableStack, options: ProductOptions): Promise<Product> {
  const { account, ports, parts } = options;
  const { key, registration: secret } = options.secrets ?? newSecrets();
  const folder = await mkdtemp(join(tmpdir(), 'darkspere-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [...NODE_FLAGS, ...(options.nodeArguments ?? []), MAIN, 'start', ...parts], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      // Not the settings of whoever runs this.
      DARKSPERE_ENV_FILE: '',
      PORT: String(account.port),
      // Nobody asks it; any free port.
      MCP_ADAPTER_PORT: '0',
      AGENT_REGISTRATION_PORT: String(ports.registration),
      WORKER_PORT: String(ports.worker),
      DARKSPERE_HOST: '127.0.0.1',
      PUBLIC_URL: publicUrl(account),
      DATABASE_URL: options.databaseUrl,
      DARKSPERE_WEB_POOL: '4',
      DARKSPERE_WORKER_POOL: '6',
      DARKSPERE_ADMIN_POOL: '2',
      DARKSPERE_DATA_DIR: folder,
      DARKSPERE_SECRET_KEY: key,
      REGISTRATION_SECRET: secret,
      TWILIO_ACCOUNT_SID: account.sid,
      TWILIO_AUTH_TOKEN: account.token,
      TWILIO_PHONE_NUMBERS: account.number,
      TWILIO_API_URL: options.carrierUrl,
      DARKSPERE_EGRESS_ALLOW: '127.0.0.0/8',
      DARKSPERE_PACING: 'off',
      DARKSPERE_QUIET_MS: '0',
      ...(options.concurrency === undefined ? {} : { DARKSPERE_CONCURRENCY: String(options.concurrency) }),
      LOG_LEVEL: 'warn',
      DARKSPERE_LOG_FORMAT: 'json',
    },
  });
  const said = lastWords(child);
  const ended = once(child, 'exit');
  // A benchmark that breaks must not leave the product behind.
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  stack.defer(() => {
    process.off('exit', end);
  });
  stack.defer(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  });
  const health = parts.length === 0 || parts.includes('gateway') ? account.port : ports.worker;
  await ready(child, `http://127.0.0.1:${health}/ready`, said);
  if (parts.length === 0) await ready(child, `http://127.0.0.1:${ports.worker}/ready`, said);
  const assertAlive = () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`The product ended:\n${said()}`);
  };
  return {
    pid: child.pid!,
    said,
    assertAlive,
    registration: { url: `http://127.0.0.1:${ports.registration}`, secret },
  };
}

/** Keeps the end of what a process says, for the one case that it fails. */
function lastWords(child: ChildProcess): () => string {
  let text = '';
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-4_000);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return () => text;
}

async function ready(child: ChildProcess, url: string, said: () => string): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`The product ended at its start:\n${said()}`);
    const status = await request(url).then(
      async (answer) => {
        await answer.body.dump();
        return answer.statusCode;
      },
      () => 0,
    );
    if (status === 200) return;
    await sleep(25);
  }
  throw new Error(`The product was not ready after ${START_MS / 1000} s:\n${said()}`);
}

/** Registers a 0 ms agent of the `envelope` protocol. */
export async function registerAgent({ registration }: Product, agentUrl: string): Promise<void> {
  const answer = await request(`${registration.url}/api/agents/register?probe=skip`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      registration_secret: registration.secret,
      agent_name: 'bench',
      agent_type: 'chat',
      endpoint_url: agentUrl,
      capabilities: [],
      max_concurrent_sessions: 100_000,
    }),
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 201) throw new Error(`The agent was not registered: ${text}`);
}
