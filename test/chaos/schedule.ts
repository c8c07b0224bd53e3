// What goes wrong and when: a list that follows from a seed and nothing else, so that a run can be made again.
import { createRandom } from '../../src/channels/simulator/random.ts';

/** Processes, wires and agents of a run, by their names; one thing happens to each of them at a time. */
export type Targets = {
  readonly processes: readonly string[];
  readonly databaseWires: readonly string[];
  readonly agents: readonly string[];
};

export type Step = {
  readonly atMs: number;
  /** What it happens to. */
  readonly target: string;
  readonly fault: FaultName;
  /** How long it lasts; for a fault that is over at once, how long its target is left alone afterwards. */
  readonly forMs: number;
  /** Milliseconds late, messages or answers: whatever the fault counts. */
  readonly amount: number;
};

type Kind = {
  readonly on: (targets: Targets) => readonly string[];
  readonly forMs: readonly [least: number, most: number];
  readonly amount?: readonly [least: number, most: number];
  /** How often, compared with the others; 1 by default. */
  readonly weight?: number;
};

const processes = ({ processes: all }: Targets) => all;
const wires = ({ databaseWires, agents }: Targets) => ['front', 'carrier', ...databaseWires, ...agents.map(agentWire)];
const databaseWires = ({ databaseWires: all }: Targets) => all;
const carrier = () => ['the carrier'];
const database = () => ['the database'];
const agents = ({ agents: all }: Targets) => all;

export const agentWire = (agent: string) => `wire of ${agent}`;

/**
 * Durations are on both sides of what the product needs to be sure of a death (10 s without a heartbeat) and of its time-outs,
 * and below the minute until an unknown part is given up at the carrier.
 */
export const KINDS = {
  'kill -9': { on: processes, forMs: [100, 2_500], weight: 4 },
  'SIGSTOP, later SIGCONT': { on: processes, forMs: [500, 14_000], weight: 3 },
  'SIGSTOP until it is presumed dead': { on: processes, forMs: [12_000, 30_000], weight: 1 },
  SIGTERM: { on: processes, forMs: [100, 1_000], weight: 1 },
  cut: { on: wires, forMs: [100, 200], weight: 4 },
  refused: { on: wires, forMs: [300, 3_000], weight: 2 },
  slow: { on: wires, forMs: [1_000, 5_000], amount: [20, 400], weight: 2 },
  stalled: { on: wires, forMs: [500, 6_000], weight: 2 },
  'black hole': { on: wires, forMs: [500, 6_000], weight: 2 },
  'half-closed': { on: wires, forMs: [100, 200], weight: 2 },
  'answers broken off': { on: databaseWires, forMs: [300, 600], amount: [1, 20], weight: 2 },
  'carrier answers broken off': { on: () => ['carrier'], forMs: [300, 600], amount: [1, 20], weight: 2 },
  'every backend terminated': { on: database, forMs: [300, 600], weight: 3 },
  'fast restart': { on: database, forMs: [2_000, 4_000], weight: 1 },
  'immediate restart': { on: database, forMs: [2_000, 4_000], weight: 1 },
  'a full disk': { on: database, forMs: [1_000, 5_000], weight: 2 },
  '429 storm': { on: carrier, forMs: [500, 1_500], amount: [5, 60] },
  'the account refused': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  '500 before accepting': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  '500 after accepting': { on: carrier, forMs: [500, 1_500], amount: [1, 20], weight: 2 },
  'callbacks twice': { on: carrier, forMs: [500, 1_500], amount: [10, 100] },
  'no callbacks': { on: carrier, forMs: [500, 1_500], amount: [10, 100] },
  'callbacks before the answer': { on: carrier, forMs: [500, 1_500], amount: [5, 50] },
  'callbacks out of order': { on: carrier, forMs: [500, 1_500], amount: [10, 100] },
  'late callbacks': { on: carrier, forMs: [500, 1_500], amount: [10, 100] },
  'callbacks of strangers': { on: carrier, forMs: [500, 1_500], amount: [5, 50] },
  'messages that fail': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  'a hang before accepting': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  'a hang after accepting': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  'a cut before accepting': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  'a cut after accepting': { on: carrier, forMs: [500, 1_500], amount: [1, 20] },
  'an answer cut in two': { on: carrier, forMs: [500, 1_500], amount: [1, 20] },
  'an answer that drips': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  'an answer that is not JSON': { on: carrier, forMs: [500, 1_500], amount: [1, 20] },
  'messages not listed yet': { on: carrier, forMs: [500, 1_500], amount: [1, 20] },
  'lookups that fail': { on: carrier, forMs: [500, 1_500], amount: [1, 10] },
  'nobody listens': { on: carrier, forMs: [300, 3_000] },
  'nobody listens for long': { on: carrier, forMs: [5_000, 20_000] },
  'an agent that is slow': { on: agents, forMs: [1_000, 5_000], amount: [200, 1_500] },
  'an agent that hangs': { on: agents, forMs: [1_000, 6_000] },
  'an agent that is down': { on: agents, forMs: [1_000, 8_000] },
  'an agent that flaps': { on: agents, forMs: [1_000, 8_000], weight: 2 },
  'an agent that lies': { on: agents, forMs: [1_000, 8_000], weight: 2 },
  'an agent that answers later': { on: agents, forMs: [1_000, 8_000], amount: [50, 3_000], weight: 2 },
  'an agent that speaks up': { on: agents, forMs: [1_000, 8_000], amount: [50, 1_000], weight: 2 },
} as const satisfies Record<string, Kind>;

export type FaultName = keyof typeof KINDS;

const NAMES = Object.keys(KINDS) as FaultName[];
const weighted = NAMES.flatMap((name) => Array<FaultName>((KINDS[name] as Kind).weight ?? 1).fill(name));

/** Faults over `durationMs`, one every `everyMs` on average; all of them are over at its end. */
export function scheduleOf(seed: number, targets: Targets, durationMs: number, everyMs: number): Step[] {
  const random = createRandom(seed);
  const between = ([least, most]: readonly [number, number]) => Math.round(least + random.fraction() * (most - least));
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.fraction() * list.length)]!;
  const busyUntil = new Map<string, number>();
  const steps: Step[] = [];
  for (let atMs = between([200, everyMs]); atMs < durationMs; atMs += between([everyMs / 3, (everyMs * 5) / 3])) {
    const fault = pick(weighted);
    const kind: Kind = KINDS[fault];
    const target = pick(kind.on(targets));
    const forMs = Math.min(between(kind.forMs), durationMs - atMs);
    const amount = kind.amount === undefined ? 0 : between(kind.amount);
    if ((busyUntil.get(target) ?? 0) > atMs) continue;
    busyUntil.set(target, atMs + forMs);
    steps.push({ atMs, target, fault, forMs, amount });
  }
  return steps;
}

export function describeStep({ atMs, target, fault, forMs, amount }: Step): string {
  const much = amount === 0 ? '' : ` × ${amount}`;
  return `${(atMs / 1000).toFixed(1).padStart(7)} s  ${target}: ${fault}${much}, ${(forMs / 1000).toFixed(1)} s`;
}
