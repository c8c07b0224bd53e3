// What the protocols share: one call on the wire, its record, and what a status means.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { ZodError } from 'zod';
import { now } from '../../clock.ts';
import { DarkspereError, type ErrorCode } from '../../errors.ts';
import { type PostAnswer, postJson, type Seen } from '../../security/post-json.ts';
import { storable } from '../../text.ts';
import type { AgentCall, AgentExchange, AgentOutcome, Approach } from '../agent.ts';

export type Failed = Extract<AgentOutcome, { kind: 'failed' }>;

/** Longest text taken from an agent, characters. A reply budget cuts it long before. */
export const MAX_TEXT = 20_000;
/** Most pictures of one answer: as many as a message of the carrier takes. */
export const MAX_MEDIA = 10;

/** What is kept of a call: characters of the question, bytes of the answer. */
export const KEPT_REQUEST = 8_192;
const KEPT_RESPONSE = 2_048;
const MAX_RETRY_AFTER_MS = 30_000;

export type Exchanged = { readonly answer: PostAnswer | Failed; readonly exchange: AgentExchange };

/** Posts `body` to an agent and records it. Never throws. */
export async function exchange(
  call: Approach,
  http: Dispatcher,
  target: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  totalMs: number = call.deadlines.totalMs,
): Promise<Exchanged> {
  const startedAt = now();
  const startedMs = performance.now();
  const seen: Seen = { status: null, chunks: [] };
  const answer = await postJson(http, target, {
    headers,
    body,
    deadlines: { ...call.deadlines, totalMs },
    signal: call.signal,
    seen,
  }).catch((error: unknown) => failureOf(error));
  return {
    answer,
    exchange: {
      // A query string may hold a key.
      target: `${target.origin}${target.pathname}`,
      status: seen.status,
      request: storable(body.slice(0, KEPT_REQUEST)),
      response: head(seen.chunks),
      startedAt,
      durationMs: performance.now() - startedMs,
    },
  };
}

/** The record of a call that could not even be begun. */
export function notCalled(call: AgentCall): AgentExchange {
  const { origin, pathname } = new URL(call.agent.endpointUrl);
  return { target: `${origin}${pathname}`, status: null, request: '', response: '', startedAt: now(), durationMs: 0 };
}

/** The part of an answer that is kept. */
export function head(chunks: readonly Buffer[]): string {
  return storable(Buffer.concat(chunks).subarray(0, KEPT_RESPONSE).toString('utf8'));
}

/** A failure outcome; what may follow comes from the catalogue unless told otherwise. */
export function failed(
  code: ErrorCode,
  reason: string,
  more: { retry?: Failed['retry']; afterMs?: number | null } = {},
): Failed {
  return {
    kind: 'failed',
    code,
    reason,
    retry: more.retry ?? new DarkspereError(code).retry,
    afterMs: more.afterMs ?? null,
  };
}

/** The row of an agent that nobody checked has settings that this protocol cannot use. */
export function misshapen({ issues }: ZodError): Failed {
  return failed('agent_contract', `metadata.${issues[0]?.path.join('.')} of the agent is misshapen.`);
}

/** The outcome that an error of the wire means. */
export function failureOf(error: unknown): Failed {
  if (!(error instanceof DarkspereError)) return failed('agent_broken', 'The call failed for a reason of our own.');
  // An idle connection closed at the moment it was used, or a restart: the agent itself may be fine, and the stable
  // message id lets it recognise a repeat.
  if (error.code === 'agent_broken' && error.facts.stage === 'first byte') {
    return failed(error.code, error.message, { retry: 'same' });
  }
  // For a caller `never` would end the turn; another agent may live at a permitted address.
  if (error.code === 'egress_denied') return failed(error.code, error.message, { retry: 'other' });
  return failed(error.code, error.message);
}

/** The failure that a status means, or null for 200–299. */
export function failureOfStatus(answer: Pick<PostAnswer, 'status' | 'headers'>, now: Date): Failed | null {
  const { status } = answer;
  if (status >= 200 && status < 300) return null;
  const afterMs = retryAfterMs(answer.headers, now);
  if (status === 401 || status === 403)
    return failed('agent_unauthorized', `The agent answered ${status} to our credential.`);
  // 529 is what some model providers answer when overloaded.
  if (status === 429 || status === 503 || status === 529)
    return failed('agent_busy', `The agent answered ${status}.`, { afterMs });
  // What proxies answer while the agent behind them starts again.
  if (status === 502 || status === 504) return failed('agent_away', `The agent answered ${status}.`, { afterMs });
  if (status >= 300 && status < 400)
    return failed('agent_http', `The agent answered with a redirect (${status}), which is never followed.`);
  return failed('agent_http', `The agent answered ${status}.`, { afterMs });
}

/** Whether what the agent itself says in its answer is worth more than this status of it. */
export function saysLittle({ code }: Failed): boolean {
  return code === 'agent_http' || code === 'agent_away';
}

/** Retry-After in milliseconds, at most 30 s: an agent must not decide to be out for a day. */
function retryAfterMs(headers: IncomingHttpHeaders, now: Date): number | null {
  const text = headers['retry-after'];
  if (typeof text !== 'string') return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now.getTime();
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

/** Whether it is an address that a person can be sent. */
export function isHttps(uri: string): boolean {
  return uri.length <= 2_000 && URL.canParse(uri) && new URL(uri).protocol === 'https:';
}

/** The body as JSON, or null when it is none. */
export function parseJson(bytes: Buffer): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    return null;
  }
}

/** Says which answer was no JSON, without repeating it. */
export function notJson(answer: PostAnswer): Failed {
  const type = String(answer.headers['content-type'] ?? 'no content type').slice(0, 80);
  const what = answer.bytes.length === 0 ? 'an empty body' : `${answer.bytes.length} bytes that are not JSON (${type})`;
  return failed('agent_contract', `The agent answered ${answer.status} with ${what}.`);
}
