// What the two APIs of OpenAI-compatible endpoints share: settings, address, credential and how errors are told.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { PostAnswer } from '../../../security/post-json.ts';
import { withoutNul } from '../../../text.ts';
import type { Agent, AgentCall, AgentOutcome } from '../../agent.ts';
import { type Exchanged, exchange, type Failed, failed, failureOfStatus, MAX_TEXT, parseJson } from '../wire.ts';

/** What may be set per agent at registration. */
export const openaiSettings = z.object({
  api: z.enum(['chat', 'responses']).default('chat'),
  model: z.string().min(1).max(200).default('default'),
  instructions: z.string().max(4_000).optional(),
  max_tokens: z.number().int().positive().optional(),
  max_tokens_field: z.string().min(1).max(100).default('max_tokens'),
  extra: z.record(z.string(), z.unknown()).default({}),
});
export type OpenaiSettings = z.infer<typeof openaiSettings>;

/** The settings of an agent; what is misshapen in a row that nobody checked falls back to its default. */
export function settingsOf({ metadata }: Agent): OpenaiSettings {
  const sound = Object.entries(openaiSettings.shape).filter(
    ([name, schema]) => schema.safeParse(metadata[name]).success,
  );
  return openaiSettings.parse(Object.fromEntries(sound.map(([name]) => [name, metadata[name]])));
}

/** Reasoning counts against the limit, so one that is as tight as the reply would cut thoughts, not words. */
export const LEAST_THINKING_TOKENS = 2_000;

/** Posts to one API of the endpoint: its path is added behind the registered address unless it is there. */
export function ask(
  call: AgentCall,
  http: Dispatcher,
  path: string,
  body: object,
  totalMs: number,
): Promise<Exchanged> {
  const { agent } = call;
  const url = urlOf(agent.endpointUrl, path);
  return exchange(call, http, url, authorizationOf(agent), JSON.stringify(body), totalMs);
}

export function authorizationOf({ credential }: Agent): Record<string, string> {
  return credential === null ? {} : { authorization: `Bearer ${credential}` };
}

/** A query string stays where it is. */
function urlOf(endpoint: string, path: string): URL {
  const url = new URL(endpoint);
  const base = url.pathname.replace(/\/+$/, '');
  url.pathname = base.endsWith(path) ? base : `${base}${path}`;
  return url;
}

export function instructionsFor(call: AgentCall, { instructions }: OpenaiSettings): string {
  return (
    instructions ??
    `You are answering a text message (${call.channel}). Reply in plain text without Markdown, in the language of the person, in at most ${call.replyBudget.maxCharacters} characters.`
  );
}

const errorBody = z.object({
  error: z.object({
    message: z.string().nullish(),
    type: z.string().nullish(),
    code: z.union([z.string(), z.number()]).nullish(),
    param: z.string().nullish(),
  }),
});

type SaidError = { readonly code: string; readonly message: string; readonly param: string };

export function errorOf(answer: PostAnswer): SaidError | null {
  const parsed = errorBody.safeParse(parseJson(answer.bytes)?.value);
  if (!parsed.success) return null;
  const { code, type, message, param } = parsed.data.error;
  return { code: String(code ?? type ?? ''), message: message ?? '', param: param ?? '' };
}

/** Providers agree on the status and the code; servers that only imitate them say it in the message. */
export function contextExceeded(answer: PostAnswer): boolean {
  if (answer.status !== 400 && answer.status !== 413) return false;
  const error = errorOf(answer);
  return (
    error !== null && (error.code === 'context_length_exceeded' || /context (length|window|size)/i.test(error.message))
  );
}

/** The failure that an answer's status means, with the endpoint's own code for it; null for 200–299. */
export function failureOfAnswer(answer: PostAnswer, now: Date): Failed | null {
  const byStatus = failureOfStatus(answer, now);
  if (byStatus === null) return null;
  const code = codeName(errorOf(answer)?.code ?? '');
  const reason = code === '' ? byStatus.reason : `${byStatus.reason} Its code: ${code}.`;
  // Their servers fail by chance, and request timeout and conflict pass by themselves.
  if (answer.status >= 500 && byStatus.code === 'agent_http') return { ...byStatus, code: 'agent_away', reason };
  const passing = answer.status === 408 || answer.status === 409;
  return { ...byStatus, reason, retry: passing ? 'same' : byStatus.retry };
}

/** A code as it may stand in a reason. */
export function codeName(code: string): string {
  return code.replace(/[^\w.:-]/g, '').slice(0, 60);
}

/** What a model said, or the failure that nothing of it can be sent. `why` completes "The answer has …". */
export function replyOf(
  said: { readonly text: string; readonly refusal: string; readonly wasCut: boolean },
  why: string,
): AgentOutcome {
  // Reasoning models served without a parser put their thoughts before the answer.
  const plain = withoutNul(said.text)
    .replace(/^\s*<think>[\s\S]*?(<\/think>|$)/, '')
    .trim();
  const text = plain === '' ? withoutNul(said.refusal).trim() : plain;
  if (text === '') return failed('agent_contract', `The answer has ${why}.`);
  if (text.length > MAX_TEXT) return failed('agent_contract', `The answer is longer than ${MAX_TEXT} characters.`);
  return { kind: 'reply', text: said.wasCut ? `${text} …` : text, mediaUrls: [], endSession: false };
}
