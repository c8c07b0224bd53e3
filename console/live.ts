// What happens, as it happens: one stream of server-sent events for the whole console, shared by everything on the page. An
// event is a hint of what changed; whoever shows it reads it anew. After a cut the browser resumes behind the last event it
// saw, and where the gateway cannot give what came in between it says `reset`: then everything is read anew.
import { useSyncExternalStore } from 'react';
import type { ChangeEvent, PhoneEvent } from '../src/http/contract.ts';

/** live: it beats. reconnecting: the line is cut. stale: it is open and silent. paused: somebody wants to read in peace. */
export type LiveState = 'live' | 'reconnecting' | 'stale' | 'paused';
export type LiveListener = {
  readonly change?: (event: ChangeEvent) => void;
  readonly phone?: (event: PhoneEvent) => void;
  /** Anything may have changed. */
  readonly reset?: () => void;
};

/** The gateway beats every five seconds; two that are missing make it stale. */
const STALE_AFTER_MS = 11_000;
const LOOK_MS = 1_000;
/** The browser tries again by itself, but gives up for good when it is answered with an error. */
const OPEN_AGAIN_MS = 2_000;

const listeners = new Set<LiveListener>();
const watchers = new Set<() => void>();
let source: EventSource | null = null;
let lastHeardMs = 0;
let lastId = '';
let state: LiveState = 'reconnecting';
let missedWhilePaused = 0;
let lookTimer: ReturnType<typeof setInterval> | undefined;
let openTimer: ReturnType<typeof setTimeout> | undefined;

function become(next: LiveState): void {
  if (next === state) return;
  state = next;
  for (const watcher of watchers) watcher();
}

function heard(event: MessageEvent<string>): void {
  lastHeardMs = performance.now();
  if (event.lastEventId !== '') lastId = event.lastEventId;
  if (state !== 'paused') become('live');
}

function tell(what: (listener: LiveListener) => void): void {
  if (state === 'paused') {
    missedWhilePaused++;
    for (const watcher of watchers) watcher();
    return;
  }
  for (const listener of listeners) what(listener);
}

/** Opens the stream; without a session it must stay closed. */
export function openLive(): void {
  if (source) return;
  source = new EventSource(lastId === '' ? '/v1/events' : `/v1/events?last_event_id=${encodeURIComponent(lastId)}`);
  source.addEventListener('beat', heard);
  source.addEventListener('change', (event) => {
    heard(event);
    const change = JSON.parse(event.data) as ChangeEvent;
    tell((listener) => listener.change?.(change));
  });
  source.addEventListener('phone', (event) => {
    heard(event);
    const phone = JSON.parse(event.data) as PhoneEvent;
    // A phone in the hand rings whether or not somebody paused the lists.
    for (const listener of listeners) listener.phone?.(phone);
  });
  source.addEventListener('reset', (event) => {
    heard(event);
    tell((listener) => listener.reset?.());
  });
  source.addEventListener('error', () => {
    if (state !== 'paused') become('reconnecting');
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    openTimer = setTimeout(openLive, OPEN_AGAIN_MS);
  });
  lookTimer ??= setInterval(() => {
    if (state === 'live' && performance.now() - lastHeardMs > STALE_AFTER_MS) become('stale');
  }, LOOK_MS);
}

export function closeLive(): void {
  clearInterval(lookTimer);
  clearTimeout(openTimer);
  lookTimer = undefined;
  source?.close();
  source = null;
  lastId = '';
  become('reconnecting');
}

/** Stops what is on the page from moving, or reads everything anew and goes on. */
export function pauseLive(paused: boolean): void {
  if (paused === (state === 'paused')) return;
  if (paused) {
    missedWhilePaused = 0;
    become('paused');
    return;
  }
  become(source?.readyState === EventSource.OPEN ? 'live' : 'reconnecting');
  lastHeardMs = performance.now();
  if (missedWhilePaused > 0) for (const listener of listeners) listener.reset?.();
  missedWhilePaused = 0;
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
  return useSyncExternalStore(watch, () => missedWhilePaused);
}
