// Posts to the customer's URLs the way Twilio does: form body, signature, its timeouts and its retries.
import { createHmac, randomUUID } from 'node:crypto';
import { Agent, type Dispatcher, request } from 'undici';
import { type ConnectionSettings, readConnectionSettings, type Trouble } from './connection-settings.ts';
import { createGate } from './gate.ts';

export type Fields = Record<string, string>;

export type PostResult = {
  /** HTTP status of the last attempt's answer; 0 when there was none. */
  readonly status: number;
  /** What went wrong, in a word; null when the answer was 2xx. */
  readonly problem: string | null;
  /** Twilio's debugger code for the problem. */
  readonly code: number | null;
  readonly contentType: string | null;
  readonly body: string;
};

export type Attempt = {
  readonly attempt: number;
  readonly token: string;
  readonly startedAtMs: number;
  readonly status: number;
  readonly problem: string | null;
};

export type Webhooks = {
  /** Never rejects. `onAttempt` is told of every attempt when it has ended. */
  post(configuredUrl: string, fields: Fields, onAttempt?: (attempt: Attempt) => void): Promise<PostResult>;
  close(): Promise<void>;
};

/** Twilio reads 64 kB of an answer (11750). */
const MAX_ANSWER = 64 * 1024;

/**
 * Twilio's signature: base64(HMAC-SHA1(token, url + every key and value, sorted by key)). Written here once more, and
 * not shared with the code that verifies it, so that a mistake on one side cannot hide on the other.
 * Source: https://www.twilio.com/docs/usage/security#validating-requests
 */
export function sign(authToken: string, url: string, fields: Fields): string {
  let text = url;
  for (const key of Object.keys(fields).sort()) text += key + fields[key];
  return createHmac('sha1', authToken).update(text).digest('base64');
}

/** Failures before a connection stood: the only ones that Twilio retries by default. */
const NO_CONNECTION = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const NO_SUCH_HOST = new Set(['ENOTFOUND', 'EAI_AGAIN']);

type Outcome = PostResult & { readonly trouble: Trouble | null };

function failed(thrown: unknown): Outcome {
  const code = (thrown as { code?: unknown } | null)?.code;
  const problem = typeof code === 'string' ? code : 'ERROR';
  const unconnected = NO_CONNECTION.has(problem);
  const debuggerCode = NO_SUCH_HOST.has(problem) ? 11_210 : unconnected ? 11_205 : 11_200;
  return { status: 0, problem, code: debuggerCode, contentType: null, body: '', trouble: unconnected ? 'ct' : 'rt' };
}

function answered(status: number, contentType: string | null, body: string): Outcome {
  const answer = { status, contentType, body };
  if (status >= 200 && status < 300) {
    if (Buffer.byteLength(body) <= MAX_ANSWER) return { ...answer, problem: null, code: null, trouble: null };
    return { ...answer, body: '', problem: 'answer over 64 kB', code: 11_750, trouble: null };
  }
  const trouble = status >= 500 ? '5xx' : status >= 400 ? '4xx' : null;
  return { ...answer, problem: `HTTP ${status}`, code: 11_200, trouble };
}

/** Stops reading above the limit, with one byte more to show it, and when the time is over however it drips. */
async function textOf(body: AsyncIterable<Buffer>, endsAtMs: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_ANSWER) break;
    if (performance.now() >= endsAtMs) throw Object.assign(new Error('The answer took too long.'), { code: 'TIMEOUT' });
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A dispatcher per connect timeout, because undici knows that only per dispatcher. */
function createDispatchers(connections: number) {
  const known = new Map<number, Agent>();
  return {
    for(connectMs: number): Dispatcher {
      let agent = known.get(connectMs);
      if (agent === undefined) {
        agent = new Agent({ connections, pipelining: 1, connect: { timeout: connectMs } });
        known.set(connectMs, agent);
      }
      return agent;
    },
    // destroy, not close: a customer that hangs must not hold the end of a program or a test.
    destroy: () => Promise.all([...known.values()].map((agent) => agent.destroy())),
  };
}

export function createWebhooks(options: { authToken: string; timeoutMs: number; connections: number }): Webhooks {
  const dispatchers = createDispatchers(options.connections);
  const gate = createGate(options.connections);
  let closed = false;

  const attempt = async (
    url: string,
    headers: Record<string, string>,
    body: string,
    settings: ConnectionSettings,
    endsAtMs: number,
  ): Promise<Outcome> => {
    const patienceMs = Math.max(1, Math.ceil(Math.min(settings.readMs, endsAtMs - performance.now())));
    try {
      const answer = await request(url, {
        method: 'POST',
        dispatcher: dispatchers.for(settings.connectMs),
        headers,
        body,
        headersTimeout: patienceMs,
        bodyTimeout: patienceMs,
      });
      const contentType = answer.headers['content-type']?.toString() ?? null;
      const isShort = Number(answer.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= MAX_ANSWER;
      const text = isShort ? await answer.body.text() : await textOf(answer.body, endsAtMs);
      return answered(answer.statusCode, contentType, text);
    } catch (thrown) {
      return failed(thrown);
    }
  };

  const postWithRetries = async (
    configuredUrl: string,
    fields: Fields,
    onAttempt: (attempt: Attempt) => void,
  ): Promise<PostResult> => {
    const { url, settings } = readConnectionSettings(configuredUrl, options.timeoutMs);
    // One token for all attempts: it tells the retries of one webhook from a second delivery of the same text.
    const token = randomUUID();
    const headers = {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      accept: '*/*',
      'user-agent': 'TwilioProxy/1.1',
      'x-twilio-signature': sign(options.authToken, url, fields),
      'i-twilio-idempotency-token': token,
    };
    const body = new URLSearchParams(fields).toString();
    const endsAtMs = performance.now() + settings.totalMs;
    for (let number = 1; ; number++) {
      const startedAtMs = Date.now();
      const { trouble, ...result } = await attempt(url, headers, body, settings, endsAtMs);
      onAttempt({ attempt: number, token, startedAtMs, status: result.status, problem: result.problem });
      const again = trouble !== null && settings.retried.has(trouble) && number <= settings.retries;
      // A timer may fire a moment early, and a millisecond is no time for another attempt.
      if (!again || closed || performance.now() >= endsAtMs - 1) return result;
    }
  };

  return {
    post: (url, fields, onAttempt = () => {}) =>
      // A post that waits for a connection of ours is not late yet: the time of a post begins when it may start.
      gate.pass(URL.parse(url)?.origin ?? '', () => postWithRetries(url, fields, onAttempt)),
    async close() {
      closed = true;
      await dispatchers.destroy();
    },
  };
}
