// What the console waits for in a large database: the list of conversations to its end, searches, the overview; and what making
// all of it findable costs the text path. See README.md.
import { parseArgs } from 'node:util';
import type { Connection } from '../src/database/connection.ts';
import type { Embedded } from '../src/database/embedded.ts';
import { migrate } from '../src/database/migrate.ts';
import { buildIndexes } from '../src/database/online-indexes.ts';
import { openPools, openSql, type Sql } from '../src/database/pools.ts';
import { listConversations } from '../src/inbox/conversation-list.ts';
import { indexMessages } from '../src/inbox/index-messages.ts';
import { createOverview } from '../src/inbox/overview.ts';
import type { Reader } from '../src/inbox/reader.ts';
import { search } from '../src/inbox/search.ts';
import { createCalls } from './support/calls.ts';
import { personNumber } from './support/carrier-side.ts';
import { fill, filledWith, type Size } from './support/fill.ts';
import { usage } from './support/processes.ts';
import { openDatabase } from './support/product.ts';
import { median, type Spread, seededRandom, spread } from './support/statistics.ts';
import { figure, table } from './support/table.ts';
import { compareTrigrams, type Trigrams } from './support/trigrams.ts';

const OURS = '+15550001111';
const PAGE = 50;
const OPEN_MS = 1_000;
const SEARCH_P95_MS = 300;
const INDEXES = ['outbound_parts_errors', 'turns_errors', 'outbound_parts_provider_id'];

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    conversations: { type: 'string', default: '100000' },
    messages: { type: 'string', default: '1000000' },
    keep: { type: 'string' },
    searches: { type: 'string', default: '40' },
    'cost-rounds': { type: 'string', default: '6' },
    trigrams: { type: 'boolean', default: false },
  },
});
const size: Size = { conversations: Number(options.conversations), messages: Number(options.messages) };
const random = seededRandom(5);
const say = (text: string) => process.stderr.write(`${text}\n`);
const cpuMs = (database: Embedded) => usage(database.pid, true).cpuSeconds * 1_000;

await using stack = new AsyncDisposableStack();
const year = await open('year', 360);
const results = {
  trigrams: options.trigrams ? await measureTrigrams() : null,
  indexing: year.indexing,
  list: await measureList(year.reader),
  searches: await measureSearches(year.reader, year.owner),
  overviewOfYear: await measureOverview(year.reader),
  overviewOfDay: await measureOverview((await open('day', 1)).reader),
  cost: await measureCost(),
};
report();

/** A filled database in which everything is findable; with what that took. */
async function open(name: 'year' | 'day', days: number) {
  const keep = options.keep === undefined ? undefined : `${options.keep}/${name}`;
  const database = await openDatabase(stack, {}, keep);
  const { connection } = database;
  await migrate(connection);
  if ((await filledWith(connection)) === null) {
    const startedMs = performance.now();
    const told = (step: string) => say(`${name}: ${step} (${Math.round((performance.now() - startedMs) / 1000)} s)`);
    await fill(connection, size, OURS, told, { days, words: true });
  }
  await migrate(connection, { indexes: 'all' });
  const { reader, owner } = await openReader(connection);
  const [cpu, own, startedMs] = [cpuMs(database), process.cpuUsage(), performance.now()];
  const blocks = await indexMessages(owner);
  const used = process.cpuUsage(own);
  const messages = blocks * 512;
  await owner.unsafe('vacuum analyze');
  return {
    database,
    reader,
    owner,
    indexing: {
      messages,
      perSecond: (messages / (performance.now() - startedMs)) * 1_000,
      postgresUs: ((cpuMs(database) - cpu) / messages) * 1_000,
      nodeUs: (used.user + used.system) / messages,
    },
  };
}

async function openReader(connection: Connection): Promise<{ reader: Reader; owner: Sql }> {
  const pools = await openPools(connection, { web: 1, worker: 1, admin: 1 });
  stack.defer(() => pools.close());
  const owner = openSql(connection, { max: 1 });
  stack.defer(() => owner.end());
  return { reader: { sql: pools.console, optOutScope: null, quietMs: 800 }, owner };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** The first page again and again, then every page once. */
async function measureList(reader: Reader) {
  const openMs: number[] = [];
  for (let n = 0; n < 30; n++) openMs.push(await timed(() => listConversations(reader, { limit: PAGE })));
  const pageMs: number[] = [];
  const seen = new Set<string>();
  let cursor: string | undefined;
  do {
    const startedMs = performance.now();
    const page = await listConversations(reader, { limit: PAGE, cursor });
    pageMs.push(performance.now() - startedMs);
    for (const { id } of page.data) {
      if (seen.has(id)) throw new Error('A conversation is in the list twice.');
      seen.add(id);
    }
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  const tenth = Math.ceil(pageMs.length / 10);
  const filters: [string, object][] = [
    ['waiting', { state: 'waiting' }],
    ['failed', { state: 'failed' }],
    ['failed in 24 h', { state: 'failed', since: '24h' }],
    ['not delivered in 30 days', { state: 'undelivered', since: '30d' }],
    ['unknown', { state: 'unknown' }],
    ['texts of the last hour', { since: '1h' }],
    ['opted out', { state: 'opted_out' }],
    ['our number (all of them)', { number: OURS }],
    ['part of a number (common)', { phone: '202' }],
    ['part of a number (rare)', { phone: personNumber(4711).slice(-7) }],
  ];
  const filtered: { name: string; ms: Spread }[] = [];
  for (const [name, filter] of filters) {
    const ms: number[] = [];
    for (let n = 0; n < 20; n++) ms.push(await timed(() => listConversations(reader, { limit: PAGE, ...filter })));
    filtered.push({ name, ms: spread(ms) });
  }
  return {
    // Without the first, which makes the connection and the plans.
    firstMs: openMs[0]!,
    openMs: spread(openMs.slice(1)),
    conversations: seen.size,
    pages: pageMs.length,
    firstTenthMs: spread(pageMs.slice(0, tenth)),
    lastTenthMs: spread(pageMs.slice(-tenth)),
    slowestMs: Math.max(...pageMs),
    filtered,
  };
}

async function measureSearches(reader: Reader, owner: Sql) {
  const draw = (below: number) => Math.floor(random() * below);
  const [word] = await owner<{ rare: string; phrase: string }[]>`
    select (select (regexp_match(words, '[a-z]{6,}'))[1] from bench_phrases where phrase = 17) as rare,
      (select words from bench_phrases where phrase = 4) as phrase`.catch(() => [
    { rare: 'dodtuu', phrase: 'asrffnr dodtuu' },
  ]);
  const [sent] = await owner<{ id: string }[]>`
    select provider_id as id from outbound_parts order by id offset ${draw(size.messages / 2)} limit 1`;
  const came = () =>
    owner<{ id: string }[]>`
      select provider_id as id from messages where id >= id_at(now() - make_interval(days => ${draw(350)}))
        and provider_id is not null order by id limit 1`.then(([row]) => row!.id);
  const kinds: [string, () => string | Promise<string>][] = [
    ['a word in half of the texts', () => 'half'],
    ['a word in one of 20,000', () => word!.rare],
    ['a word in one text', () => `needle${draw(size.messages / 2)}`],
    ['a word in none', () => `nowhere${draw(1_000)}`],
    ['common words that never meet', () => `${word!.phrase} ${word!.phrase} half ${draw(1_000)}`],
    ['two characters', () => 'zq'],
    ['100 emoji', () => '😀'.repeat(100)],
    ['part of a number', () => personNumber(draw(size.conversations)).slice(-6)],
    ['the carrier’s id of a text', came],
    ['the carrier’s id of a reply', () => sent!.id],
    ['an error code', () => '30007'],
  ];
  const searches: { name: string; ms: Spread; found: number }[] = [];
  const all: number[] = [];
  for (const [name, query] of kinds) {
    const ms: number[] = [];
    let found = 0;
    for (let n = 0; n < Number(options.searches); n++) {
      const q = await query();
      const startedMs = performance.now();
      const { messages, conversations } = await search(reader, q);
      ms.push(performance.now() - startedMs);
      found += messages.length + conversations.length;
    }
    all.push(...ms);
    searches.push({ name, ms: spread(ms), found: found / ms.length });
  }
  return { searches, all: spread(all) };
}

/** The same words in an index of PostgreSQL's own trigrams. */
function measureTrigrams(): Promise<Trigrams> {
  let n = 0;
  const queries = [
    ['a word in half of the texts', () => 'half'],
    ['a word in one text', () => `needle${n++ * 977}`],
    ['a word in none', () => `nowhere${n++}`],
    ['two characters', () => 'zq'],
  ] as const;
  return compareTrigrams(year.database, year.owner, queries, Number(options.searches));
}

/** The first look of a process, and what everybody after it costs when the answer is recomputed. */
async function measureOverview(reader: Reader) {
  const figures: { window: '1h' | '24h'; firstMs: number; againMs: number; texts: number }[] = [];
  for (const window of ['1h', '24h'] as const) {
    const overview = createOverview(reader);
    let texts = 0;
    const look = () => timed(async () => (texts = (await overview(window)).texts_in));
    const firstMs = await look();
    const again: number[] = [];
    for (let n = 0; n < 5; n++) {
      await new Promise((resolve) => setTimeout(resolve, 2_050));
      again.push(await look());
    }
    figures.push({ window, firstMs, againMs: median(again), texts });
  }
  return figures;
}

/** The SQL calls of texts with and without the indexes that the console needs, in turns on one database: CPU of PostgreSQL. */
async function measureCost() {
  const database = await openDatabase(stack);
  const { connection } = database;
  await migrate(connection);
  const owner = openSql(connection, { max: 1 });
  stack.defer(() => owner.end());
  const cost = { with: [] as number[], without: [] as number[] };
  // Steadier than time: the bytes of log that the same texts write.
  const wal = { with: [] as number[], without: [] as number[] };
  const written = async () => {
    const [row] = await owner<{ bytes: number }[]>`
      select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes`;
    return row!.bytes;
  };
  const texts = 400;
  let person = 0;
  for (let round = 0; round < 2 * Number(options['cost-rounds']); round++) {
    // Back and forth and back: neither is always the first.
    const which = round % 4 === 0 || round % 4 === 3 ? 'with' : 'without';
    if (which === 'with') await buildIndexes(owner, 'all');
    else for (const name of INDEXES) await owner.unsafe(`drop index if exists ${name}`);
    await owner.unsafe('vacuum');
    await owner.unsafe('checkpoint');
    const pools = await openPools(connection, { web: 1, worker: 1, admin: 1 });
    const calls = createCalls({ web: pools.web, worker: pools.worker, owner }, OURS);
    for (let n = 0; n < 20; n++) await calls.round([personNumber(person++)]);
    const [before, writtenBefore] = [cpuMs(database), await written()];
    for (let n = 0; n < texts; n++) await calls.round([personNumber(person++)]);
    cost[which].push((cpuMs(database) - before) / texts);
    wal[which].push(((await written()) - writtenBefore) / texts);
    await pools.close();
  }
  const [hot] = await owner<{ share: number }[]>`
    select (sum(n_tup_hot_upd) / sum(n_tup_upd))::float8 as share from pg_stat_user_tables
    where relname in ('conversations', 'turns', 'outbound_parts')`;
  return {
    withMs: median(cost.with),
    withoutMs: median(cost.without),
    withBytes: median(wal.with),
    withoutBytes: median(wal.without),
    hotShare: hot!.share,
    rounds: { cost, wal },
  };
}

function report(): void {
  const { list, searches } = results;
  const isMet = list.openMs.p95 < OPEN_MS && searches.all.p95 < SEARCH_P95_MS;
  if (!isMet) process.exitCode = 1;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ size, ...results, isMet }, null, 2)}\n`);
    return;
  }
  const line = (name: string, { p50, p95, p99 }: Spread, ...more: string[]) => [
    name,
    ...[p50, p95, p99].map(figure),
    ...more,
  ];
  const { indexing, cost } = results;
  const overviews = [
    ...results.overviewOfYear.map((row) => ({ ...row, name: `${row.window}, texts of a year` })),
    ...results.overviewOfDay.map((row) => ({ ...row, name: `${row.window}, all of them in a day` })),
  ];
  const out = [
    `${size.conversations.toLocaleString('en-US')} conversations, ${size.messages.toLocaleString('en-US')} messages`,
    '',
    table([
      ['the list, ms', 'p50', 'p95', 'p99'],
      line('first page', list.openMs),
      line(`pages 1–${Math.ceil(list.pages / 10)}`, list.firstTenthMs),
      line(`the last ${Math.ceil(list.pages / 10)} of ${list.pages}`, list.lastTenthMs),
      ...list.filtered.map(({ name, ms }) => line(name, ms)),
    ]),
    `The first one of a process ${figure(list.firstMs)} ms, the slowest page ${figure(list.slowestMs)} ms; ${list.conversations} conversations, none twice`,
    '',
    table([
      ['a search, ms', 'p50', 'p95', 'p99', 'found'],
      ...searches.searches.map(({ name, ms, found }) => line(name, ms, figure(found))),
      line('all of these', searches.all),
    ]),
    '',
    table([
      ['overview, ms', 'first', 'again', 'texts in'],
      ...overviews.map(({ name, firstMs, againMs, texts }) => [name, figure(firstMs), figure(againMs), String(texts)]),
    ]),
    '',
    indexing.messages === 0
      ? 'Made findable: by the run that filled the database'
      : `Made findable: ${figure(indexing.perSecond)} messages/s; PostgreSQL ${figure(indexing.postgresUs)} µs and Node ${figure(indexing.nodeUs)} µs of CPU a message, behind the text path`,
    `On it: PostgreSQL ${figure(cost.withMs)} ms of CPU and ${figure(cost.withBytes)} bytes of log a text with the three indexes, ${figure(cost.withoutMs)} and ${figure(cost.withoutBytes)} without; ${figure(cost.hotShare * 100)} % of its updates are HOT`,
    `Aim: the list opens within ${OPEN_MS} ms, searches within ${SEARCH_P95_MS} ms at p95: ${isMet ? 'met' : 'missed'}`,
  ];
  process.stdout.write(`${[...out, ...trigramLines(results.trigrams)].join('\n')}\n`);
}

function trigramLines(measured: Trigrams | null): string[] {
  if (measured === null) return [];
  const { buildSeconds, indexMb, wordsMb, insertUs, searches } = measured;
  return [
    '',
    table([
      ['with pg_trgm instead, ms', 'p50', 'p95', 'p99'],
      ...searches.map(({ name, ms }) => [name, ...[ms.p50, ms.p95, ms.p99].map(figure)]),
    ]),
    `Its index: ${figure(indexMb)} MB (message_words ${figure(wordsMb)}), built in ${figure(buildSeconds)} s; an insert ${figure(insertUs.indexed)} µs of CPU a text instead of ${figure(insertUs.plain)}, on the text path`,
  ];
}
