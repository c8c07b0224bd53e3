// `darkspere start [part …]`: runs the parts of one process until it is told to stop.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';
import type { Answerers } from '../agents/agent-list.ts';
import { type Config, loadConfig, type Part } from '../config.ts';
import { isOutage } from '../database/faults.ts';
import { DarkspereError, messageOf } from '../errors.ts';
import { createLogger, type Logger } from '../observability/logger.ts';
import { type Runtime, startRuntime } from '../runtime.ts';
import { LOGIN_MINUTES } from '../security/sessions.ts';
import { onEnd } from './signals.ts';

const DEMO_AGENT = fileURLToPath(new URL('../../examples/demo-agent/agent.ts', import.meta.url));

/** Resolves with the exit code: 0 after a clean stop, 1 when something stood in the way, 2 for a bad configuration. */
export async function startCommand(parts: readonly Part[]): Promise<number> {
  let config: Config;
  let warnings: readonly string[];
  try {
    ({ config, warnings } = loadConfig(process.env, { parts }));
    refuseLonelySimulator(config, parts);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 2;
  }
  goOnUnread();
  const logger = createLogger(config);
  for (const warning of warnings) logger.warn(warning);

  const stopping = Promise.withResolvers<number>();
  const startedMs = performance.now();
  let runtime: Runtime;
  try {
    runtime = await startRuntime({
      config,
      parts,
      logger,
      onLost: (error) => {
        logger.fatal({ error: messageOf(error) }, 'the database is gone');
        stopping.resolve(1);
      },
    });
  } catch (error) {
    logger.fatal(describe(error));
    return error instanceof DarkspereError && error.category === 'configuration' ? 2 : 1;
  }
  const demo = config.demoAgent && runtime.registrationSecret !== null ? startDemo(config, runtime, logger) : null;
  listenForSignals(stopping, logger);
  await demo?.ready;
  // Taken before the login address is made: what comes after is not the start.
  const ms = performance.now() - startedMs;
  const numbers = await numberLines(config, runtime, demo?.child ?? null);
  const login = isForEyesOnly(config) ? await runtime.console?.firstLogin() : null;
  announce(runtime, { numbers, ms, login: login ?? null });

  const code = await stopping.promise;
  await runtime.stop();
  demo?.child.kill('SIGTERM');
  logger.info('stopped; nothing was lost');
  return code;
}

/** The simulator's identity lives in one process: parts on their own need a carrier that all of them can reach. */
function refuseLonelySimulator(config: Config, parts: readonly Part[]): void {
  if (config.carrier.kind !== 'simulator' || (parts.includes('gateway') && parts.includes('worker'))) return;
  throw new DarkspereError(
    'config_invalid',
    'The simulator runs only where gateway and worker share a process. Set the TWILIO_* variables (TWILIO_API_URL for a\nTwilio-compatible server), or start all parts together with `darkspere start`.',
  );
}

function describe(error: unknown): string {
  if (error instanceof DarkspereError) return `${error.code}: ${error.message}`;
  if (isOutage(error))
    return `The database went away during the start (${messageOf(error)}). Start again when it is back.`;
  return messageOf(error);
}

/** Ctrl-C reaches a process of a terminal's group once directly and again through npm: that is one wish, not two. */
const SAME_WISH_MS = 1_000;

/** The first signal stops in order; the second one ends the process where it is: what runs is found again from the rows. */
function listenForSignals(stopping: PromiseWithResolvers<number>, logger: Logger): void {
  let askedMs: number | null = null;
  onEnd(() => {
    const nowMs = performance.now();
    if (askedMs === null) {
      askedMs = nowMs;
      logger.info('stopping: finishing what runs (once more to force)');
      stopping.resolve(0);
    } else if (nowMs - askedMs > SAME_WISH_MS) {
      logger.warn('forced to stop; running turns will be taken up again at the next start');
      process.exit(130);
    }
  });
}

/** A terminal that was closed, a reader that has ended, a full disk: nobody reads what is printed, and people wait for answers. */
function goOnUnread(): void {
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => {});
}

/** `ready`: it is registered, or it has ended instead. */
type Demo = { readonly child: ChildProcess; readonly ready: Promise<void> };

/** The demo agent is a process of its own, like every agent; it ends when this one does. */
function startDemo(config: Config, runtime: Runtime, logger: Logger): Demo {
  const child = fork(DEMO_AGENT, { env: {}, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const ready = new Promise<void>((resolve) => {
    child.once('message', () => resolve());
    child.once('exit', () => resolve());
  });
  let lastWords = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    lastWords = `${lastWords}${chunk}`.slice(-500);
  });
  child.on('exit', (code) => {
    if (code) logger.error({ code, error: lastWords.trim() }, 'the demo agent ended');
  });
  child.send({
    DEMO_AGENT_STATE: join(config.dataDir, 'demo-agent.json'),
    DEMO_AGENT_PORT: String(config.ports.demoAgent),
    REGISTRATION_URL: runtime.urls.agentRegistration ?? '',
    REGISTRATION_SECRET: runtime.registrationSecret ?? '',
    DARKSPERE_URL: runtime.urls.gateway ?? '',
  });
  return { child, ready };
}

const MOST_NUMBERS = 5;

async function numberLines(config: Config, runtime: Runtime, demo: ChildProcess | null): Promise<string[]> {
  // A gateway with a spool starts without the database, and says what it was told.
  const numbers = await runtime.numbers().catch(() => config.numbers.map((address) => ({ address })));
  const lines = numbers.slice(0, MOST_NUMBERS).map((number, n) => {
    const label = n > 0 ? '' : numbers.length === 1 ? 'our number' : 'our numbers';
    const who = 'agentType' in number ? `, answered by ${answerers(number, demo)}` : '';
    return `  ${label.padEnd(15)}${number.address}${who}`;
  });
  const more = numbers.length - lines.length;
  return more > 0 ? [...lines, `${' '.repeat(17)}and ${more} more (npx darkspere numbers)`] : lines;
}

/** The demo agent is named where it is the only one that may be asked; `demo`: its process, where this one runs it. */
function answerers({ agentType, isPicky, who }: Answerers, demo: ChildProcess | null): string {
  const kind = `of type ${agentType}${isPicky ? ' with all that it requires' : ''}`;
  if (who === 'nobody') return `nobody yet: no agent ${kind} is in use`;
  if (who === 'agents' || demo === null) return `agents ${kind}`;
  return demo.exitCode === null && demo.signalCode === null
    ? 'the demo agent'
    : 'nobody yet: the demo agent did not start';
}

/**
 * What is printed may be kept: by a container, by a service manager. So an address that opens the console of a Darkspere with real people
 * is shown on a terminal alone.
 */
function isForEyesOnly({ carrier }: Config): boolean {
  return carrier.kind === 'simulator' || process.stdout.isTTY === true;
}

type Announcement = { readonly numbers: readonly string[]; readonly ms: number; readonly login: string | null };

/** To the terminal alone, never to the log: the login address opens the console. */
function announce(runtime: Runtime, { numbers, ms, login }: Announcement): void {
  const { urls } = runtime;
  const lines = [
    '',
    `Darkspere is ready (${(ms / 1000).toFixed(1)} s).`,
    '',
    ...(urls.gateway ? [`  gateway        ${urls.gateway}`] : []),
    ...(urls.mcpAdapter ? [`  mcp adapter    ${urls.mcpAdapter}/docs`] : []),
    ...(urls.agentRegistration ? [`  agents         ${urls.agentRegistration}/api/agents/register`] : []),
    ...(urls.worker ? [`  worker         ${urls.worker}/metrics`] : []),
    ...(urls.simulator
      ? [`  simulator      ${urls.simulator} (plays the carrier; no real text leaves this machine)`]
      : []),
    ...numbers,
    '',
    ...consoleLines(runtime, login),
    ...(urls.simulator ? ['Or text it from another terminal:', '', '  npx darkspere text "hello"', ''] : []),
    'Ctrl-C stops.',
    '',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function consoleLines({ console, urls }: Runtime, login: string | null): string[] {
  if (console === null) return [];
  const what = urls.simulator ? 'text your agent and watch its answer' : 'see every conversation';
  if (login === null) {
    return [
      `The console, to ${what}:`,
      '',
      `  ${link(console.url)}`,
      '',
      '  (npx darkspere login prints an address that signs a browser in)',
      '',
    ];
  }
  return [
    `Open the console, to ${what}. This address signs you in, once, within ${LOGIN_MINUTES} minutes:`,
    '',
    `  ${link(login)}`,
    '',
  ];
}

/** Where the eye should go, on terminals that can say so. */
function link(url: string): string {
  const { stdout } = process;
  return stdout.isTTY && stdout.hasColors() ? styleText(['bold', 'cyan', 'underline'], url) : url;
}
