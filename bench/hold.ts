// What turns cost while their agents think: thousands of them held at once by one worker, its memory, and that each text is
// answered once. See README.md.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { newAccount } from './support/carrier-side.ts';
import type { Counts } from './support/ledger.ts';
import { memoryOf, openFilesLimit, type Peak, usage } from './support/processes.ts';
import { freePorts, newSecrets, openDatabase, registerAgent, startProduct } from './support/product.ts';
import { figure, table } from './support/table.ts';
import { createWorld } from './support/world.ts';

const MOST_MB = 300;
/** All texts come within this time, so that all are held before the first agent answers. */
const ARRIVE_MS = 4_000;
/** After the agent's time every reply has this long to reach the carrier. */
const DRAIN_MS = 30_000;
/** After the last reply a second one to the same text would come within this time. */
const STRAGGLERS_MS = 500;
/** Sockets beside the agent's calls: webhooks, callbacks, the database, the program's own. */
const OTHER_FILES = 700;

type Wave = { readonly counts: Counts; readonly mostMb: number; readonly cpuSeconds: number };

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    turns: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '10' },
    waves: { type: 'string', default: '2' },
    node: { type: 'string', default: '' },
  },
});
const turns = Number(options.turns);
const agentMs = Number(options.seconds) * 1000;
checkOpenFiles();

await using stack = new AsyncDisposableStack();
const database = await openDatabase(stack);
const [port = 0, registration = 0, workerPort = 0] = await freePorts(3);
const account = newAccount(port);
const world = await createWorld(account, { agentMs });
stack.defer(() => world.close());
const shared = {
  account,
  databaseUrl: database.url,
  carrierUrl: world.carrierUrl,
  ports: { registration, worker: workerPort },
  secrets: newSecrets(),
  concurrency: turns,
};
const gateway = await startProduct(stack, { ...shared, parts: ['gateway', 'agent-registration'] });
const worker = await startProduct(stack, {
  ...shared,
  parts: ['worker'],
  nodeArguments: options.node.split(' ').filter(Boolean),
});
await registerAgent(gateway, world.agentUrl);

const bare = await bareNode();
const idle = memoryOf(worker.pid);
const waves: Wave[] = [];
for (let n = 0; n < Number(options.waves); n++) waves.push(await wave(n));
const peak = memoryOf(worker.pid);
report();

/** One text each of as many people, and what the worker has resident until the last reply is at the carrier. */
async function wave(n: number): Promise<Wave> {
  const plan = Array.from({ length: turns }, (_, person) => ({ atMs: (ARRIVE_MS / turns) * person, person }));
  const before = usage(worker.pid).cpuSeconds;
  const { ledger, sent } = world.offer(`h${n}`, plan);
  await sent;
  let mostMb = 0;
  const deadline = performance.now() + agentMs + DRAIN_MS;
  while ((ledger.open > 0 || world.openCallbacks > 0) && performance.now() < deadline) {
    mostMb = Math.max(mostMb, memoryOf(worker.pid).rssMb);
    await sleep(100);
  }
  await sleep(STRAGGLERS_MS);
  worker.assertAlive();
  return { counts: ledger.counts(), mostMb, cpuSeconds: usage(worker.pid).cpuSeconds - before };
}

/** What this Node needs to do nothing. */
async function bareNode(): Promise<Peak> {
  const child = spawn(process.execPath, ['-e', 'process.stdout.write("up"); setInterval(() => {}, 1000)'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await once(child.stdout, 'data');
    return memoryOf(child.pid!);
  } finally {
    child.kill('SIGKILL');
  }
}

function checkOpenFiles(): void {
  const limit = openFilesLimit();
  const needed = turns + OTHER_FILES;
  if (limit === null || limit >= needed) return;
  throw new Error(
    `A process may open ${limit} files here and this needs ${needed}: raise it (ulimit -Hn ${needed}) or take fewer --turns.`,
  );
}

function report(): void {
  const allHeld = world.mostHeld >= turns;
  const fits = !(peak.peakRssMb > MOST_MB);
  const right = waves.every(
    ({ counts: { refused, lost, doubled, outOfOrder, strange } }) =>
      refused + lost + doubled + outOfOrder + strange === 0,
  );
  if (!allHeld || !fits || !right) process.exitCode = 1;
  if (options.json) {
    const result = { turns, agentMs, mostHeld: world.mostHeld, bare, idle, peak, waves, lookups: world.lookups };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  const lines = [
    `${turns} turns at once in one worker, each with an agent that answers after ${agentMs / 1000} s`,
    '',
    table([
      ['wave', 'texts', 'refused', 'lost', 'doubled', 'out of order', 'worker: most MB', 'CPU ms a text'],
      ...waves.map(({ counts, mostMb, cpuSeconds }, n) => [
        String(n + 1),
        ...[
          counts.offered,
          counts.refused,
          counts.lost,
          counts.doubled,
          counts.outOfOrder + counts.strange,
          Math.round(mostMb),
        ].map(String),
        figure((cpuSeconds / counts.offered) * 1000),
      ]),
    ]),
    '',
    'Memory, MB of resident pages (in brackets: with shared pages counted in part, PSS)',
    '',
    table([
      ['Node that does nothing', shown(bare)],
      ['the worker, idle after its start', shown(idle)],
      ['the worker, after the waves', shown(peak)],
      ['the worker at its peak', figure(peak.peakRssMb)],
      ['a held turn (peak less idle)', `${figure(((peak.peakRssMb - idle.rssMb) / turns) * 1024)} KB`],
    ]),
    '',
    `Held at once: ${world.mostHeld} of ${turns}; peak ${figure(peak.peakRssMb)} MB (aim: below ${MOST_MB}); parts looked up: ${world.lookups}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  if (!right) process.stderr.write(`\nThe end of the log of the worker:\n${worker.said()}\n`);
}

function shown({ rssMb, pssMb }: Peak): string {
  return `${figure(rssMb)} (${figure(pssMb)})`;
}
