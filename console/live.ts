// What happens, as it happens: one stream of server-sent events for the whole console, shared by everything on the page and by
// all its tabs. An event is a hint of what changed; whoever shows it reads it anew. After a cut the stream resumes behind the
// last event that was seen, and where the gateway cannot give what came in between it says `reset`: then everything is
// read anew.
import { useSyncExternalStore } from 'react';
import type { AgentEvent, BeatEvent, ChangeEvent, PhoneEvent } from '../src/http/contract.ts';
import { hearTime } from './clock.ts';
import { openStream, type StreamEvent } from './stream.ts';

/** live: it beats. reconnecting: the line is cut. stale: it is open and silent. paused: somebody wants to read in peace. */
export type LiveState = 'live' | 'reconnecting' | 'stale' | 'paused';
export type LiveListener = {
  readonly change?: (event: ChangeEvent) => void;
  readonly agent?: (event: AgentEvent) => void;
  readonly phone?: (event: PhoneEvent) => void;
  /** Anything may have changed. */
  readonly reset?: () => void;
  /** The line was cut and is back. Phones have no place in what is resumed, so what they did meanwhile is not told. */
  readonly back?: () => void;
};

/** The gateway beats every five seconds; two that are missing make it stale. */
const STALE_AFTER_MS = 11_000;
const LOOK_MS = 1_000;

const listeners = new Set<LiveListener>();
const watchers = new Set<() => void>();
let close: (() => void) | null = null;
let looking: ReturnType<typeof setInterval> | undefined;
let lastHeardMs = 0;
let isConnected = false;
/** What came between two connections is told of conversations, and not of phones. */
let hasGap = false;
let isPaused = false;
let state: LiveState = 'reconnecting';
let missed = 0;

function tellWatchers(): void {
  for (const watcher of watchers) watcher();
}

function look(): void {
  const isSilent = performance.now() - lastHeardMs > STALE_AFTER_MS;
  const next = isPaused ? 'paused' : !isConnected ? 'reconnecting' : isSilent ? 'stale' : 'live';
  if (next === state) return;
  state = next;
  tellWatchers();
}

function heard({ type, data }: StreamEvent): void {
  hasGap ||= isConnected && type === 'cut';
  isConnected = type !== 'cut';
  if (isConnected) lastHeardMs = performance.now();
  if (type === 'beat') hearTime((JSON.parse(data) as BeatEvent).at);
  look();
  if (hasGap && isConnected) {
    hasGap = false;
    for (const listener of listeners) listener.back?.();
  }
  // A phone in the hand rings whether or not somebody paused the lists.
  if (type === 'phone') for (const listener of listeners) listener.phone?.(JSON.parse(data) as PhoneEvent);
  if (type !== 'change' && type !== 'agent' && type !== 'reset') return;
  if (isPaused) {
    missed++;
    tellWatchers();
    return;
  }
  const about: unknown = type === 'reset' ? null : JSON.parse(data);
  for (const listener of listeners) {
    if (type === 'change') listener.change?.(about as ChangeEvent);
    else if (type === 'agent') listener.agent?.(about as AgentEvent);
    else listener.reset?.();
  }
}

/** Opens the stream, for somebody who is signed in. */
export function openLive(): void {
  close ??= openStream(heard);
  looking ??= setInterval(look, LOOK_MS);
}

export function closeLive(): void {
  close?.();
  close = null;
  clearInterval(looking);
  looking = undefined;
  isConnected = false;
  hasGap = false;
  look();
}

/** Stops what is on the page from moving, or reads everything anew and goes on. */
export function pauseLive(paused: boolean): void {
  if (paused === isPaused) return;
  isPaused = paused;
  if (!paused && missed > 0) for (const listener of listeners) listener.reset?.();
  missed = 0;
  look();
}

export function listenLive(listener: LiveListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function useLiveState(): LiveState {
  return useSyncExternalStore(watch, () => state);
}

/** Changes that came while paused. */
export function useMissed(): number {
  return useSyncExternalStore(watch, () => missed);
}
