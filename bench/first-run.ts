// A newcomer with a stopwatch: a fresh clone, `npm start`, the printed address, a text, its answer, its path. See README.md.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { launchChromium, prepareChromium } from '../test/support/chromium.ts';
import { freePorts } from './support/product.ts';
import { figure, table } from './support/table.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Under a minute, or people leave. */
const AIM_SECONDS = 60;
const START_MS = 240_000;
/** Settings of ours and of the npm that runs this. How this machine reaches the network is its own. */
const OURS = /^(DARKSPERE_|TWILIO_|npm_|DATABASE_URL$|PUBLIC_URL$|NODE_ENV$)/;

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });

const steps: { name: string; seconds: number }[] = [];
async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const result = await work();
  steps.push({ name, seconds: (performance.now() - startedMs) / 1_000 });
  return result;
}

await prepareChromium();
await using stack = new AsyncDisposableStack();
const folder = await mkdtemp(join(tmpdir(), 'darkspere-first-run-'));
stack.defer(() => rm(folder, { recursive: true, force: true }));
const clone = join(folder, 'darkspere');
const browser = await launchChromium();
stack.defer(() => browser.close());

await step('git clone', () =>
  promisify(execFile)('git', ['clone', '--quiet', '--depth', '1', `file://${ROOT}`, clone]),
);
const { installed, address } = await start();
await step('npm start: what it needs is installed', () => installed);
const login = await step('npm start: the console is built, PostgreSQL made, the address printed', () => address);
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, locale: 'en-US' });
await step('the address is opened, and home is there', async () => {
  await page.goto(login);
  await page.getByRole('link', { name: 'Phone' }).filter({ visible: true }).first().waitFor();
});
await step('the phone is opened', async () => {
  await page.getByRole('link', { name: 'Phone' }).filter({ visible: true }).first().click();
  await page.getByRole('textbox', { name: /^Text from/ }).waitFor();
});
await step('a text is sent and answered', async () => {
  await page.getByRole('textbox', { name: /^Text from/ }).fill('what time is it in Tokyo?');
  await page.keyboard.press('Enter');
  await page.getByText(/in Tokyo \(GMT/).waitFor();
});
await step('its path is opened', async () => {
  await page.getByRole('button', { name: 'Show its path' }).last().click();
  await page.getByRole('list', { name: 'What happened, in order' }).waitFor();
});
report();

/** `npm start` on ports of its own, with the settings of nobody. */
async function start() {
  const [gateway = 0, adapter = 0, registration = 0, worker = 0, simulator = 0, demo = 0] = await freePorts(6);
  const child = spawn('npm', ['start'], {
    cwd: clone,
    // A group of its own, which is ended as Ctrl-C in a terminal ends it: npm alone tells nobody.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name))),
      PORT: String(gateway),
      MCP_ADAPTER_PORT: String(adapter),
      AGENT_REGISTRATION_PORT: String(registration),
      WORKER_PORT: String(worker),
      DARKSPERE_SIMULATOR_PORT: String(simulator),
      DARKSPERE_DEMO_AGENT_PORT: String(demo),
    },
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  stack.defer(async () => {
    if (child.exitCode === null) process.kill(-child.pid!, 'SIGINT');
    await ended;
  });
  return {
    installed: said(child, /Building the console|Darkspere is ready/),
    address: said(child, /http:\/\/\S+\/login#\S+/),
  };
}

/** What the program says that looks like this; throws when it ends or says nothing like it for too long. */
function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let printed = '';
  const late = setTimeout(() => reject(new Error(`It did not start within ${START_MS} ms:\n${printed}`)), START_MS);
  const hear = (chunk: Buffer) => {
    printed += chunk.toString();
    const found = pattern.exec(printed)?.[0];
    if (found === undefined) return;
    clearTimeout(late);
    resolve(found);
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  child.once('exit', () => {
    clearTimeout(late);
    reject(new Error(`It ended:\n${printed}`));
  });
  return promise;
}

function report(): void {
  const total = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  const isMet = total <= AIM_SECONDS;
  if (!isMet) process.exitCode = 1;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ steps, total, isMet }, null, 2)}\n`);
    return;
  }
  const rows = steps.map(({ name, seconds }) => [name, figure(seconds)]);
  process.stdout.write(
    `${table([['', 's'], ...rows, ['together', figure(total)]])}\n\nAim: ${AIM_SECONDS} s: ${isMet ? 'met' : 'missed'}\n`,
  );
}
