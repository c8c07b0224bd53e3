// The wire under protocols whose client is a library: it takes a `fetch`, and this one is guarded, bounded, timed and
// remembered. What a call failed of is known here, whatever the library makes of it.
import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { now } from '../../clock.ts';
import { DarkspereError } from '../../errors.ts';
import { egressFetch } from '../../security/egress-fetch.ts';
import { MAX_ANSWER_BYTES } from '../../security/post-json.ts';
import { storable } from '../../text.ts';
import type { AgentExchange, Approach } from '../agent.ts';
import { type Failed, failed, failureOf, failureOfStatus, head, KEPT_REQUEST } from './wire.ts';

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/**
 * What a request is to the call: what the agent is asked, another part of it, or something said beside it that must not change
 * how the call ends.
 */
export type Role = { readonly kind: 'question' | 'main' | 'aside'; readonly maxBytes?: number };

export type WireOptions = {
  roleOf(url: URL, init: RequestInit): Role;
  /** The body of the answer to a part of the call is complete. */
  bodyEnded?(headers: IncomingHttpHeaders): void;
};

export type Wire = {
  readonly fetch: Fetch;
  /** Ends with the person's STOP, the total deadline, or a wire that broke: the library is to cancel over its protocol. */
  readonly signal: AbortSignal;
  /** What is left of the call's time, milliseconds. */
  leftMs(): number;
  /** Ends the call for a reason of the protocol's own. */
  fail(failure: Failed): void;
  /** What the wire knows about why there is no answer, or null: it was an answer, of whatever kind. */
  failure(): Failed | null;
  /** The status of the newest answer; null before the first. */
  status(): number | null;
  /** Nothing more is asked: its deadlines end. */
  close(): void;
  /** The agent was asked: from then on it may have done something. */
  hasAsked(): boolean;
  /** Closes it and gives the record of the call: of its requests the newest that asked, as it was sent. */
  exchange(): AgentExchange;
  /** Waits a moment for what is said beside the call: a cancellation must be out before its connection is closed. */
  settled(): Promise<void>;
};

/** How long a cancellation may take to leave. */
const ASIDE_MS = 2_000;
/** A stream carries many small events for one answer; its text is bounded where it is read. */
const MAX_STREAM_BYTES = 1_048_576;
const ASIDE_DEADLINES = { connectMs: ASIDE_MS, firstByteMs: ASIDE_MS, totalMs: ASIDE_MS };

/** Opens the wire of one call: the deadlines of the call hold over all its requests together. */
export function openWire(call: Approach, http: Dispatcher, options: WireOptions): Wire {
  const home = new URL(call.agent.endpointUrl);
  const { credential } = call.agent;
  const startedAt = now();
  const startedMs = performance.now();
  const broken = new AbortController();
  const asides = new Set<Promise<unknown>>();
  let failure: Failed | null = null;
  let question: { url: URL; body: string } | null = null;
  let answer: { status: number; headers: IncomingHttpHeaders } | null = null;
  let chunks: Buffer[] = [];

  const fail = (why: Failed): void => {
    failure ??= why;
    broken.abort(why);
  };
  const onTotal = () => fail(timedOut(call.deadlines.totalMs));
  const timer = setTimeout(onTotal, call.deadlines.totalMs);
  timer.unref();
  // Followed by hand: a signal of AbortSignal.any on which a library leaves a listener is kept, with all that the listener reaches,
  // until the last of its sources is gone, and one of those lives as long as the process.
  const { signal } = broken;
  const onCallEnded = () => broken.abort(call.signal.reason);
  const close = () => {
    clearTimeout(timer);
    call.signal.removeEventListener('abort', onCallEnded);
  };
  signal.addEventListener('abort', close, { once: true });
  call.signal.addEventListener('abort', onCallEnded, { once: true });
  if (call.signal.aborted) onCallEnded();
  const leftMs = () => Math.max(1, call.deadlines.totalMs - (performance.now() - startedMs));

  /** The credential belongs to the address that was registered: whatever else an answer names does not get it. */
  const headersFor = (url: URL, init: RequestInit): Headers => {
    const headers = new Headers(init.headers);
    headers.delete('authorization');
    if (credential !== null && url.origin === home.origin) headers.set('authorization', `Bearer ${credential}`);
    return headers;
  };

  const aside = (url: URL, init: RequestInit): Promise<Response> => {
    const limits = { deadlines: ASIDE_DEADLINES, maxBytes: MAX_ANSWER_BYTES, signal: AbortSignal.timeout(ASIDE_MS) };
    const sent = egressFetch(http, url, init, limits);
    asides.add(sent);
    void sent.catch(() => undefined).finally(() => asides.delete(sent));
    return sent;
  };

  const main = (url: URL, init: RequestInit, maxBytes: number): Promise<Response> => {
    const mine: Buffer[] = [];
    const limits = {
      // The total is one for all requests, and ends them through `signal`.
      deadlines: { ...call.deadlines, totalMs: call.deadlines.totalMs * 2 },
      maxBytes: (headers: IncomingHttpHeaders) => (isStream(headers) ? Math.max(maxBytes, MAX_STREAM_BYTES) : maxBytes),
      signal,
    };
    // A stream has its first byte at once; one that then says nothing for as long is as dead.
    const { firstByteMs } = call.deadlines;
    const stalled = () => fail(failed('agent_timeout', `The agent’s stream said nothing for ${firstByteMs} ms.`));
    let stall: NodeJS.Timeout | undefined;
    return egressFetch(http, url, init, limits, {
      head(status, headers) {
        if (isStream(headers)) stall = setTimeout(stalled, firstByteMs).unref();
        answer = { status, headers };
        chunks = mine;
        // Followed, it would carry the texts to an address that nobody has registered.
        if (status >= 300 && status < 400) fail(failureOfStatus({ status, headers }, now())!);
      },
      data(chunk) {
        mine.push(chunk);
        stall?.refresh();
      },
      end() {
        clearTimeout(stall);
        options.bodyEnded?.(answer?.headers ?? {});
      },
      fail(error) {
        clearTimeout(stall);
        // A body that nobody wants to read on is no failure.
        if (error.code === 'agent_cancelled') return;
        failure ??= failureOf(error);
        // Without a connection nothing has to be cancelled at the other end.
        if (error.facts.stage !== 'connect') broken.abort(error);
      },
    });
  };

  return {
    async fetch(address, init = {}) {
      const url = new URL(address);
      const guarded = { ...init, headers: headersFor(url, init) };
      const role = options.roleOf(url, init);
      if (role.kind === 'aside') return aside(url, guarded);
      if (role.kind === 'question') question = { url, body: String(init.body) };
      return main(url, guarded, role.maxBytes ?? MAX_ANSWER_BYTES);
    },
    signal,
    leftMs,
    fail,
    failure() {
      if (call.signal.aborted) return failureOf(new DarkspereError('agent_cancelled'));
      if (failure !== null) return failure;
      return answer === null ? null : failureOfStatus(answer, now());
    },
    status: () => answer?.status ?? null,
    close,
    hasAsked: () => question !== null,
    exchange() {
      close();
      const { url, body } = question ?? { url: home, body: '' };
      return {
        // A query string may hold a key.
        target: `${url.origin}${url.pathname}`,
        status: answer?.status ?? null,
        request: storable(body.slice(0, KEPT_REQUEST)),
        response: head(chunks),
        startedAt,
        durationMs: performance.now() - startedMs,
      };
    },
    async settled() {
      await Promise.race([Promise.allSettled(asides), sleep(ASIDE_MS, undefined, { ref: false })]);
    },
  };
}

export function isStream(headers: IncomingHttpHeaders): boolean {
  return /^text\/event-stream/i.test(headers['content-type'] ?? '');
}

function timedOut(limitMs: number): Failed {
  return failed('agent_timeout', `The agent gave no complete answer within ${limitMs} ms.`);
}

/** The promise, or a rejection as soon as the signal ends: libraries do not end everything they should. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new Error('given up'));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  promise.catch(() => undefined);
  return Promise.race([promise, gone]).finally(() => signal.removeEventListener('abort', onAbort));
}
