// The Responses API: the endpoint keeps the conversation, and the newest response's id is the way back to it.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../../clock.ts';
import type { PostAnswer } from '../../../security/post-json.ts';
import { withoutNul } from '../../../text.ts';
import type { AgentCall, AgentOutcome, AgentResult } from '../../agent.ts';
import { handleIn, historyOf, wordsOf } from '../template.ts';
import { type Exchanged, failed, notJson, parseJson } from '../wire.ts';
import {
  ask,
  codeName,
  contextExceeded,
  errorOf,
  failureOfAnswer,
  instructionsFor,
  LEAST_THINKING_TOKENS,
  type OpenaiSettings,
  replyOf,
} from './api.ts';

const responseBody = z.object({
  id: z.string().optional(),
  status: z.string().nullish(),
  error: z.object({ code: z.union([z.string(), z.number()]).nullish() }).nullish(),
  incomplete_details: z.object({ reason: z.string().nullish() }).nullish(),
  output: z.array(
    z.object({
      type: z.string(),
      content: z
        .array(z.object({ type: z.string(), text: z.string().nullish(), refusal: z.string().nullish() }))
        .nullish(),
    }),
  ),
});

/** Asks for a response. Never throws. */
export async function callResponses(call: AgentCall, http: Dispatcher, settings: OpenaiSettings): Promise<AgentResult> {
  const startedMs = performance.now();
  const post = (question: Question) => {
    const leftMs = Math.max(1, Math.ceil(call.deadlines.totalMs - (performance.now() - startedMs)));
    return ask(call, http, '/responses', request(call, settings, question), leftMs);
  };
  const previous = previousOf(call);
  const first = await post(previous === null ? { previous, from: 0 } : { previous, from: unknownFrom(call) });
  if ('kind' in first.answer) return result(first, settings);
  // Not retries of a failure: the endpoint has refused the way it was asked, inside the same deadline.
  if (previous !== null && isForgotten(first.answer)) return result(await post({ previous: null, from: 0 }), settings);
  if (contextExceeded(first.answer) && (previous !== null || call.history.length > 0))
    return result(await post({ previous: null, from: Math.ceil(call.history.length / 2) }), settings);
  return result(first, settings);
}

/** What the input begins with: a response that is remembered, and the history from an entry on. */
type Question = { readonly previous: string | null; readonly from: number };

/** The response to go on with. One that misses a turn does not do: the history here is the truth. */
function previousOf({ thread }: AgentCall): string | null {
  return thread === null || thread.missed !== null ? null : (thread.handle.response ?? null);
}

/** The first entry of the history that the endpoint has not seen: an agent's or an operator's text after its answer. */
function unknownFrom({ history, thread }: AgentCall): number {
  const from = history.findIndex((entry) => thread !== null && entry.timestamp > thread.at);
  return from < 0 ? history.length : from;
}

function request(call: AgentCall, settings: OpenaiSettings, { previous, from }: Question) {
  return {
    model: settings.model,
    max_output_tokens: settings.max_tokens ?? Math.max(LEAST_THINKING_TOKENS, call.replyBudget.maxCharacters),
    ...settings.extra,
    instructions: instructionsFor(call, settings),
    input: [...historyOf(call).slice(from), { role: 'user', content: wordsOf(call) }],
    ...(previous === null ? {} : { previous_response_id: previous }),
    stream: false,
  };
}

/** Says that the response is unknown: expired, deleted, or never stored. */
function isForgotten(answer: PostAnswer): boolean {
  if (answer.status !== 400 && answer.status !== 404) return false;
  const error = errorOf(answer);
  return (
    error !== null &&
    (error.param === 'previous_response_id' ||
      error.code === 'previous_response_not_found' ||
      /previous.?response/i.test(error.message))
  );
}

function result({ answer, exchange: record }: Exchanged, settings: OpenaiSettings): AgentResult {
  return { outcome: 'kind' in answer ? answer : read(answer, settings, now()), exchange: record };
}

function read(answer: PostAnswer, settings: OpenaiSettings, now: Date): AgentOutcome {
  const byStatus = failureOfAnswer(answer, now);
  if (byStatus !== null) return byStatus;
  const parsed = parseJson(answer.bytes);
  if (parsed === null) return notJson(answer);
  const shape = responseBody.safeParse(parsed.value);
  if (!shape.success) return failed('agent_contract', 'The answer is not a response: output is missing or misshapen.');
  const { id, status, error, output } = shape.data;
  if (status === 'failed' || status === 'cancelled')
    return failed('agent_said_error', `The response is ${status}, code ${codeName(String(error?.code ?? 'missing'))}.`);
  const outcome = reply(shape.data, output);
  const handle = settings.extra.store === false ? null : handleIn(id);
  return outcome.kind === 'reply' && handle !== null
    ? { ...outcome, handle: { response: withoutNul(handle) } }
    : outcome;
}

function reply(response: z.infer<typeof responseBody>, output: z.infer<typeof responseBody>['output']): AgentOutcome {
  const parts = output.filter(({ type }) => type === 'message').flatMap(({ content }) => content ?? []);
  const of = (kind: string) => parts.filter(({ type }) => type === kind);
  const text = of('output_text')
    .map((part) => part.text ?? '')
    .join('');
  const refusal = of('refusal')
    .map((part) => part.refusal ?? '')
    .join('');
  const calls = output.some(({ type }) => type === 'function_call' || type === 'custom_tool_call');
  const why = calls
    ? 'tool calls, which nobody here can run'
    : `no text (status ${response.status ?? 'missing'}, ${response.incomplete_details?.reason ?? 'no reason'})`.slice(
        0,
        120,
      );
  return replyOf({ text, refusal, wasCut: response.status === 'incomplete' }, why);
}
