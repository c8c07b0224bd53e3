// What PostgreSQL calls a text costs, one after the other on an otherwise idle server: no HTTP, no queue, nothing beside it.
//   node bench/calls.ts [--batch 1] [--texts 600] [--anew] [--watched]
// `--anew` plans each statement anew, as PostgreSQL likes to do without our setting: what keeping the plans is worth.
// `--watched` lets somebody watch the live feed: what announcing every change costs.
import { parseArgs } from 'node:util';
import { migrate } from '../src/database/migrate.ts';
import { openPools, openSql } from '../src/database/pools.ts';
import { createCalls } from './support/calls.ts';
import { personNumber } from './support/carrier-side.ts';
import { openDatabase } from './support/product.ts';

const OURS = '+15550001111';
const WARM_UP = 50;
/** Fewer than the nine answers in half a minute after which a person counts as a machine. */
const TEXTS_EACH = 8;

const { values } = parseArgs({
  options: {
    batch: { type: 'string', default: '1' },
    texts: { type: 'string', default: '600' },
    anew: { type: 'boolean', default: false },
    watched: { type: 'boolean', default: false },
  },
});
const size = Number(values.batch);
const rounds = Math.round(Number(values.texts) / size);
const people = Math.max(3_000, Math.ceil(((rounds + WARM_UP) * size) / TEXTS_EACH));

await using stack = new AsyncDisposableStack();
const { connection } = await openDatabase(stack);
await migrate(connection);
const owner = openSql(connection, { max: 1 });
stack.defer(() => owner.end());
if (values.anew) {
  const hot = await owner<{ name: string }[]>`
    select oid::regprocedure::text as name from pg_proc
    where 'plan_cache_mode=force_generic_plan' = any (proconfig)`;
  for (const { name } of hot) await owner.unsafe(`alter function ${name} reset plan_cache_mode`);
}
if (values.watched) {
  const listening = await owner.listen('darkspere_live', () => {});
  stack.defer(() => listening.unlisten());
  await owner`insert into live_watchers values (gen_random_uuid(), now() + interval '1 day')`;
}
const pools = await openPools(connection, { web: 1, worker: 1, admin: 1 });
stack.defer(() => pools.close());

const calls = createCalls({ web: pools.web, worker: pools.worker, owner }, OURS);
let next = 0;
for (let round = -WARM_UP; round < rounds; round++) {
  if (round === 0) calls.forget();
  await calls.round(Array.from({ length: size }, () => personNumber(next++ % people)));
}

let sum = 0;
for (const [name, all] of calls.spentMs) {
  const ms = all.reduce((total, each) => total + each, 0) / rounds;
  sum += ms / size;
  process.stdout.write(`${name.padEnd(16)}${ms.toFixed(2).padStart(8)} ms a call\n`);
}
process.stdout.write(`${'together'.padEnd(16)}${sum.toFixed(2).padStart(8)} ms a text\n`);
