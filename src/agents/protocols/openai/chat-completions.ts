// The Chat Completions API, the common floor of hosted and self-hosted models.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../../clock.ts';
import type { PostAnswer } from '../../../security/post-json.ts';
import type { AgentCall, AgentOutcome, AgentResult, HistoryEntry } from '../../agent.ts';
import { historyOf, wordsOf } from '../template.ts';
import { type Exchanged, failed, notJson, parseJson } from '../wire.ts';
import { ask, contextExceeded, failureOf, instructionsFor, type OpenaiSettings, replyOf } from './api.ts';

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

/** Asks for a completion. Never throws. */
export async function callChatCompletions(
  call: AgentCall,
  http: Dispatcher,
  settings: OpenaiSettings,
): Promise<AgentResult> {
  const startedMs = performance.now();
  const post = (history: readonly HistoryEntry[], totalMs: number) =>
    ask(call, http, '/chat/completions', request({ ...call, history }, settings), totalMs);
  const first = await post(call.history, call.deadlines.totalMs);
  if (call.history.length > 0 && !('kind' in first.answer) && contextExceeded(first.answer)) {
    // Not a retry of a failure but a smaller question, inside the same deadline. The newer half matters more.
    const shorter = call.history.slice(Math.ceil(call.history.length / 2));
    const leftMs = Math.max(1, call.deadlines.totalMs - (performance.now() - startedMs));
    return result(await post(shorter, leftMs));
  }
  return result(first);
}

function result({ answer, exchange: record }: Exchanged): AgentResult {
  return { outcome: 'kind' in answer ? answer : read(answer, now()), exchange: record };
}

function request(call: AgentCall, settings: OpenaiSettings) {
  return {
    model: settings.model,
    // A token is a character or more, so a reply within its budget is never cut by this.
    [settings.max_tokens_field]: settings.max_tokens ?? Math.max(64, call.replyBudget.maxCharacters),
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
  const byStatus = failureOf(answer, now);
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
