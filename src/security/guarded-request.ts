// One HTTP request to an address somebody else chose: three deadlines, a bounded answer, and an error that names what happened.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { DarkspereError } from '../errors.ts';
import { EGRESS_DENIED } from './guarded-fetch.ts';

/** `connectMs` includes name lookup and TLS; `firstByteMs` counts from the connection; `totalMs` from the start. */
export type RequestDeadlines = { readonly connectMs: number; readonly firstByteMs: number; readonly totalMs: number };

export type GuardedRequest = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly deadlines: RequestDeadlines;
  /** The most bytes of an answer that are read; it may depend on what the answer says it is. */
  readonly maxBytes: number | ((headers: IncomingHttpHeaders) => number);
  readonly signal: AbortSignal;
};

export type Timings = { readonly connectMs: number; readonly firstByteMs: number; readonly totalMs: number };

/** Hears an answer piece by piece. `end` or `fail` is the last thing it hears, and it hears exactly one of them. */
export type Listener = {
  head(status: number, headers: IncomingHttpHeaders): void;
  data(chunk: Buffer): void;
  end(timings: Timings): void;
  fail(error: DarkspereError): void;
};

type Stage = 'connect' | 'first byte' | 'body';

/**
 * The most pieces in which an answer may come: each costs as much to hold and to read as a hundred of its bytes, however small. More
 * than an honest stream of the largest size has.
 */
const MAX_PIECES = 16_384;

/**
 * Sends one request: no retry, no redirect, no compression (a bomb would unfold behind the size limit). Any status is an
 * answer. Fails with a DarkspereError: `egress_denied`, `agent_refused`, `agent_tls`, `agent_timeout`, `agent_broken`,
 * `agent_contract` (not HTTP, or compressed), `agent_too_large`, `agent_cancelled`. `facts.stage` says how far it came.
 * The socket is destroyed whenever the call ends early. Gives a function that ends it.
 */
export function guardedRequest(
  dispatcher: Dispatcher,
  url: URL,
  options: GuardedRequest,
  listener: Listener,
): () => void {
  if (options.signal.aborted) {
    listener.fail(cancelled('connect'));
    return () => undefined;
  }
  const { deadlines } = options;
  const startedMs = performance.now();
  const timings = { connectMs: 0, firstByteMs: 0, totalMs: 0 };
  let stage: Stage = 'connect';
  let size = 0;
  let pieces = 0;
  let maxBytes = 0;
  let controller: Dispatcher.DispatchController | null = null;
  let ended = false;

  const end = (): boolean => {
    if (ended) return false;
    ended = true;
    clearTimeout(stageTimer);
    clearTimeout(totalTimer);
    options.signal.removeEventListener('abort', onAbort);
    timings.totalMs = performance.now() - startedMs;
    return true;
  };
  const fail = (error: DarkspereError): void => {
    if (!end()) return;
    controller?.abort(error);
    listener.fail(error);
  };
  const expire = (limitMs: number) => fail(timedOut(stage, limitMs));
  const onAbort = () => fail(cancelled(stage));
  const totalTimer = setTimeout(expire, deadlines.totalMs, deadlines.totalMs);
  let stageTimer = setTimeout(expire, deadlines.connectMs, deadlines.connectMs);
  options.signal.addEventListener('abort', onAbort, { once: true });

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(control) {
      controller = control;
      // Given up while the socket was still opening: nothing may be sent on it now.
      if (ended) return control.abort(new Error('given up before the connection stood'));
      stage = 'first byte';
      timings.connectMs = performance.now() - startedMs;
      clearTimeout(stageTimer);
      stageTimer = setTimeout(expire, deadlines.firstByteMs, deadlines.firstByteMs);
    },
    onResponseStart(_control, status, received) {
      if (ended || status < 200) return;
      stage = 'body';
      timings.firstByteMs = performance.now() - startedMs;
      clearTimeout(stageTimer);
      maxBytes = typeof options.maxBytes === 'number' ? options.maxBytes : options.maxBytes(received);
      listener.head(status, received);
      const encoding = received['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity')
        fail(broken('agent_contract', stage, 'the answer is compressed although we asked for identity'));
      else if (Number(received['content-length']) > maxBytes) fail(tooLarge(maxBytes));
    },
    onResponseData(_control, chunk) {
      if (ended) return;
      listener.data(chunk);
      size += chunk.length;
      pieces += 1;
      if (size > maxBytes) fail(tooLarge(maxBytes));
      else if (pieces > MAX_PIECES) fail(tooManyPieces());
    },
    onResponseEnd() {
      if (end()) listener.end(timings);
    },
    onResponseError(_control, error) {
      fail(classify(error, stage, url, Math.round(performance.now() - startedMs)));
    },
  };

  dispatcher.dispatch(
    {
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: options.method,
      headers: { ...options.headers, 'accept-encoding': 'identity' },
      body: options.body,
    },
    handler,
  );
  return onAbort;
}

function cancelled(stage: Stage): DarkspereError {
  return new DarkspereError('agent_cancelled', undefined, { facts: { stage } });
}

function timedOut(stage: Stage, limitMs: number): DarkspereError {
  const missing = { connect: 'no connection', 'first byte': 'no first byte of an answer', body: 'no complete answer' }[
    stage
  ];
  return new DarkspereError('agent_timeout', `The agent gave ${missing} within ${limitMs} ms.`, {
    facts: { stage, limitMs },
  });
}

function tooLarge(maxBytes: number): DarkspereError {
  return new DarkspereError('agent_too_large', `The agent’s answer is larger than ${maxBytes / 1024} KiB.`, {
    facts: { stage: 'body' },
  });
}

function tooManyPieces(): DarkspereError {
  return new DarkspereError('agent_too_large', `The agent’s answer came in more than ${MAX_PIECES} pieces.`, {
    facts: { stage: 'body' },
  });
}

function broken(
  code: 'agent_contract' | 'agent_broken' | 'agent_tls' | 'agent_refused' | 'egress_denied',
  stage: Stage,
  why: string,
): DarkspereError {
  const what = {
    agent_contract: 'The agent does not keep to the protocol',
    agent_broken:
      stage === 'body'
        ? 'The connection broke in the middle of the answer'
        : 'The connection broke before an answer came',
    agent_tls: 'The TLS handshake with the agent failed',
    agent_refused: 'The agent’s address cannot be connected',
    egress_denied: 'The connection was not made',
  }[code];
  return new DarkspereError(code, `${what}: ${why}.`, { facts: { stage } });
}

// OpenSSL and Node name certificate problems in many ways; these prefixes cover them.
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/;

/** Only codes get into the message: an error's own text may repeat what the agent sent. */
function classify(error: Error & { code?: string }, stage: Stage, url: URL, elapsedMs: number): DarkspereError {
  const code = firstCode(error);
  if (code === EGRESS_DENIED) return broken('egress_denied', stage, error.message);
  if (TLS_CODE.test(code)) return broken('agent_tls', stage, code);
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return timedOut(stage, elapsedMs);
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'HPE_HEADER_OVERFLOW') {
    return new DarkspereError('agent_too_large', 'The headers of the agent’s answer are larger than 16 KiB.', {
      facts: { stage },
    });
  }
  if (error.name === 'HTTPParserError') return broken('agent_contract', stage, 'not an HTTP answer');
  if (stage === 'connect') {
    const midHandshake = url.protocol === 'https:' && code === 'ECONNRESET';
    return broken(midHandshake ? 'agent_tls' : 'agent_refused', stage, code);
  }
  return broken('agent_broken', stage, code);
}

/** A host with several addresses fails with an AggregateError that has its reasons inside. */
function firstCode(error: Error & { code?: string; errors?: readonly { code?: string }[] }): string {
  return error.code ?? error.errors?.find((inner) => inner.code !== undefined)?.code ?? 'unknown reason';
}
