// What an agent asks of Darkspere: to be registered, to be kept in mind, to send a text. One call each; who calls decides
// what follows a failure.
import { AgentError } from './chat.ts';

/** A registration is answered after the agent has been looked at, which may take ten seconds. */
const CALL_MS = 15_000;

export type Answer = {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** The code of Darkspere's error, or null. */
  readonly code: string | null;
  /** What Darkspere wants a caller to wait, milliseconds, or null. */
  readonly retryAfterMs: number | null;
};

export type Call = {
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly key?: string;
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
};

/** One call; null when nothing answered. */
export async function call(
  url: string,
  { method = 'POST', key, body, idempotencyKey, signal }: Call,
): Promise<Answer | null> {
  try {
    const response = await fetch(url, {
      method,
      // A redirect would carry the key to somebody else.
      redirect: 'manual',
      signal: AbortSignal.any([AbortSignal.timeout(CALL_MS), ...(signal === undefined ? [] : [signal])]),
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const said: unknown = await response.json().catch(() => null);
    const answer = isObject(said) ? said : {};
    const code = isObject(answer.error) ? answer.error.code : undefined;
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    return {
      status: response.status,
      body: answer,
      code: typeof code === 'string' ? code : null,
      retryAfterMs: Number.isFinite(seconds) ? Math.max(0, seconds * 1_000) : null,
    };
  } catch {
    return null;
  }
}

/** True for answers that may be others in a moment: 5xx, too many. */
export function isPassing({ status }: Answer): boolean {
  return status >= 500 || [408, 425, 429].includes(status);
}

/** The refusal as an error: Darkspere's code and words, which name the field and the fix. */
export function refusal(what: string, { status, code, body }: Answer): AgentError {
  const words = isObject(body.error) && typeof body.error.message === 'string' ? ` ${body.error.message}` : '';
  return new AgentError(code ?? `http_${status}`, `${what} was refused (${code ?? status}).${words}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
