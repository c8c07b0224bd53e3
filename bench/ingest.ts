// How fast texts become durable: real HTTP, signatures checked, answered after the commit; beside what the same PostgreSQL
// does with the same rows alone. See README.md.
import { parseArgs } from 'node:util';
import { ingestTexts } from '../src/bridge/store.ts';
import { migrate } from '../src/database/migrate.ts';
import { openSql, type Sql } from '../src/database/pools.ts';
import { type Account, inboundText, messageSid, newAccount, personNumber } from './support/carrier-side.ts';
import { createClient } from './support/http-wire.ts';
import { type Load, usage, watch } from './support/processes.ts';
import { freePorts, openDatabase, startProduct } from './support/product.ts';
import { references } from './support/reference.ts';
import { median, type Spread, spread } from './support/statistics.ts';
import { figure, table } from './support/table.ts';

const CONNECTIONS = [1, 32, 256];
/** One text each in every measurement, so that every text wakes its conversation and adds its job. */
const PEOPLE = 40_000;

type Measured = {
  readonly perSecond: number;
  readonly latencyMs: Spread;
  readonly refused: number;
  readonly loads: Load[];
};

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    profile: { type: 'string' },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);

await using stack = new AsyncDisposableStack();
const database = await openDatabase(stack);
await migrate(database.connection);
const owner = openSql(database.connection, { max: 2 });
stack.defer(() => owner.end());

const [port = 0, registration = 0, worker = 0] = await freePorts(3);
const account = newAccount(port);
await addPeople(owner, account);
const product = await startProduct(stack, {
  account,
  databaseUrl: database.url,
  carrierUrl: 'http://127.0.0.1:9',
  ports: { registration, worker },
  // No worker: nothing else may happen to the texts while they are counted.
  parts: ['gateway'],
  ...(options.profile === undefined ? {} : { nodeArguments: ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] }),
});
const yardsticks = await references(database.connection, account.number);

const ingest = new Map<number, Measured[]>(CONNECTIONS.map((connections) => [connections, []]));
const reference = new Map<string, number[]>(yardsticks.map(({ name }) => [name, []]));
await measureIngest(32, 1);
for (let round = 0; round < rounds; round++) {
  // Alternating, so that whatever else the machine does meets both.
  for (const connections of CONNECTIONS) {
    await settle(owner);
    ingest.get(connections)!.push(await measureIngest(connections, seconds));
  }
  for (const yardstick of yardsticks) {
    await settle(owner);
    reference.get(yardstick.name)!.push(await yardstick.run(seconds, PEOPLE));
  }
}
report();

/** Texts as fast as `connections` take them, each connection waiting for its answer. */
async function measureIngest(connections: number, forSeconds: number): Promise<Measured> {
  const expected = { 1: 2_000, 32: 6_000, 256: 9_000 }[connections] ?? 9_000;
  const count = Math.min(PEOPLE, Math.ceil(expected * forSeconds));
  const requests = Array.from({ length: count }, (_, person) =>
    inboundText(account, person, 'How late are you open today?'),
  );
  const client = createClient(port, connections);
  const done = Promise.withResolvers<void>();
  const latencies: number[] = [];
  const loadsSince = watch({
    gateway: () => usage(product.pid),
    postgres: () => usage(database.pid, true),
    'load generator': () => usage(process.pid),
  });
  const startedMs = performance.now();
  const endsMs = startedMs + forSeconds * 1000;
  let next = 0;
  let running = connections;
  let refused = 0;
  const step = (): void => {
    const request = requests[next];
    if (request === undefined || performance.now() >= endsMs) {
      running--;
      if (running === 0) done.resolve();
      return;
    }
    next++;
    const sentMs = performance.now();
    client.post(request, (status) => {
      if (status === 200) latencies.push(performance.now() - sentMs);
      else refused++;
      step();
    });
  };
  for (let i = 0; i < connections; i++) step();
  await done.promise;
  product.assertAlive();
  const elapsedMs = performance.now() - startedMs;
  client.close();
  return {
    perSecond: (latencies.length / elapsedMs) * 1000,
    latencyMs: spread(latencies),
    refused,
    loads: loadsSince(),
  };
}

/** Everybody has texted once before: what is measured is a known person's next text. */
async function addPeople(sql: Sql, { number }: Account): Promise<void> {
  const batch = 500;
  for (let from = 0; from < PEOPLE; from += batch) {
    const texts = Array.from({ length: batch }, (_, i) => ({
      channel: 'sms' as const,
      providerId: messageSid(),
      from: personNumber(from + i),
      to: number,
      text: 'Hello',
      media: [],
      optOutHandled: null,
      refused: null,
    }));
    await ingestTexts(sql, texts, { quietMs: 0, optOutScope: null });
  }
}

/** As if every text had been answered: each measurement begins in the same state. */
async function settle(sql: Sql): Promise<void> {
  await sql`truncate graphile_worker._private_jobs`;
  await sql`update conversations set done_seq = last_seq, first_pending_at = null where last_seq > done_seq`;
  await sql`vacuum (analyze) conversations`;
}

function report(): void {
  const paths = CONNECTIONS.map((connections) => {
    const runs = ingest.get(connections)!;
    const middle = (of: (run: Measured) => number) => median(runs.map(of));
    return {
      connections,
      perSecond: middle((run) => run.perSecond),
      p50Ms: middle((run) => run.latencyMs.p50),
      p99Ms: middle((run) => run.latencyMs.p99),
      refused: runs.reduce((sum, run) => sum + run.refused, 0),
      loads: runs[0]!.loads.map(({ name }, i) => ({
        name,
        cpuPercent: middle((run) => run.loads[i]!.cpuPercent),
        memoryMb: middle((run) => run.loads[i]!.memoryMb),
      })),
    };
  });
  const yardsticks = [...reference].map(([name, runs]) => ({ name, perSecond: median(runs), runs }));
  const best = Math.max(...yardsticks.map(({ perSecond }) => perSecond));
  const ratio = paths.at(-1)!.perSecond / best;
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ seconds, rounds, ingest: paths, references: yardsticks, ratio }, null, 2)}\n`,
    );
    return;
  }
  const rows = paths.map((path) => [
    `ingest, ${path.connections} connections`,
    figure(path.perSecond),
    figure(path.p50Ms),
    figure(path.p99Ms),
    String(path.refused),
    ...path.loads.map(({ cpuPercent }) => figure(cpuPercent)),
  ]);
  const head = ['', 'texts/s', 'p50 ms', 'p99 ms', 'refused', ...paths[0]!.loads.map(({ name }) => `${name} CPU %`)];
  const lines = [
    `Texts accepted (200 after the commit), median of ${rounds} rounds of ${seconds} s`,
    '',
    table([head, ...rows]),
    '',
    `The same rows, one text per commit, 32 clients, same PostgreSQL`,
    '',
    table([['', 'commits/s'], ...yardsticks.map(({ name, perSecond }) => [name, figure(perSecond)])]),
    '',
    `256 connections over the fastest reference: ${ratio.toFixed(2)} × (aim: 1.00 or more)`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
