// Does the path cost the same when a year of texts lies behind it? The same measurements on a database of 1/100 of the size and
// on a full one, in turns, with statistics from the first day and with fresh ones. See README.md.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Embedded } from '../src/database/embedded.ts';
import { migrate } from '../src/database/migrate.ts';
import { openPools, openSql, type Sql } from '../src/database/pools.ts';
import { createCalls } from './support/calls.ts';
import { newAccount, personNumber } from './support/carrier-side.ts';
import { fill, filledWith, type Size } from './support/fill.ts';
import type { Counts } from './support/ledger.ts';
import { createLookups } from './support/lookups.ts';
import { believeFirstDay, believeTruth } from './support/planner.ts';
import { usage, watch } from './support/processes.ts';
import { freePorts, openDatabase, registerAgent, startProduct } from './support/product.ts';
import { type Spread, seededRandom, spread } from './support/statistics.ts';
import { figure, table } from './support/table.ts';
import { planTexts } from './support/text-load.ts';
import { createWorld } from './support/world.ts';

const OURS = '+15550001111';
const SMALLER = 100;
const MOST = 1.5;
const SESSION_P99_MS = 1;
const CONTEXT_P99_MS = 2;
const WARM_UP = 50;
/** Lookups for each text. */
const LOOKUPS = 3;
const DRAIN_MS = 10_000;
/** The statistics are as stated: nothing may renew them, and nothing may run beside a measurement. */
const SETTINGS = { autovacuum: 'off' };

type Beliefs = 'first day' | 'fresh';
type Place = { readonly name: 'small' | 'full'; readonly size: Size; readonly database: Embedded };
/** Milliseconds of each statement on each database. */
type Samples = Map<string, Record<Place['name'], number[]>>;
type Path = { readonly latencyMs: Spread; readonly cpuMs: Record<string, number>; readonly counts: Counts };

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    conversations: { type: 'string', default: '1000000' },
    messages: { type: 'string', default: '10000000' },
    keep: { type: 'string' },
    texts: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '6' },
  },
});
const full: Size = { conversations: Number(options.conversations), messages: Number(options.messages) };
const small: Size = {
  conversations: Math.ceil(full.conversations / SMALLER),
  messages: Math.ceil(full.messages / SMALLER),
};
const random = seededRandom(11);
const say = (text: string) => process.stderr.write(`${text}\n`);

await using stack = new AsyncDisposableStack();
const places: Place[] = [await open('small', small), await open('full', full, options.keep)];
const sizes = await Promise.all(places.map(({ database }) => withOwner(database, describe)));

const measured: Record<Beliefs, Samples> = { 'first day': new Map(), fresh: new Map() };
const paths: { beliefs: Beliefs; place: Place['name']; path: Path }[] = [];
for (const beliefs of ['fresh', 'first day'] as const) {
  for (const { database } of places) {
    await withOwner(database, beliefs === 'fresh' ? believeTruth : believeFirstDay);
  }
  for (let round = 0; round < Number(options.rounds); round++) {
    await measureStatements(measured[beliefs]);
  }
  for (const place of places) paths.push({ beliefs, place: place.name, path: await measurePath(place) });
}
report();

async function open(name: Place['name'], size: Size, keep?: string): Promise<Place> {
  const database = await openDatabase(stack, SETTINGS, keep);
  await migrate(database.connection);
  const there = await filledWith(database.connection);
  if (there === null) {
    const startedMs = performance.now();
    await fill(database.connection, size, OURS, (step) =>
      say(`${name}: ${step} (${Math.round((performance.now() - startedMs) / 1000)} s)`),
    );
  } else if (there.conversations !== size.conversations || there.messages !== size.messages) {
    throw new Error(
      `--keep ${keep} holds ${there.conversations} conversations and ${there.messages} messages: ask for these, or name another folder.`,
    );
  }
  return { name, size, database };
}

async function withOwner<T>({ connection }: Embedded, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = openSql(connection, { max: 1 });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/**
 * One text, then one lookup each, on one database and then on the other, so that a busy neighbour meets both. New connections each
 * time: plans are made under the beliefs of the moment.
 */
async function measureStatements(samples: Samples): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const probes = [await openProbe(opened, places[0]!), await openProbe(opened, places[1]!)];
  for (let text = -WARM_UP; text < Number(options.texts); text++) {
    if (text === 0) for (const probe of probes) probe.forget();
    for (const probe of probes) await probe.round();
  }
  for (const probe of probes) {
    await probe.housekeeping();
    for (const [statement, ms] of probe.spentMs()) {
      const row = samples.get(statement) ?? { small: [], full: [] };
      samples.set(statement, row);
      row[probe.name].push(...ms);
    }
  }
}

async function openProbe(opened: AsyncDisposableStack, { name, size, database }: Place) {
  const owner = openSql(database.connection, { max: 1 });
  opened.defer(() => owner.end());
  const pools = await openPools(database.connection, { web: 1, worker: 1, admin: 1 });
  opened.defer(() => pools.close());
  const calls = createCalls({ web: pools.web, worker: pools.worker, owner }, OURS);
  const lookups = await createLookups(owner, OURS);
  const housekeepingMs = new Map<string, number[]>();
  const known = (isRecent = false) =>
    personNumber(2 * Math.floor((random() * size.conversations) / 2) + Number(isRecent));
  return {
    name,
    async round() {
      await calls.round([known()]);
      for (let n = 0; n < LOOKUPS; n++) await lookups.round(known(), known(), known(true));
    },
    async housekeeping() {
      for (const job of ['end_idle_sessions()', "rescue_conversations('5 minutes')", "rescue_parts('5 minutes')"]) {
        const startedMs = performance.now();
        await pools.worker.unsafe(`select ${job}`);
        housekeepingMs.set(`every 5 min: ${job}`, [performance.now() - startedMs]);
      }
    },
    spentMs: () => [...calls.spentMs, ...lookups.spentMs, ...housekeepingMs],
    forget() {
      calls.forget();
      lookups.forget();
    },
  };
}

/** The whole program at a fixed rate, with people drawn from all there are. */
async function measurePath({ size, database }: Place): Promise<Path> {
  await using opened = new AsyncDisposableStack();
  const [port = 0, registration = 0, worker = 0] = await freePorts(3);
  const account = { ...newAccount(port), number: OURS };
  const world = await createWorld(account);
  opened.defer(() => world.close());
  const product = await startProduct(opened, {
    account,
    databaseUrl: database.url,
    carrierUrl: world.carrierUrl,
    ports: { registration, worker },
    parts: [],
  });
  await registerAgent(product, world.agentUrl);
  const load = async (name: string, seconds: number) => {
    const plan = planTexts({ perSecond: Number(options.rate), seconds, people: size.conversations, seed: 17 });
    const since = watch({
      darkspere: () => usage(product.pid),
      postgres: () => usage(database.pid, true),
    });
    const { ledger, sent } = world.offer(name, plan);
    await sent;
    const deadline = performance.now() + DRAIN_MS;
    while ((ledger.open > 0 || world.openCallbacks > 0) && performance.now() < deadline) await sleep(10);
    const cpuMs = Object.fromEntries(
      since().map(({ name: process, cpuSeconds }) => [process, (cpuSeconds / plan.length) * 1000]),
    );
    return { latencyMs: spread(ledger.latenciesMs()), cpuMs, counts: ledger.counts() };
  };
  await load('w', 3);
  const result = await load('g', Number(options.seconds));
  product.assertAlive();
  return result;
}

type Described = { readonly name: string; readonly rows: number; readonly mb: number };

async function describe(sql: Sql): Promise<Described[]> {
  await sql.unsafe('analyze');
  return sql<Described[]>`
    select coalesce(i.inhparent::regclass::text, c.relname) as name, sum(greatest(c.reltuples, 0))::bigint as rows,
      sum(pg_total_relation_size(c.oid) / 1048576.0)::float8 as mb
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
    group by 1 having sum(greatest(c.reltuples, 0)) >= 100 order by mb desc`;
}

type Line = { readonly statement: string; readonly small: Spread; readonly full: Spread; readonly ratio: number };

function lines(samples: Samples): Line[] {
  return [...samples].map(([statement, ms]) => {
    const both = { small: spread(ms.small), full: spread(ms.full) };
    return { statement, ...both, ratio: both.full.p50 / both.small.p50 };
  });
}

/** Housekeeping looks at everything there is, off the path: its time is told and not judged. */
function tooSlow({ statement, full: { p99 }, ratio }: Line): boolean {
  if (statement.startsWith('every')) return false;
  // People who text again find the same pages in memory in both: there nothing but the size can make a difference.
  if (statement.includes('again') && ratio > MOST) return true;
  // Of the first look the small database has all in memory and the full one next to nothing: its limit is a time.
  if (statement.startsWith('session')) return p99 >= SESSION_P99_MS;
  if (statement.startsWith('context')) return p99 >= CONTEXT_P99_MS;
  return ratio > MOST;
}

function report(): void {
  const all = { 'first day': lines(measured['first day']), fresh: lines(measured.fresh) };
  const slow = [...all['first day'], ...all.fresh].filter(tooSlow);
  const wrong = paths.filter(
    ({ path: { counts } }) => counts.refused + counts.lost + counts.doubled + counts.outOfOrder > 0,
  );
  if (slow.length + wrong.length > 0) process.exitCode = 1;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ full, small, sizes, statements: all, paths }, null, 2)}\n`);
    return;
  }
  const out = [
    `A database with ${count(full.conversations)} conversations and ${count(full.messages)} messages beside one with ${count(small.conversations)} and ${count(small.messages)}`,
    '',
    table([['', 'rows', 'MB with indexes'], ...sizes[1]!.map(({ name, rows, mb }) => [name, count(rows), figure(mb)])]),
  ];
  for (const beliefs of ['fresh', 'first day'] as const) {
    out.push('', `One text at a time, ms; statistics: ${beliefs}`, '', statementsTable(all[beliefs]));
  }
  out.push('', `The whole path at ${options.rate} texts/s`, '', pathsTable());
  out.push(
    '',
    slow.length === 0
      ? `Within ${MOST} × of the small one; session below ${SESSION_P99_MS} ms and context below ${CONTEXT_P99_MS} ms at p99.`
      : `Too slow: ${slow.map(({ statement }) => statement).join(', ')}`,
  );
  process.stdout.write(`${out.join('\n')}\n`);
}

function statementsTable(rows: readonly Line[]): string {
  return table([
    ['', 'small p50', 'p99', 'full p50', 'p99', 'ratio of p50'],
    ...rows.map((line) => [
      line.statement,
      ...[line.small.p50, line.small.p99, line.full.p50, line.full.p99, line.ratio].map((value) => value.toFixed(2)),
    ]),
  ]);
}

function pathsTable(): string {
  return table([
    [
      'statistics, database',
      'p50 ms',
      'p95 ms',
      'p99 ms',
      'Darkspere CPU ms a text',
      'PostgreSQL',
      'texts',
      'lost',
      'doubled',
      'out of order',
    ],
    ...paths.map(({ beliefs, place, path: { latencyMs, cpuMs, counts } }) => [
      `${beliefs}, ${place}`,
      ...[latencyMs.p50, latencyMs.p95, latencyMs.p99, cpuMs.darkspere!, cpuMs.postgres!].map(figure),
      ...[counts.offered, counts.lost, counts.doubled, counts.outOfOrder + counts.strange].map(String),
    ]),
  ]);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
