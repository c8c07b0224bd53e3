// What more worker processes are worth: a fixed number of texts on their way at any time, one gateway, and 1, 2 and 4 workers.
// See README.md.
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { migrate } from '../src/database/migrate.ts';
import { newAccount } from './support/carrier-side.ts';
import { fill, giveSessionsToAgent } from './support/fill.ts';
import type { Counts } from './support/ledger.ts';
import { type Load, usage, watch } from './support/processes.ts';
import { freePorts, newSecrets, openDatabase, type Product, registerAgent, startProduct } from './support/product.ts';
import { type Spread, spread } from './support/statistics.ts';
import { figure, table } from './support/table.ts';
import { createWorld } from './support/world.ts';

const AGENT_MS = 200;
const WARM_UP_SECONDS = 3;
const DRAIN_MS = 30_000;
/** After the last reply a second one to the same text would come within this time. */
const STRAGGLERS_MS = 500;

/** Turns held by a worker: as few that waiting for agents is the limit, and as many that only the machine is. */
const CASES = [
  { name: '40 turns a worker: agents are the limit', slots: 40, waiting: 400 },
  { name: '1,000 turns a worker: the machine is the limit', slots: 1_000, waiting: 1_200 },
] as const;

/** So many that nobody comes round again soon: who is answered nine times in half a minute is taken for a machine. */
const PEOPLE = 30_000;

type Measured = {
  readonly name: string;
  readonly workers: number;
  readonly perSecond: number;
  /** What the agents alone would allow: slots ÷ their time. */
  readonly mostPerSecond: number;
  readonly latencyMs: Spread;
  readonly counts: Counts;
  readonly loads: readonly Load[];
};

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    workers: { type: 'string', default: '1,2,4' },
    seconds: { type: 'string', default: '8' },
  },
});
const seconds = Number(options.seconds);

await using stack = new AsyncDisposableStack();
const database = await openDatabase(stack);
const [port = 0, registration = 0, unused = 0] = await freePorts(3);
const account = newAccount(port);
await migrate(database.connection);
await fill(database.connection, { conversations: PEOPLE, messages: PEOPLE * 2 }, account.number);
const world = await createWorld(account, { agentMs: AGENT_MS });
stack.defer(() => world.close());
const shared = { account, databaseUrl: database.url, carrierUrl: world.carrierUrl, secrets: newSecrets() };
const gateway = await startProduct(stack, {
  ...shared,
  ports: { registration, worker: unused },
  parts: ['gateway', 'agent-registration'],
});
await registerAgent(gateway, world.agentUrl);
await giveSessionsToAgent(database.connection);

let loads = 0;
const results: Measured[] = [];
for (const each of CASES) {
  for (const workers of options.workers.split(',').map(Number)) results.push(await measure(each, workers));
}
report();

async function measure({ name, slots, waiting }: (typeof CASES)[number], workers: number): Promise<Measured> {
  await using started = new AsyncDisposableStack();
  const ports = await freePorts(workers);
  const products = await Promise.all(
    ports.map((worker) =>
      startProduct(started, { ...shared, ports: { registration, worker }, parts: ['worker'], concurrency: slots }),
    ),
  );
  const { ledger, over } = world.converse(`s${loads++}`, {
    waiting,
    people: PEOPLE,
    seconds: WARM_UP_SECONDS + seconds,
  });
  await sleep(WARM_UP_SECONDS * 1000);
  const loadsSince = watch({
    gateway: () => usage(gateway.pid),
    workers: () => together(products),
    postgres: () => usage(database.pid, true),
    'load, carrier and agent': () => usage(process.pid),
  });
  const before = ledger.latenciesMs().length;
  const startedMs = performance.now();
  await over;
  const replies = ledger.latenciesMs().slice(before);
  const perSecond = (replies.length / (performance.now() - startedMs)) * 1000;
  const used = loadsSince();
  const deadline = performance.now() + DRAIN_MS;
  while ((ledger.open > 0 || world.openCallbacks > 0) && performance.now() < deadline) await sleep(10);
  await sleep(STRAGGLERS_MS);
  for (const product of products) product.assertAlive();
  return {
    name,
    workers,
    perSecond,
    mostPerSecond: Math.min(waiting, slots * workers) / (AGENT_MS / 1000),
    latencyMs: spread(replies),
    counts: ledger.counts(),
    loads: used,
  };
}

function together(products: readonly Product[]) {
  const all = products.map(({ pid }) => usage(pid));
  return {
    cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    memoryMb: all.reduce((sum, { memoryMb }) => sum + memoryMb, 0),
  };
}

function wrong({ lost, doubled, outOfOrder, strange }: Counts): number {
  return lost + doubled + outOfOrder + strange;
}

function report(): void {
  if (results.some(({ counts }) => wrong(counts) > 0)) process.exitCode = 1;
  if (options.json) {
    const result = { agentMs: AGENT_MS, cores: cpus().length, results, lookups: world.lookups };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  const lines = [`A closed loop with agents that take ${AGENT_MS} ms, ${cpus().length} cores for everything`];
  for (const { name, waiting } of CASES) lines.push('', `${name} (${waiting} texts on their way)`, '', block(name));
  lines.push(
    '',
    'CPU in % of one core. "most" is what agents of that time allow at all; a case near it has only waited.',
    `Parts looked up: ${world.lookups}`,
  );
  process.stdout.write(`${lines.join('\n')}\n`);
}

function block(name: string): string {
  const rows = results.filter((result) => result.name === name);
  const head = ['workers', 'answered/s', 'times', 'most', 'p50 ms', 'p99 ms', 'texts', 'refused', 'wrong'];
  return table([
    [...head, ...(rows[0]?.loads.map((load) => load.name) ?? [])],
    ...rows.map(({ workers, perSecond, mostPerSecond, latencyMs, counts, loads: used }) => [
      String(workers),
      figure(perSecond),
      figure(perSecond / rows[0]!.perSecond),
      figure(mostPerSecond),
      figure(latencyMs.p50),
      figure(latencyMs.p99),
      String(counts.offered),
      String(counts.refused),
      String(wrong(counts)),
      ...used.map(({ cpuPercent }) => figure(cpuPercent)),
    ]),
  ]);
}
