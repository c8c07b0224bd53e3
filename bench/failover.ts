// What an agent's bad day costs the people who text: how long until everybody of a dead one is answered by another, and how many
// are answered in time while one of three is dead, slow, lying or hangs. See README.md.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openSql } from '../src/database/pools.ts';
import { newAccount } from './support/carrier-side.ts';
import { jsonAnswer, serve } from './support/http-wire.ts';
import type { Counts, Ledger } from './support/ledger.ts';
import { freePorts, openDatabase, registerAgent, startProduct } from './support/product.ts';
import { type Spread, spread } from './support/statistics.ts';
import { figure, table } from './support/table.ts';
import { createWorld } from './support/world.ts';

const AGENT_MS = 200;
const SLOW_MS = 25_000;
const IN_TIME_MS = 15_000;
/** After this the product has given up on every turn. */
const DRAIN_MS = 75_000;
/** Percentiles are written every five seconds. */
const SETTLE_MS = 6_000;

type Mood = 'well' | 'dead' | 'slow' | 'lying' | 'hanging';
type Case = {
  readonly name: string;
  readonly counts: Counts;
  readonly latencyMs: Spread;
  readonly mostMs: number;
  readonly inTime: number;
};

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    sessions: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '40' },
    seconds: { type: 'string', default: '10' },
    moods: { type: 'string', default: 'dead,slow,lying,hanging' },
  },
});
const sessions = Number(options.sessions);
const rate = Number(options.rate);
const seconds = Number(options.seconds);

await using stack = new AsyncDisposableStack();
const database = await openDatabase(stack);
const [port = 0, registration = 0, worker = 0] = await freePorts(3);
const account = newAccount(port);
const world = await createWorld(account);
stack.defer(() => world.close());
const product = await startProduct(stack, {
  account,
  databaseUrl: database.url,
  carrierUrl: world.carrierUrl,
  ports: { registration, worker },
  parts: [],
  concurrency: 2_000,
});
const owner = openSql(database.connection, { max: 1 });
stack.defer(() => owner.end());

let loads = 0;
let people = 0;
const results: Case[] = [await moveAll()];
for (const mood of options.moods.split(',') as Mood[]) results.push(await oneOfThree(mood));
report();

/** All sessions are with one agent, which dies; the two others come to be known only then. */
async function moveAll(): Promise<Case> {
  const first = await startAgent();
  await text(0, sessions, 300).then(settled);
  const others = [await startAgent(), await startAgent()];
  await sleep(500);
  await first.be('dead');
  // All of them within a second, and each counts from when it was due.
  const { ledger } = await text(0, sessions, sessions).then(settled);
  await Promise.all([first, ...others].map((agent) => agent.leave()));
  people = sessions;
  return result(`${figure(sessions)} sessions of a dead agent`, ledger);
}

/** Everybody has an agent of three; then one of those has a bad day. */
async function oneOfThree(mood: Mood): Promise<Case> {
  const agents = [await startAgent(), await startAgent(), await startAgent()];
  await sleep(500);
  const from = people;
  const size = rate * seconds;
  people += size * 2;
  await text(from, size, 100).then(settled);
  await sleep(SETTLE_MS);
  await agents[0]!.be(mood);
  // Half of them have texted before.
  const { ledger } = await text(from + size / 2, size, rate).then(settled);
  await Promise.all(agents.map((agent) => agent.leave()));
  return result(`one of three ${mood}`, ledger);
}

/** Each of these people texts once, so many a second; resolves when the webhooks are answered. */
async function text(from: number, count: number, perSecond: number): Promise<{ ledger: Ledger }> {
  const plan = Array.from({ length: count }, (_, n) => ({ atMs: (n * 1000) / perSecond, person: from + n }));
  const { ledger, sent } = world.offer(`f${loads++}`, plan);
  await sent;
  return { ledger };
}

async function settled<T extends { ledger: Ledger }>(texted: T): Promise<T> {
  const deadline = performance.now() + DRAIN_MS;
  while (texted.ledger.open > 0 && performance.now() < deadline) await sleep(10);
  product.assertAlive();
  return texted;
}

/** An agent that is registered and well. */
async function startAgent() {
  let mood: Mood = 'well';
  const server = await serve((_head, bytes) => {
    const request = JSON.parse(bytes.toString('utf8'));
    const isProbe = request.type === 'health.check';
    if (mood === 'hanging') return new Promise<never>(() => {});
    if (isProbe)
      return jsonAnswer('200 OK', {
        type: 'health.status',
        in_reply_to: request.message_id,
        payload: { status: 'healthy', load: 0 },
      });
    if (mood === 'lying') return jsonAnswer('200 OK', { type: 'chat.response', payload: {} });
    const said = jsonAnswer('200 OK', {
      type: 'chat.response',
      message_id: `re-${request.message_id}`,
      in_reply_to: request.message_id,
      timestamp: request.timestamp,
      payload: { session_id: request.payload.session_id, message: request.payload.message },
    });
    return sleep(mood === 'slow' ? SLOW_MS : AGENT_MS, said);
  });
  let isUp = true;
  const down = async () => {
    if (isUp) await server.close();
    isUp = false;
  };
  await registerAgent(product, `http://127.0.0.1:${server.port}/`);
  return {
    async be(next: Mood) {
      mood = next;
      if (mood === 'dead') await down();
    },
    async leave() {
      await owner`update agent_registry set status = 'deactivated' where endpoint_url like ${`%:${server.port}/`}`;
      await owner`select pg_notify('agents_changed', '')`;
      await down();
    },
  };
}

function result(name: string, ledger: Ledger): Case {
  const latencies = ledger.latenciesMs();
  const counts = ledger.counts();
  return {
    name,
    counts,
    latencyMs: spread(latencies),
    mostMs: latencies.reduce((most, ms) => Math.max(most, ms), 0),
    inTime: latencies.filter((ms) => ms <= IN_TIME_MS).length / counts.offered,
  };
}

function report(): void {
  if (results.some(({ counts }) => counts.lost + counts.doubled + counts.outOfOrder > 0)) process.exitCode = 1;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ agentMs: AGENT_MS, rate, results }, null, 2)}\n`);
    return;
  }
  const rows = results.map(({ name, counts, latencyMs, mostMs, inTime }) => [
    name,
    String(counts.offered),
    String(counts.lost),
    String(counts.doubled),
    ...[latencyMs.p50, latencyMs.p99, mostMs].map((ms) => figure(ms)),
    `${(inTime * 100).toFixed(1)} %`,
  ]);
  const head = ['', 'texts', 'lost', 'doubled', 'p50 ms', 'p99 ms', 'last ms', 'in 15 s'];
  process.stdout.write(
    `Agents that take ${AGENT_MS} ms; one of three: ${rate} texts/s for ${seconds} s, half of them of open sessions\n\n${table([head, ...rows])}\n`,
  );
}
