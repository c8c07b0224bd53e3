// The live feed: what happens to conversations and agents, as it happens. A hint says which conversation and what kind of thing; whoever
// hears it reads that anew. The database announces changes only while somebody watches (database/functions/inbox/live.sql).
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outage } from '../database/outage.ts';
import type { Sql } from '../database/pools.ts';
import { messageOf } from '../errors.ts';
import { isUuid, newId } from '../ids.ts';
import type { Logger } from '../observability/logger.ts';
import { createRing } from './ring.ts';

const KINDS = ['text', 'turn', 'reply', 'send', 'status', 'takeover', 'replay'] as const;

type Kind = (typeof KINDS)[number];

/** Of an agent null: of any of them. */
export type Change = { readonly conversation_id: string; readonly what: Kind } | { readonly agent_id: string | null };
/** `id`: where to go on after a cut, in the process that gave it. */
export type LiveEvent = { readonly id: string; readonly change: Change };
/** `reset`: something may have been missed; everything has to be read anew. */
export type LiveListener = (event: LiveEvent | 'reset') => void;

export type LiveFeed = {
  /**
   * Tells of every change from now on. With the id of the last event that was heard, first of what came since, in order and
   * before this returns; or of a `reset` when that is not known any more. Without one: subscribe first, then read; a feed that
   * nobody was subscribed to needs a moment to begin, and says `reset` when it has.
   */
  subscribe(listener: LiveListener, lastEventId?: string): () => void;
  /** Where the feed is now, as the id of an event: for whoever has heard of none yet. */
  readonly position: string;
  close(): Promise<void>;
};

export type LiveDeps = {
  /** Of the role darkspere_web. */
  readonly sql: Sql;
  readonly logger: Logger;
  readonly outage: Outage;
  /** How long it goes on without anybody, milliseconds: whose stream was cut comes back and has missed nothing. */
  readonly lingerMs?: number;
};

/** Changes kept for those who come back. */
const KEPT = 10_000;
const LINGER_MS = 30_000;
/** The database takes a watcher for gone after 10 s. */
const BEAT_MS = 2_000;
/** Beats come over the same connection as changes: without one for this long we hear nothing. */
const DEAF_MS = 7_000;
/** Between tries to listen. */
const AGAIN_MS = 500;
/** Commits that were under way when we began are waited for this long. */
const UNDER_WAY_MS = 2_000;
const LOOK_AGAIN_MS = 20;
/** A UUID in base64, without its padding. */
const ID_LENGTH = 22;

export function createLiveFeed(deps: LiveDeps): LiveFeed {
  const { sql, logger, outage, lingerMs = LINGER_MS } = deps;
  const listeners = new Set<LiveListener>();
  const kept = createRing<Change>(KEPT);
  /** Changes are counted within a run; a gap ends it, so that ids from before it are unknown. */
  let run = newRun();
  let watch: { stop(): Promise<void> } | null = null;
  let leaving: NodeJS.Timeout | undefined;

  function gap(): void {
    run = newRun();
    kept.clear();
    for (const listener of listeners) tell(listener, 'reset');
  }

  function tell(listener: LiveListener, event: LiveEvent | 'reset'): void {
    try {
      listener(event);
    } catch (error) {
      listeners.delete(listener);
      logger.warn({ error: messageOf(error) }, 'a listener of the live feed broke and is told nothing more');
    }
  }

  const eventOf = (n: number, change: Change): LiveEvent => ({ id: `${run}-${n}`, change });

  function changed(change: Change): void {
    const event = eventOf(kept.push(change), change);
    for (const listener of listeners) tell(listener, event);
  }

  /** What came after an event; null when that is not known. */
  function since(lastEventId: string): LiveEvent[] | null {
    const [of, n] = lastEventId.split('-');
    if (of !== run || !/^\d{1,15}$/.test(n ?? '')) return null;
    return kept.after(Number(n))?.map(([place, change]) => eventOf(place, change)) ?? null;
  }

  async function leave(): Promise<void> {
    clearTimeout(leaving);
    const left = watch;
    watch = null;
    // What happens from now on nobody knows.
    run = newRun();
    kept.clear();
    await left?.stop();
  }

  return {
    subscribe(listener, lastEventId) {
      clearTimeout(leaving);
      if (lastEventId !== undefined) for (const event of since(lastEventId) ?? ['reset' as const]) listener(event);
      listeners.add(listener);
      watch ??= startWatch({ sql, logger, outage }, changed, gap);
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return;
        leaving = setTimeout(() => void leave(), lingerMs);
        leaving.unref();
      };
    },
    get position() {
      return `${run}-${kept.last}`;
    },
    async close() {
      listeners.clear();
      await leave();
    },
  };
}

const newRun = () => randomBytes(6).toString('hex');

/** Listens, and says that it does, until it is stopped. `gap` is called when something may have been missed. */
function startWatch(
  { sql, logger, outage }: LiveDeps,
  changed: (change: Change) => void,
  gap: () => void,
): { stop(): Promise<void> } {
  const watcher = newId();
  const stopping = new AbortController();
  const { signal } = stopping;
  let heardMs = performance.now();
  /** The library keeps a listener that it was told to forget when its connection broke in between. */
  let current: symbol | null = null;
  let unlisten = async (): Promise<void> => {};

  function hear(payload: string): void {
    const [what = '', ids = ''] = payload.split(' ');
    if (what === 'beat') {
      if (ids === watcher) heardMs = performance.now();
      return;
    }
    // A newer release may speak of more.
    if (!isKind(what)) return;
    for (let at = 0; at < ids.length; at += ID_LENGTH)
      changed({ conversation_id: uuidOf(ids.slice(at, at + ID_LENGTH)), what });
  }

  async function listen(): Promise<void> {
    const mine = Symbol('a try to listen');
    current = mine;
    let isFirst = true;
    const listening = await sql.listen(
      'darkspere_live',
      (payload) => {
        if (current === mine) hear(payload);
      },
      () => {
        // Again: the connection was gone in between.
        if (current === mine && !isFirst) gap();
        isFirst = false;
        heardMs = performance.now();
      },
    );
    // Said by whatever registers an agent, changes it, or finds it in another state; nobody has to say it for us.
    const agents = await sql.listen('agents_changed', (id) => {
      if (current === mine) changed({ agent_id: isUuid(id) ? id : null });
    });
    unlisten = async () => void (await Promise.all([listening.unlisten(), agents.unlisten()]));
  }

  async function beat(): Promise<void> {
    const [row] = await sql<{ known: boolean }[]>`select watch_live(${watcher}) as known`;
    if (!row!.known) {
      await othersHaveSeenIt();
      if (!signal.aborted) gap();
    } else if (performance.now() - heardMs > DEAF_MS) gap();
  }

  /** A commit that was under way may have looked for watchers before there was one. */
  async function othersHaveSeenIt(): Promise<void> {
    const [now] = await sql<{ next: number }[]>`select pg_snapshot_xmax(pg_current_snapshot())::text::int8 as next`;
    const giveUpMs = performance.now() + UNDER_WAY_MS;
    while (performance.now() < giveUpMs && !signal.aborted) {
      const [row] = await sql<{ over: boolean }[]>`
        select pg_snapshot_xmin(pg_current_snapshot())::text::int8 >= ${now!.next} as over`;
      if (row!.over) return;
      await sleep(LOOK_AGAIN_MS);
    }
  }

  async function keepOn(): Promise<void> {
    let isListening = false;
    while (!signal.aborted) {
      try {
        if (!isListening) await listen();
        isListening = true;
        await beat();
      } catch (error) {
        if (!outage.noticed(error)) logger.warn({ error: messageOf(error) }, 'the live feed is interrupted');
      }
      await sleep(isListening ? BEAT_MS : AGAIN_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  const done = keepOn();
  return {
    async stop() {
      stopping.abort();
      current = null;
      await done;
      // The database forgets a watcher by itself.
      await Promise.allSettled([unlisten(), sql`select stop_watching(${watcher})`]);
    },
  };
}

function isKind(what: string): what is Kind {
  return (KINDS as readonly string[]).includes(what);
}

function uuidOf(base64: string): string {
  const hex = Buffer.from(base64, 'base64').toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
