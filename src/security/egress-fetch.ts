// `fetch` for libraries that take one: what they send leaves through the guard, and what comes back is bounded.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { DarkspereError } from '../errors.ts';
import { type GuardedRequest, guardedRequest, type RequestDeadlines } from './guarded-request.ts';

export type FetchTap = {
  /** The status and headers of an answer, before its body. */
  head?(status: number, headers: IncomingHttpHeaders): void;
  data?(chunk: Buffer): void;
  /** The body is complete. */
  end?(): void;
  /** Why a request or its answer broke off. */
  fail?(error: DarkspereError): void;
};

export type FetchLimits = {
  readonly deadlines: RequestDeadlines;
  readonly maxBytes: GuardedRequest['maxBytes'];
  readonly signal: AbortSignal;
};

const BODYLESS = new Set([204, 205, 304]);

/**
 * One request with the meaning of `fetch`, but for redirects, which are answers like any other, and for failures, which are
 * the DarkspereErrors of `guardedRequest`.
 */
export function egressFetch(
  dispatcher: Dispatcher,
  url: URL,
  init: RequestInit,
  limits: FetchLimits,
  tap: FetchTap = {},
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const signal = init.signal ? AbortSignal.any([limits.signal, init.signal]) : limits.signal;
  let body: ReadableStreamDefaultController<Uint8Array> | null = null;
  let stop: () => void = () => undefined;
  // What one read of the socket brings is handed on as one: an agent may cut it into thousands of pieces, and libraries look through
  // all that they have with each of them.
  let pieces: Buffer[] = [];
  const handOn = (): void => {
    const together = pieces;
    pieces = [];
    if (together.length > 0) body?.enqueue(Buffer.concat(together));
  };
  stop = guardedRequest(
    dispatcher,
    url,
    {
      method: methodOf(init),
      headers: Object.fromEntries(new Headers(init.headers)),
      body: bodyOf(init),
      deadlines: limits.deadlines,
      maxBytes: limits.maxBytes,
      signal,
    },
    {
      head(status, received) {
        const stream = new ReadableStream<Uint8Array>({
          start(controller) {
            body = controller;
          },
          // Whoever stops reading wants no more of it.
          cancel() {
            body = null;
            stop();
          },
        });
        tap.head?.(status, received);
        // What is no status at all is still an answer, and one that Response would throw over.
        const known = Math.min(status, 599);
        resolve(new Response(BODYLESS.has(status) ? null : stream, { status: known, headers: headersOf(received) }));
      },
      data(chunk) {
        tap.data?.(chunk);
        if (pieces.push(chunk) === 1) queueMicrotask(handOn);
      },
      end() {
        handOn();
        tap.end?.();
        body?.close();
      },
      fail(error) {
        pieces = [];
        tap.fail?.(error);
        body?.error(error);
        reject(error);
      },
    },
  );
  return promise;
}

function methodOf({ method = 'GET' }: RequestInit): 'GET' | 'POST' | 'DELETE' {
  if (method === 'GET' || method === 'POST' || method === 'DELETE') return method;
  throw new TypeError(`${method} is not a method that agents are called with`);
}

function bodyOf({ body }: RequestInit): string | null {
  if (body === undefined || body === null || typeof body === 'string') return body ?? null;
  throw new TypeError('only text is sent to agents');
}

function headersOf(received: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(received)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) headers.append(name, one);
  }
  return headers;
}
