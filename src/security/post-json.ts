// One POST of JSON whose answer is read as a whole.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { guardedRequest, type RequestDeadlines, type Timings } from './guarded-request.ts';

export type PostOptions = {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly deadlines: RequestDeadlines;
  /** The most bytes of an answer that are read, 64 KiB unless told otherwise. */
  readonly maxBytes?: number;
  readonly signal: AbortSignal;
  /** Filled while the call runs, so that what came before a failure can be kept. */
  readonly seen?: Seen;
};

export type Seen = { status: number | null; chunks: Buffer[] };

export type PostAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly timings: Timings;
};

/** The most bytes of an agent's answer. */
export const MAX_ANSWER_BYTES = 65_536;

/** Posts JSON once; any status is an answer. Throws what `guardedRequest` fails with. */
export function postJson(dispatcher: Dispatcher, url: URL, options: PostOptions): Promise<PostAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<PostAnswer>();
  const seen = options.seen ?? { status: null, chunks: [] };
  let headers: IncomingHttpHeaders = {};
  guardedRequest(
    dispatcher,
    url,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...options.headers },
      body: options.body,
      deadlines: options.deadlines,
      maxBytes: options.maxBytes ?? MAX_ANSWER_BYTES,
      signal: options.signal,
    },
    {
      head(status, received) {
        seen.status = status;
        headers = received;
      },
      data: (chunk) => void seen.chunks.push(chunk),
      end: (timings) => resolve({ status: seen.status ?? 0, headers, bytes: Buffer.concat(seen.chunks), timings }),
      fail: reject,
    },
  );
  return promise;
}
