// What choosing an agent takes: a thousand agents in every state, a hundred thousand open sessions, and a place reserved for each
// choice. See README.md.
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createAdmission } from '../src/agents/admission.ts';
import { createCapacity } from '../src/agents/capacity.ts';
import { createRegistry } from '../src/agents/registry.ts';
import { chooseAgent } from '../src/agents/routing.ts';
import { now } from '../src/clock.ts';
import { migrate } from '../src/database/migrate.ts';
import { openPools, openSql, type Sql } from '../src/database/pools.ts';
import { createSecretBox } from '../src/security/secrets.ts';
import { newSigningSecret } from '../src/security/standard-webhooks.ts';
import { fill } from './support/fill.ts';
import { openDatabase } from './support/product.ts';
import { seededRandom, spread } from './support/statistics.ts';
import { figure, table } from './support/table.ts';

const OURS = '+15550001111';
const AIM_P99_MS = 1;
const WARM_UP = 2_000;
/** Between two pauses, in which what a process does besides can run: its looks at the table, renewals. */
const BURST = 10;
/** Calls under way at any time. */
const HELD = 500;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    agents: { type: 'string', default: '1000' },
    sessions: { type: 'string', default: '100000' },
    decisions: { type: 'string', default: '50000' },
  },
});
const agents = Number(options.agents);
const decisions = Number(options.decisions);

await using stack = new AsyncDisposableStack();
const { connection } = await openDatabase(stack);
await migrate(connection);
await fill(connection, { conversations: Number(options.sessions), messages: 2 * Number(options.sessions) }, OURS);
const owner = openSql(connection, { max: 1 });
stack.defer(() => owner.end());
const pools = await openPools(connection, { web: 1, worker: 4, admin: 1 });
stack.defer(() => pools.close());
const secretBox = createSecretBox(randomBytes(32));
await addAgents(owner);
const sessions = await owner<{ agent_id: string }[]>`select agent_id from agent_sessions where is_active`;

const onError = (error: unknown) => {
  throw error;
};
const sql = pools.worker;
const capacity = await createCapacity({ sql, poolId: 'bench', onError });
stack.defer(() => capacity.close());
const registry = await createRegistry({ sql, secretBox, refreshMs: 1_000, inUse: capacity.inUse, onError });
stack.defer(() => registry.close());
const admission = createAdmission({ sql, poolId: 'bench', capacity, registry, onError });

const random = seededRandom(7);
/** CPU of this thread while agents were chosen for new people: what is left of the figures on a machine that does other things too. */
let cpuMs = 0;
const spentMs = {
  'of a new person': [] as number[],
  'of an open session': [] as number[],
  'with its place': [] as number[],
};
const held: { leave(saidNothing: boolean): void }[] = [];
for (let n = 0; n < WARM_UP + decisions; n++) {
  // One in ten comes for the first time.
  const sticky = n % 10 === 0 ? null : sessions[Math.floor(random() * sessions.length)]!.agent_id;
  await decide(sticky, n >= WARM_UP);
  if (n % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
const refreshMs: number[] = [];
for (let n = 0; n < 20; n++) {
  const startedMs = performance.now();
  await registry.refresh();
  refreshMs.push(performance.now() - startedMs);
}
report();

async function decide(sticky: string | null, counts: boolean): Promise<void> {
  const usedBefore = process.threadCpuUsage().user;
  const startedMs = performance.now();
  const choice = chooseAgent(registry.agents('chat'), {
    type: 'chat',
    capabilities: ['chat'],
    sticky,
    exclude: new Set(),
    now: now(),
  });
  const chosenMs = performance.now();
  const usedMs = (process.threadCpuUsage().user - usedBefore) / 1_000;
  const admitted = await admission.admit(choice!, 30_000);
  const admittedMs = performance.now();
  if (typeof admitted === 'object') held.push(admitted);
  if (held.length > HELD) held.splice(Math.floor(random() * held.length), 1)[0]!.leave(false);
  if (!counts) return;
  if (sticky === null) cpuMs += usedMs;
  spentMs[sticky === null ? 'of a new person' : 'of an open session'].push(chosenMs - startedMs);
  spentMs['with its place'].push(admittedMs - startedMs);
}

/** Nine in ten well, the others in every kind of trouble; the sessions shared out among all. */
async function addAgents(to: Sql): Promise<void> {
  const secrets = secretBox.seal({ signingSecret: newSigningSecret(), credential: null });
  await to`
    insert into agent_registry (name, type, endpoint_url, capabilities, api_key_hash, secrets, max_concurrent_sessions,
      health_score, success_rate, status, circuit, consecutive_failures, cooling_until, response_ms, metadata)
    select 'agent ' || n, 'chat', 'https://agent.example/' || n, '{chat,media}', sha256(n::text::bytea), ${secrets}, 1000,
      case when n % 10 = 0 then n % 70 else 70 + n % 31 end, case when n % 10 = 0 then 0.6 else 1 end,
      (case when n % 20 = 0 then 'disabled' when n % 10 = 0 then 'degraded' else 'active' end),
      case when n % 40 = 0 then 'open' else 'closed' end, case when n % 20 = 0 then 5 else 0 end,
      case when n % 10 = 0 then clock_timestamp() + interval '1 hour' end, n % 500, '{"model": "bench"}'
    from generate_series(1, ${agents}::int) n`;
  await to`
    with numbered as (select id, row_number() over (order by id) - 1 as n from agent_registry),
    sessions as (select id, row_number() over (order by id) % ${agents} as n from agent_sessions)
    update agent_sessions s set agent_id = numbered.id, is_active = true
    from sessions join numbered on numbered.n = sessions.n where s.id = sessions.id`;
}

function report(): void {
  const rows = Object.entries({ ...spentMs, 'the table read anew': refreshMs }).map(([name, all]) => ({
    name,
    count: all.length,
    ...spread(all),
  }));
  const isMet = rows.find(({ name }) => name === 'with its place')!.p99 < AIM_P99_MS;
  const meanCpuMs = cpuMs / spentMs['of a new person'].length;
  if (!isMet) process.exitCode = 1;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ agents, sessions: sessions.length, rows, meanCpuMs, isMet }, null, 2)}\n`);
    return;
  }
  process.stdout.write(
    `${[
      `${figure(agents)} agents, ${figure(sessions.length)} open sessions, ${HELD} calls under way; milliseconds`,
      '',
      table([
        ['choice', 'count', 'p50', 'p95', 'p99'],
        ...rows.map((row) => [row.name, figure(row.count), ...[row.p50, row.p95, row.p99].map((ms) => ms.toFixed(3))]),
      ]),
      '',
      `CPU of a choice for a new person: ${meanCpuMs.toFixed(3)} ms on average.`,
      `Aim: p99 below ${AIM_P99_MS} ms with its place: ${isMet ? 'met' : 'not met'}.`,
    ].join('\n')}\n`,
  );
}
