// The Chat Completions API, the common floor of hosted and self-hosted models.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../../clock.ts';
import type { PostAnswer } from '../../../security/post-json.ts';
import type { AgentCall, AgentOutcome, AgentResult } from '../../agent.ts';
import type { AgentMemory } from '../memory.ts';
import { historyOf, wordsOf } from '../template.ts';
import { type Exchanged, failed, notJson, parseJson } from '../wire.ts';
import {
  ask,
  contextExceeded,
  errorOf,
  failureOfAnswer,
  instructionsFor,
  LEAST_THINKING_TOKENS,
  type OpenaiSettings,
  replyOf,
} from './api.ts';

const completion = z.object({
  choices: z
    .array(
      z.object({
        finish_reason: z.string().nullish(),
        message: z.object({
          content: z.union([z.string(), z.array(z.object({ text: z.string().optional() }))]).nullish(),
          refusal: z.string().nullish(),
          tool_calls: z.array(z.unknown()).nullish(),
        }),
      }),
    )
    .min(1),
});

/** The name of the limit of tokens that an endpoint takes instead of the one in the settings. */
export type TokensField = typeof THINKING_FIELD;

/** What reasoning models call the limit, in which their thoughts count too; they refuse `max_tokens`. */
const THINKING_FIELD = 'max_completion_tokens';

/** Asks for a completion. Never throws. */
export async function callChatCompletions(
  call: AgentCall,
  http: Dispatcher,
  given: OpenaiSettings,
  tokensFields: AgentMemory<TokensField>,
): Promise<AgentResult> {
  const startedMs = performance.now();
  const post = (settings: OpenaiSettings, history = call.history) => {
    const leftMs = Math.max(1, Math.ceil(call.deadlines.totalMs - (performance.now() - startedMs)));
    return ask(call, http, '/chat/completions', request({ ...call, history }, settings), leftMs);
  };
  const known = tokensFields.recall(call.agent);
  let settings = known === null ? given : { ...given, max_tokens_field: known };
  let asked = await post(settings);
  // None of these is a retry of a failure: the endpoint has refused the way it was asked, inside the same deadline.
  if (!('kind' in asked.answer) && refusesMaxTokens(asked.answer, settings)) {
    tokensFields.keep(call.agent, THINKING_FIELD);
    settings = { ...given, max_tokens_field: THINKING_FIELD };
    asked = await post(settings);
  }
  if (call.history.length > 0 && !('kind' in asked.answer) && contextExceeded(asked.answer)) {
    // The newer half matters more.
    asked = await post(settings, call.history.slice(Math.ceil(call.history.length / 2)));
  }
  return result(asked);
}

/** Says that the limit of tokens has another name: the code and the field it is about, or the name itself in the words of imitators. */
function refusesMaxTokens(answer: PostAnswer, { max_tokens_field: field }: OpenaiSettings): boolean {
  if (answer.status !== 400 || field !== 'max_tokens') return false;
  const error = errorOf(answer);
  if (error === null) return false;
  return (error.code === 'unsupported_parameter' && error.param === field) || error.message.includes(THINKING_FIELD);
}

function result({ answer, exchange: record }: Exchanged): AgentResult {
  return { outcome: 'kind' in answer ? answer : read(answer, now()), exchange: record };
}

function request(call: AgentCall, settings: OpenaiSettings) {
  const field = settings.max_tokens_field;
  // A token is a character or more, so a reply within its budget is never cut by this.
  const least = field === THINKING_FIELD ? LEAST_THINKING_TOKENS : 64;
  return {
    model: settings.model,
    [field]: settings.max_tokens ?? Math.max(least, call.replyBudget.maxCharacters),
    ...settings.extra,
    messages: [
      { role: 'system', content: instructionsFor(call, settings) },
      ...historyOf(call),
      { role: 'user', content: wordsOf(call) },
    ],
    stream: false,
  };
}

function read(answer: PostAnswer, now: Date): AgentOutcome {
  const byStatus = failureOfAnswer(answer, now);
  if (byStatus !== null) return byStatus;
  const parsed = parseJson(answer.bytes);
  if (parsed === null) return notJson(answer);
  const shape = completion.safeParse(parsed.value);
  if (!shape.success)
    return failed('agent_contract', 'The answer is not a chat completion: choices[0].message is missing or misshapen.');
  return reply(shape.data.choices[0]!);
}

function reply(choice: z.infer<typeof completion>['choices'][number]): AgentOutcome {
  const { content, refusal, tool_calls } = choice.message;
  const text = typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('');
  const why = tool_calls?.length
    ? 'tool calls, which nobody here can run'
    : `no text (finish_reason ${choice.finish_reason ?? 'missing'})`.slice(0, 80);
  return replyOf({ text, refusal: refusal ?? '', wasCut: choice.finish_reason === 'length' }, why);
}
