// The whole path under an open loop: webhook → stored → agent → reply → carrier, measured where the carrier stands. See
// README.md.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { migrate } from '../src/database/migrate.ts';
import { newAccount } from './support/carrier-side.ts';
import { fill, giveSessionsToAgent } from './support/fill.ts';
import type { Counts } from './support/ledger.ts';
import { type Load, usage, watch } from './support/processes.ts';
import { freePorts, openDatabase, registerAgent, startProduct } from './support/product.ts';
import { resetStatementCosts, STATEMENT_SETTINGS, statementCosts } from './support/profile.ts';
import { type Spread, spread } from './support/statistics.ts';
import { figure, table } from './support/table.ts';
import { planTexts } from './support/text-load.ts';
import { createWorld } from './support/world.ts';

const STEPS = [750, 1_000, 1_250, 1_500, 1_750, 2_000, 2_500, 3_000];
/** So many that nobody is answered nine times in half a minute, which only machines are. */
const PEOPLE = 100_000;
/** Each of them has texted before: a first text costs more, and nobody sends two. */
const MESSAGES = 4;
/** A rate is not sustained when one text in a hundred takes longer, or when what is left takes longer to drain. */
const SLOWEST_P99_MS = 1_000;
const DRAIN_MS = 10_000;
/** After the last reply a second one to the same text would come within this time. */
const STRAGGLERS_MS = 300;

type Stage = {
  readonly perSecond: number;
  readonly seconds: number;
  readonly latencyMs: Spread;
  readonly counts: Counts;
  /** Texts without a reply when the last webhook was answered. */
  readonly backlog: number;
  readonly drained: boolean;
  readonly loads: readonly Load[];
  /** What each process used until the last text was answered and reported as delivered. */
  readonly cpuMsPerText: readonly number[];
};

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rates: { type: 'string', default: '50,200,500' },
    seconds: { type: 'string', default: '10' },
    'no-limit': { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
});
const seconds = Number(options.seconds);
const { profile } = options;

await using stack = new AsyncDisposableStack();
if (profile !== undefined) await mkdir(profile, { recursive: true });
const database = await openDatabase(stack, profile === undefined ? {} : STATEMENT_SETTINGS);
await migrate(database.connection);
const [port = 0, registration = 0, worker = 0] = await freePorts(3);
const account = newAccount(port);
await fill(database.connection, { conversations: PEOPLE, messages: PEOPLE * MESSAGES }, account.number);
const world = await createWorld(account);
stack.defer(() => world.close());
const product = await startProduct(stack, {
  account,
  databaseUrl: database.url,
  carrierUrl: world.carrierUrl,
  ports: { registration, worker },
  parts: [],
  ...(profile === undefined ? {} : { nodeArguments: ['--cpu-prof', `--cpu-prof-dir=${profile}`] }),
});
await registerAgent(product, world.agentUrl);
await giveSessionsToAgent(database.connection);

let loads = 0;
await run(200, 8);
if (profile !== undefined) await resetStatementCosts(database.connection);
const stages: Stage[] = [];
for (const rate of options.rates.split(',').map(Number)) stages.push(await run(rate, seconds));
const steps = options['no-limit'] ? [] : await findLimit(stages.at(-1)!);
if (profile !== undefined) {
  const costs = await statementCosts(database.connection, 60);
  await writeFile(join(profile, 'statements.json'), JSON.stringify(costs, null, 2));
}
report();
if ([...stages, ...steps].some(({ counts }) => wrong(counts) > 0)) {
  process.exitCode = 1;
  process.stderr.write(`\nThe end of the log of the product:\n${product.said()}\n`);
}

/** Offers one rate for a while and waits until everything that was accepted is answered and reported as delivered. */
async function run(perSecond: number, forSeconds: number): Promise<Stage> {
  const load = `b${(loads++).toString(36)}`;
  const plan = planTexts({ perSecond, seconds: forSeconds, people: PEOPLE, seed: 7_000 + loads });
  const loadsSince = watch({
    darkspere: () => usage(product.pid),
    postgres: () => usage(database.pid, true),
    'load, carrier and agent': () => usage(process.pid),
  });
  const { ledger, sent } = world.offer(load, plan);
  await sent;
  product.assertAlive();
  const backlog = ledger.open;
  const used = loadsSince();
  const deadline = performance.now() + DRAIN_MS;
  while ((ledger.open > 0 || world.openCallbacks > 0) && performance.now() < deadline) await sleep(10);
  const drained = ledger.open === 0 && world.openCallbacks === 0;
  const cpuMsPerText = loadsSince().map(({ cpuSeconds }) => (cpuSeconds / plan.length) * 1000);
  await sleep(STRAGGLERS_MS);
  return {
    perSecond,
    seconds: forSeconds,
    latencyMs: spread(ledger.latenciesMs()),
    counts: ledger.counts(),
    backlog,
    drained,
    loads: used,
    cpuMsPerText,
  };
}

/** Steps up until a rate is not sustained; the last one in the list is the one that was too much, if any was. */
async function findLimit(last: Stage): Promise<Stage[]> {
  const found: Stage[] = [];
  for (const rate of STEPS.filter((step) => step > last.perSecond)) {
    if (!sustained(found.at(-1) ?? last)) break;
    found.push(await run(rate, Math.min(8, seconds)));
  }
  return found;
}

function sustained({ latencyMs, counts, drained, backlog, perSecond }: Stage): boolean {
  return drained && counts.refused === 0 && latencyMs.p99 <= SLOWEST_P99_MS && backlog <= perSecond;
}

/** Texts of an overloaded stage that are still on their way are late, not lost: they arrive in the next one as strange. */
function wrong({ lost, doubled, outOfOrder, strange }: Counts): number {
  return lost + doubled + outOfOrder + strange;
}

function report(): void {
  const best = [...stages, ...steps].filter(sustained).at(-1);
  const limitFound = steps.length > 0 && !sustained(steps.at(-1)!);
  if (options.json) {
    const result = { people: PEOPLE, stages, steps, sustainedPerSecond: best?.perSecond ?? 0, limitFound };
    process.stdout.write(
      `${JSON.stringify({ ...result, failedCallbacks: world.failedCallbacks, lookups: world.lookups }, null, 2)}\n`,
    );
    return;
  }
  const all = [...stages, ...steps];
  const head = [
    'texts/s',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'texts',
    'refused',
    'lost',
    'doubled',
    'out of order',
    'backlog',
  ];
  const lines = [
    'From the moment a text is due at the webhook to the moment its reply reaches the carrier',
    '(agent 0 ms, quiet 0 ms, pacing off, fsync on)',
    '',
    table([head, ...all.map(row)]),
    '',
    'CPU in % of one core while texts came / CPU ms a text until all were delivered / memory in MB',
    '',
    table([
      ['texts/s', ...all[0]!.loads.map(({ name }) => name), 'together'],
      ...all.map(({ perSecond, loads: used, cpuMsPerText }) => [
        String(perSecond),
        ...used.map(
          ({ cpuPercent, memoryMb }, n) =>
            `${figure(cpuPercent)} / ${cpuMsPerText[n]!.toFixed(2)} / ${figure(memoryMb)}`,
        ),
        `${figure(sum(used.map(({ cpuPercent }) => cpuPercent)))} / ${sum(cpuMsPerText).toFixed(2)}`,
      ]),
    ]),
    '',
    `Sustained: ${best === undefined ? 'none of these rates' : `${best.perSecond} texts/s`}${limitFound ? '' : ' (no limit found)'}` +
      ` (aim: 2,000 on 2 cores); delivery callbacks not taken: ${world.failedCallbacks}, parts looked up: ${world.lookups}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function row({ perSecond, latencyMs, counts, backlog }: Stage): string[] {
  const { p50, p95, p99 } = latencyMs;
  const numbers = [
    counts.offered,
    counts.refused,
    counts.lost,
    counts.doubled,
    counts.outOfOrder + counts.strange,
    backlog,
  ];
  return [String(perSecond), figure(p50), figure(p95), figure(p99), ...numbers.map(String)];
}
