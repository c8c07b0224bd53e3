// Darkspere as its users run it, in processes that a test can kill. The carrier and the agents live in the test, so they
// see everything that any of the processes does.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startSimulator } from '../../src/channels/simulator/simulator.ts';
import { freshDatabase } from './database.ts';
import { freePort } from './free-port.ts';
import { endChildWithUs, endWithUs, removeData } from './left-behind.ts';
import { type AgentOptions, type Behaviour, startScriptedAgent } from './scripted-agent.ts';
import { newSid, postSigned } from './signed-webhook.ts';
import { until } from './until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const START_MS = 30_000;

export const OUR_NUMBER = '+15550001111';

export type Program = {
  readonly child: ChildProcess;
  /** Everything it has printed. */
  output(): string;
  readonly urls: { readonly gateway: string; readonly agents: string; readonly worker: string };
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  /** Sends a signal; resolves when the process is gone, unless it only stops or goes on. */
  kill(signal: NodeJS.Signals): Promise<void>;
};

/** The settings of whoever runs the tests are not the program's: their .env may name a carrier and a database. */
export const NOBODYS = { DARKSPERE_ENV_FILE: '', NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE };

/** Runs `darkspere start …` without waiting for anything. */
export function runProgram(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...NOBODYS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  endChildWithUs(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  return { child, output: () => text, exited };
}

export type Installation = Awaited<ReturnType<typeof install>>;

type InstallOptions = {
  /** It has a database on the test's server, else its own embedded one. */
  readonly external: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** The carrier is the simulator that the program starts itself. */
  readonly ownSimulator?: true;
};

/**
 * One installation: a carrier, settings, a place for data; `start` runs a process of it, as often as wanted. Everything ends
 * with the test.
 */
export async function install(t: TestContext, options: InstallOptions) {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  const dataDir = await mkdtemp(join(tmpdir(), 'darkspere-program-'));
  const isGone = endWithUs({ dataDir });
  stack.defer(() => removeData(dataDir).then(isGone));
  const database = options.external ? await freshDatabase({ web: 1, worker: 1, admin: 1 }) : null;
  if (database) stack.defer(() => database.drop());

  const accountSid = newSid('AC');
  const authToken = randomBytes(16).toString('hex');
  const gatewayUrl = `http://localhost:${await freePort()}`;
  const webhookUrl = `${gatewayUrl}/webhooks/twilio/messages`;
  const simulator = await startSimulator({
    port: 0,
    accountSid,
    authToken,
    numbers: [OUR_NUMBER],
    webhookUrl,
    pacing: 'off',
  });
  stack.defer(() => simulator.close());
  const registrationSecret = randomBytes(16).toString('hex');
  const env: Record<string, string> = {
    ...(database ? { DATABASE_URL: database.url } : {}),
    DARKSPERE_DATA_DIR: dataDir,
    DARKSPERE_HOST: '127.0.0.1',
    PUBLIC_URL: gatewayUrl,
    PORT: new URL(gatewayUrl).port,
    MCP_ADAPTER_PORT: '0',
    AGENT_REGISTRATION_PORT: '0',
    WORKER_PORT: '0',
    ...(options.ownSimulator
      ? { DARKSPERE_SIMULATOR_PORT: '0' }
      : { TWILIO_ACCOUNT_SID: accountSid, TWILIO_AUTH_TOKEN: authToken, TWILIO_API_URL: simulator.url }),
    TWILIO_PHONE_NUMBERS: OUR_NUMBER,
    DARKSPERE_EGRESS_ALLOW: '127.0.0.0/8',
    DARKSPERE_DEMO_AGENT: 'off',
    DARKSPERE_PACING: 'off',
    DARKSPERE_QUIET_MS: '0',
    DARKSPERE_SHUTDOWN_MS: '3000',
    DARKSPERE_SECRET_KEY: randomBytes(32).toString('base64'),
    DARKSPERE_WEB_POOL: '4',
    DARKSPERE_WORKER_POOL: '6',
    DARKSPERE_ADMIN_POOL: '1',
    REGISTRATION_SECRET: registrationSecret,
    LOG_LEVEL: 'warn',
    DARKSPERE_LOG_FORMAT: 'json',
    ...options.env,
  };

  async function start(parts: readonly string[] = [], more: Readonly<Record<string, string>> = {}): Promise<Program> {
    const { child, output, exited } = runProgram(['start', ...parts], { ...env, ...more });
    const gone = () => child.exitCode !== null || child.signalCode !== null;
    stack.defer(async () => {
      if (gone()) return;
      child.kill('SIGCONT');
      child.kill('SIGKILL');
      await exited;
    });
    await until(
      () => {
        if (gone()) return true;
        return output().includes('Darkspere is ready');
      },
      { what: 'the start of Darkspere', timeoutMs: START_MS },
    );
    if (gone()) throw new Error(`Darkspere did not start:\n${output()}`);
    const url = (name: string) => new RegExp(`^ {2}${name} +(http://[^/\\s]+)`, 'm').exec(output())?.[1] ?? '';
    return {
      child,
      output,
      urls: { gateway: url('gateway'), agents: url('agents'), worker: url('worker') },
      exited,
      async kill(signal) {
        child.kill(signal);
        if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await exited;
      },
    };
  }

  return {
    env,
    dataDir,
    database,
    simulator,
    start,
    /** Registers a scripted agent through a running process. */
    async agent(program: Program, behaviour: Behaviour, more: AgentOptions = {}) {
      const host = { gateway: gatewayUrl, registration: program.urls.agents, registrationSecret };
      const added = await startScriptedAgent(host, behaviour, more);
      stack.defer(added.down);
      return added;
    },
    /**
     * Texts as somebody whose carrier does not give up: the same webhook again and again until it is answered 200, as with
     * a fallback URL. A copy of a text that was stored must not be answered twice.
     */
    async textForSure(from: string, body: string): Promise<void> {
      const fields = {
        AccountSid: accountSid,
        MessageSid: newSid(),
        From: from,
        To: OUR_NUMBER,
        Body: body,
        NumMedia: '0',
      };
      await until(async () => (await postSigned(fields, { authToken, url: webhookUrl })).status === 200, {
        what: 'a webhook being taken',
        timeoutMs: START_MS,
        intervalMs: 50,
      });
    },
    /** What the carrier took from us for this phone, oldest first. */
    sent: (phone: string) =>
      simulator
        .messages()
        .filter((message) => message.to === phone && message.direction === 'outbound-api')
        .map((message) => message.body)
        .toReversed(),
  };
}
