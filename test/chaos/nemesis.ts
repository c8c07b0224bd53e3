// Makes the schedule happen, and puts everything right again.
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultPlan } from '../../src/channels/simulator/faults.ts';
import { until } from '../support/until.ts';
import type { FaultProxy } from './fault-proxy.ts';
import type { Place } from './place.ts';
import { describeStep, type FaultName, type Step } from './schedule.ts';

export type Nemesis = {
  /** Resolves when the last fault is over and everything is put right. */
  readonly done: Promise<void>;
};

/** Begins a fault. A function it gives ends it; a fault without one is over at once. */
type Act = (place: Place, step: Step) => unknown;

export function unleash(place: Place, schedule: readonly Step[], say: (line: string) => void): Nemesis {
  const startedMs = performance.now();
  const happen = async (step: Step): Promise<void> => {
    await pause(Math.max(0, step.atMs - (performance.now() - startedMs)));
    say(describeStep(step));
    const end = await ACTS[step.fault](place, step);
    if (typeof end !== 'function') return;
    await pause(step.forMs);
    await end();
  };
  return { done: Promise.all(schedule.map(happen)).then(() => putRight(place)) };
}

/** Whatever a fault left behind is over: wires through, processes awake, agents good, the carrier honest. */
async function putRight({ wires, processes, agents, simulator, disk }: Place): Promise<void> {
  simulator.faults.clear();
  await disk.free();
  for (const one of processes) one.thaw();
  for (const agent of agents) agent.be('good');
  for (const proxy of wires.values()) {
    await proxy.up();
    proxy.cutNextAnswers(0);
    proxy.become({ kind: 'through' });
  }
}

const processOf = ({ processes }: Place, { target }: Step) => processes.find(({ name }) => name === target)!;
const agentOf = ({ agents }: Place, { target }: Step) => agents.find(({ name }) => name === target)!;
const wireOf = ({ wires }: Place, { target }: Step): FaultProxy => wires.get(target)!;

const weather =
  (of: (step: Step) => Parameters<FaultProxy['become']>[0]): Act =>
  (place, step) => {
    const proxy = wireOf(place, step);
    proxy.become(of(step));
    return () => proxy.become({ kind: 'through' });
  };

const mood =
  (name: Parameters<Place['agents'][number]['be']>[0]): Act =>
  (place, step) => {
    const agent = agentOf(place, step);
    agent.be(name, step.amount);
    return () => agent.be('good');
  };

const restart =
  (signal: 'SIGINT' | 'SIGQUIT'): Act =>
  ({ server }) => {
    process.kill(server.pid, signal);
  };

const freeze: Act = (place, step) => {
  const one = processOf(place, step);
  one.freeze();
  return () => one.thaw();
};

/** Misbehaviour of the carrier itself, counted in messages. */
const carrier =
  (plan: (count: number) => FaultPlan): Act =>
  ({ simulator }, { amount }) =>
    simulator.faults.set(plan(amount));

const noCarrier: Act = ({ simulator }, { forMs }) => simulator.faults.set({ refuseConnections: { forMs } });

const SERVER_BACK_MS = 60_000;
/** Below the product's own time-out of 15 s, so that the short run need not wait for it. */
const HANG_MS = 5_000;
/** Above the five seconds after which the carrier is asked first, below the silence that the short run waits for (run.ts). */
const UNLISTED_MS = 6_500;

const breakOff: Act = (place, step) => wireOf(place, step).cutNextAnswers(step.amount);

const ACTS: Readonly<Record<FaultName, Act>> = {
  'kill -9': (place, step) => processOf(place, step).end('SIGKILL', step.forMs),
  SIGTERM: (place, step) => processOf(place, step).end('SIGTERM', step.forMs),
  'SIGSTOP, later SIGCONT': freeze,
  'SIGSTOP until it is presumed dead': freeze,
  cut: (place, step) => wireOf(place, step).cut(),
  refused: async (place, step) => {
    const proxy = wireOf(place, step);
    await proxy.down();
    return () => proxy.up();
  },
  slow: weather(({ amount }) => ({ kind: 'slow', ms: amount })),
  stalled: weather(() => ({ kind: 'stall' })),
  'black hole': weather(() => ({ kind: 'hole' })),
  'half-closed': (place, step) => wireOf(place, step).halfClose(),
  'answers broken off': breakOff,
  'carrier answers broken off': breakOff,
  'every backend terminated': async ({ sql }) => {
    // A server that is still on its way up from the last fault has none.
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name like 'darkspere\\_%'`.catch(
      () => {},
    );
  },
  // Its supervisor in this process starts it again at once.
  'fast restart': restart('SIGINT'),
  'immediate restart': restart('SIGQUIT'),
  'a full disk': async ({ sql, disk }) => {
    // One that comes up without room does not come up: nobody starts it a second time here.
    await until(async () => (await sql`select 1`.catch(() => [])).length === 1, { timeoutMs: SERVER_BACK_MS });
    await disk.fill();
    return disk.free;
  },
  '429 storm': carrier((count) => ({ http429: count })),
  'the account refused': carrier((count) => ({ http401: count })),
  '500 before accepting': carrier((count) => ({ http500BeforeAccept: count })),
  '500 after accepting': carrier((count) => ({ http500AfterAccept: count })),
  'callbacks twice': carrier((count) => ({ duplicateCallbacks: count })),
  'no callbacks': carrier((count) => ({ missingCallbacks: count })),
  'callbacks before the answer': carrier((count) => ({ earlyCallbacks: count })),
  'callbacks out of order': carrier((count) => ({ reorderedCallbacks: count })),
  'late callbacks': carrier((count) => ({ lateCallbacks: { count, delayMs: 2_000 } })),
  'callbacks of strangers': carrier((count) => ({ unknownCallbacks: count, foreignCallbacks: count })),
  'messages that fail': carrier((count) => ({ failWith: { code: 30_008, count } })),
  'a hang before accepting': carrier((count) => ({ hangBeforeAccept: { count, hangMs: HANG_MS } })),
  'a hang after accepting': carrier((count) => ({ hangAfterAccept: { count, hangMs: HANG_MS } })),
  'a cut before accepting': carrier((count) => ({ cutBeforeAccept: count })),
  'a cut after accepting': carrier((count) => ({ cutAfterAccept: count })),
  'an answer cut in two': carrier((count) => ({ cutAnswer: count })),
  'an answer that drips': carrier((count) => ({ slowAnswer: { count, overMs: 3_000 } })),
  'an answer that is not JSON': carrier((count) => ({ malformedAnswer: count })),
  'messages not listed yet': carrier((count) => ({
    lateInList: { count, delayMs: UNLISTED_MS },
    // Only what has to be looked for is missed.
    http500AfterAccept: count,
  })),
  'lookups that fail': carrier((count) => ({ http500OnLookup: count })),
  'nobody listens': noCarrier,
  'nobody listens for long': noCarrier,
  'an agent that is slow': mood('slow'),
  'an agent that hangs': mood('hanging'),
  'an agent that is down': async (place, step) => {
    const agent = agentOf(place, step);
    await agent.down();
    return () => agent.up();
  },
  'an agent that flaps': mood('flapping'),
  'an agent that lies': mood('lying'),
  'an agent that answers later': mood('later'),
  'an agent that speaks up': mood('talkative'),
};
