// Places at agents: max_concurrent_sessions holds over all processes. Each process reserves a block of an agent's slots in the
// database and gives places from it without asking anybody; it renews its blocks every second and gives back what it does not
// need. Who cannot renew stops using them before they are anybody else's.
import { type Sql, stopListening } from '../database/pools.ts';
import type { Agent } from './agent.ts';

/** A call's place at an agent; `leave` may be called more than once. */
export type Place = { leave(): void };

export type Capacity = {
  /** Takes a place; null when all of the agent's are taken, here or elsewhere. Rejects while the database is away. */
  take(agent: Agent): Promise<Place | null>;
  /** Calls to the agent that are under way: this process's as they are, those of others as of a second ago. */
  inUse(agentId: string): number;
  /** Resolves when one of these agents may have room again, after `ms` at the latest, or when `signal` ends. */
  roomAt(agentIds: ReadonlySet<string>, ms: number, signal: AbortSignal): Promise<void>;
  /** Renews now what is held. */
  renew(): Promise<void>;
  close(): Promise<void>;
};

const RENEW_MS = 1_000;
/** A reservation holds for three seconds in the database; it is used for a little less, counted from before it was asked for. */
const USED_FOR_MS = 2_500;
/** After this many renewals without a call everything is given back. */
const IDLE_RENEWALS = 5;
/** Of an agent's capacity, what a process reserves at a time at first. */
const BLOCK_SHARE = 1 / 16;
const LARGEST_BLOCK = 64;
/** What is left of a peak with each renewal: a quiet second is not the end of a busy minute. */
const PEAK_LEFT = 0.8;
/** For so long after somebody asked, what becomes free is theirs. */
const WANTED_MS = 2_000;
/** Between looks of an operator's call for a place. */
const LOOK_AGAIN_MS = 250;

type Block = {
  /** May be used at once; fewer than are used after the limit was lowered. */
  held: number;
  used: number;
  /** The most that were used at once lately. */
  peak: number;
  idle: number;
  /** Monotonic milliseconds. */
  usableUntilMs: number;
  wantedUntilMs: number;
  claim: Promise<void> | null;
  /** Calls that wait for the claim. */
  asking: number;
};

type Waiter = { readonly agentIds: ReadonlySet<string>; wake(): void };

/** Opens the reservations of one process, which is called `poolId`. */
export async function createCapacity(deps: {
  readonly sql: Sql;
  readonly poolId: string;
  readonly onError: (error: unknown) => void;
}): Promise<Capacity> {
  const { sql, poolId, onError } = deps;
  const blocks = new Map<string, Block>();
  const waiters = new Set<Waiter>();
  let elsewhere = new Map<string, number>();
  let returning: NodeJS.Timeout | undefined;
  let renewing: Promise<void> = Promise.resolve();
  let closed = false;

  const blockOf = (agentId: string): Block => {
    const known = blocks.get(agentId);
    if (known !== undefined) return known;
    const fresh = { held: 0, used: 0, peak: 0, idle: 0, usableUntilMs: 0, wantedUntilMs: 0, claim: null, asking: 0 };
    blocks.set(agentId, fresh);
    return fresh;
  };

  const hasRoom = (block: Block, agent: Agent): boolean =>
    block.used < Math.min(block.held, agent.trickle ?? block.held) && performance.now() < block.usableUntilMs;

  /** Asks for more. One question per agent at a time: whoever comes meanwhile shares its answer. */
  function claim(agentId: string, block: Block, totalOf: () => number): Promise<void> {
    const ask = async (): Promise<void> => {
      // A renewal under way may be about these very slots.
      await renewing.catch(() => {});
      const askedMs = performance.now();
      // As in a renewal: what is not told of is not used.
      block.held = Math.min(block.held, block.used);
      const [row] = await sql<{ slots: number }[]>`
        select claim_slots(${agentId}, ${poolId}, ${totalOf()}, ${block.used}) as slots`;
      block.held = row!.slots;
      block.usableUntilMs = askedMs + USED_FOR_MS;
    };
    block.claim ??= ask().finally(() => {
      block.claim = null;
    });
    return block.claim;
  }

  /** What it uses and a block more. */
  function moreFor({ maxConcurrentSessions }: Agent, { used, asking }: Block): number {
    const size = Math.ceil(Math.min(LARGEST_BLOCK, maxConcurrentSessions * BLOCK_SHARE));
    return used + Math.max(size, Math.ceil(used / 2), asking);
  }

  /** Claims until there is room or no more to be had: of those who share an answer the first ones take what it gave. */
  async function makeRoom(agent: Agent, block: Block): Promise<boolean> {
    block.asking += 1;
    try {
      while (!hasRoom(block, agent)) {
        const before = block.usableUntilMs > performance.now() ? block.held : 0;
        await claim(agent.id, block, () => moreFor(agent, block));
        if (!hasRoom(block, agent) && block.held <= before) return false;
      }
      return true;
    } finally {
      block.asking -= 1;
    }
  }

  function leave(agentId: string, block: Block): void {
    block.used -= 1;
    if (performance.now() < block.wantedUntilMs) {
      block.held = Math.min(block.held, block.used);
      giveBackSoon();
      return;
    }
    for (const waiter of waiters) {
      if (!waiter.agentIds.has(agentId)) continue;
      // One place, one of those who wait.
      waiter.wake();
      break;
    }
  }

  /** Several calls that end together are one statement. */
  function giveBackSoon(): void {
    returning ??= setTimeout(() => {
      returning = undefined;
      void renew().catch(onError);
    }, 5);
  }

  /** What a process keeps of a block: what it uses, and room for about as much as came lately. */
  function kept(block: Block, nowMs: number): number {
    if (nowMs < block.wantedUntilMs) return Math.min(block.held, block.used);
    if (block.idle >= IDLE_RENEWALS) return 0;
    return Math.min(block.held, Math.max(block.used, block.peak * 2 + 2));
  }

  function renew(): Promise<void> {
    renewing = renewing.catch(() => {}).then(renewBlocks);
    return renewing;
  }

  async function renewBlocks(): Promise<void> {
    const nowMs = performance.now();
    const asked = [...blocks].filter(([, block]) => block.claim === null);
    for (const [, block] of asked) block.idle = block.peak === 0 ? block.idle + 1 : 0;
    const isWanted = asked.some(([, block]) => nowMs < block.wantedUntilMs);
    const slots = asked.map(([agent_id, block]) => ({ agent_id, slots: kept(block, nowMs), in_use: block.used }));
    // From here on only what is kept may be used: the rest may be somebody else's before the answer is here.
    for (const [n, [, block]] of asked.entries()) {
      block.held = slots[n]!.slots;
      block.peak = Math.max(block.used, Math.floor(block.peak * PEAK_LEFT));
    }
    if (slots.length === 0) return;
    const rows = await sql<{ agent_id: string; slots: number }[]>`
      select * from renew_slots(${poolId}, ${JSON.stringify(slots)}::text::json, ${isWanted})`;
    const left = new Map(rows.map((row) => [row.agent_id, row.slots]));
    for (const [agentId, block] of asked) {
      block.held = Math.min(block.held, left.get(agentId) ?? 0);
      block.usableUntilMs = nowMs + USED_FOR_MS;
      if (block.held === 0 && block.used === 0 && block.asking === 0) blocks.delete(agentId);
      // The reservation ran out under calls that go on: others must know of them again before more is theirs.
      if (block.used > 0 && !left.has(agentId)) void claim(agentId, block, () => block.used).catch(onError);
    }
  }

  async function look(): Promise<void> {
    const rows = await sql<{ agent_id: string; in_use: number }[]>`select * from slots_in_use(${poolId})`;
    elsewhere = new Map(rows.map((row) => [row.agent_id, row.in_use]));
  }

  function hear(notice: string): void {
    const [what, agentId = '', asker] = notice.split(' ');
    if (asker === poolId) return;
    if (what === 'free') {
      for (const waiter of [...waiters]) if (waiter.agentIds.has(agentId)) waiter.wake();
      return;
    }
    const block = blocks.get(agentId);
    if (block === undefined || block.held === 0) return;
    block.wantedUntilMs = performance.now() + WANTED_MS;
    if (block.used < block.held) giveBackSoon();
  }

  const listening = await sql.listen('agent_slots', hear);
  let looking: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    looking = renew().then(look).catch(onError);
  }, RENEW_MS);
  timer.unref();

  return {
    async take(agent) {
      const block = blockOf(agent.id);
      if (closed) return null;
      // Somebody else may have taken what there was between the answer and here.
      while (!hasRoom(block, agent)) if (!(await makeRoom(agent, block))) return null;
      block.used += 1;
      block.peak = Math.max(block.peak, block.used);
      let isLeft = false;
      return {
        leave() {
          if (isLeft) return;
          isLeft = true;
          leave(agent.id, block);
        },
      };
    },
    inUse: (agentId) => (blocks.get(agentId)?.used ?? 0) + (elsewhere.get(agentId) ?? 0),
    roomAt(agentIds, ms, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const done = () => {
        waiters.delete(waiter);
        clearTimeout(timeout);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const waiter = { agentIds, wake: done };
      const timeout = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      waiters.add(waiter);
      if (signal.aborted || closed) done();
      return promise;
    },
    renew,
    async close() {
      closed = true;
      clearInterval(timer);
      clearTimeout(returning);
      for (const waiter of [...waiters]) waiter.wake();
      stopListening(listening);
      await looking;
      for (const block of blocks.values()) block.wantedUntilMs = Number.POSITIVE_INFINITY;
      await renew().catch(onError);
    },
  };
}

/**
 * A place for a call of an operator's; null when there is none within `ms` or before `signal` ends. People who wait come first: it
 * takes a place that is free for a moment, or none.
 */
export async function takeWithin(
  { take, roomAt }: Pick<Capacity, 'take' | 'roomAt'>,
  agent: Agent,
  ms: number,
  signal: AbortSignal,
): Promise<Place | null> {
  for (let leftMs = ms; ; leftMs -= LOOK_AGAIN_MS) {
    const place = await take(agent);
    if (place !== null || leftMs <= 0 || signal.aborted) return place;
    await roomAt(new Set([agent.id]), Math.min(leftMs, LOOK_AGAIN_MS), signal);
  }
}
