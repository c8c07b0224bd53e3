// One HTTP call to the carrier. It speaks to undici's dispatcher instead of undici's `request`, because only the dispatcher
// tells when a request begins to leave: before that a failure is certain, after it only an answer is.
import type { Dispatcher } from 'undici';

export type Timeouts = {
  /** To connect, name resolution and TLS included; kept by the dispatcher. */
  readonly connectMs: number;
  /** To be given a connection, and again from the request to the headers of the answer. */
  readonly headersMs: number;
  /** From the headers to the end of the answer. */
  readonly bodyMs: number;
};

export type Call = {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Record<string, string>;
  readonly body: string | null;
  readonly maxBytes: number;
};

export type Answer = {
  /** False: not one byte of the request went out, so the carrier cannot have acted on it. */
  readonly left: boolean;
  readonly status: number | null;
  readonly retryAfter: string | null;
  readonly location: string | null;
  readonly contentType: string | null;
  /** What time it is there (`Date`), to the second. */
  readonly date: string | null;
  /** What came of the body, `maxBytes` at most. */
  readonly body: Buffer;
  /** Null when the whole answer came; else a short code of what went wrong (`ECONNREFUSED`, `headers_timeout`, `withheld`). */
  readonly failure: string | null;
};

/** The failure of a call that `mayLeave` stopped. */
export const WITHHELD = 'withheld';

/**
 * Makes one call and never throws. Follows no redirect and repeats nothing. `mayLeave` is asked when the first byte is about
 * to be written: after it only an answer is certain.
 */
export function call(
  http: Dispatcher,
  request: Call,
  timeouts: Timeouts,
  signal: AbortSignal,
  mayLeave: () => boolean = () => true,
): Promise<Answer> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let controller: Dispatcher.DispatchController | undefined;
    let over = false;
    let left = false;
    let status: number | null = null;
    let retryAfter: string | null = null;
    let location: string | null = null;
    let contentType: string | null = null;
    let date: string | null = null;
    let size = 0;
    const chunks: Buffer[] = [];

    const finish = (failure: string | null): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      resolve({ left, status, retryAfter, location, contentType, date, body: Buffer.concat(chunks), failure });
    };
    const giveUp = (failure: string): void => {
      finish(failure);
      controller?.abort(new Error(failure));
    };
    const cancel = (): void => giveUp('cancelled');
    const expectWithin = (ms: number, failure: string): void => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, ms, failure);
    };

    const handler: Dispatcher.DispatchHandler = {
      // Called when the request has a connection and its first byte is about to be written.
      onRequestStart(started) {
        if (!over && !mayLeave()) finish(WITHHELD);
        // Thrown, it ends this request only; an abort would close the connection, which others can use.
        if (over) throw new Error('given up before it left');
        left = true;
        controller = started;
        expectWithin(timeouts.headersMs, 'headers_timeout');
      },
      onResponseStart(_, code, headers) {
        if (code < 200) return;
        status = code;
        retryAfter = headers['retry-after']?.toString() ?? null;
        location = headers.location?.toString() ?? null;
        contentType = headers['content-type']?.toString() ?? null;
        date = headers.date?.toString() ?? null;
        expectWithin(timeouts.bodyMs, 'body_timeout');
      },
      onResponseData(_, chunk) {
        if (over) return;
        chunks.push(chunk.subarray(0, request.maxBytes - size));
        size += chunk.length;
        if (size > request.maxBytes) giveUp('answer_too_large');
      },
      onResponseEnd: () => finish(null),
      onResponseError: (_, thrown) => finish(failureCode(thrown)),
    };

    if (signal.aborted) return finish('cancelled');
    signal.addEventListener('abort', cancel, { once: true });
    expectWithin(timeouts.headersMs, 'no_connection');
    try {
      http.dispatch(dispatchOptions(request), handler);
    } catch (thrown) {
      finish(failureCode(thrown));
    }
  });
}

// undici's own timers are off (0): they are coarse, and the body's only measures silence, so a drip would never end.
function dispatchOptions({ method, url, headers, body }: Call): Dispatcher.DispatchOptions {
  const path = url.pathname + url.search;
  return { origin: url.origin, path, method, headers, body, headersTimeout: 0, bodyTimeout: 0 };
}

function failureCode(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : 'connection_failed';
}
