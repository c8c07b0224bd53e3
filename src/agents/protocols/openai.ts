// Agents behind the Chat Completions API, the common floor of hosted and self-hosted models.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../clock.ts';
import type { PostAnswer } from '../../security/post-json.ts';
import type { AgentCall, AgentOutcome, AgentResult, HistoryEntry } from '../agent.ts';
import { type Exchanged, exchange, failed, failureOfStatus, MAX_TEXT, notJson, parseJson, storable } from './wire.ts';

// What may be set per agent at registration; anything misshapen there falls back to the default.
const settings = z.object({
  model: z.string().catch('default'),
  instructions: z.string().optional().catch(undefined),
  max_tokens: z.number().int().positive().optional().catch(undefined),
  max_tokens_field: z.string().catch('max_tokens'),
  extra: z.record(z.string(), z.unknown()).catch({}),
});

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

const errorBody = z.object({
  error: z.object({
    message: z.string().nullish(),
    type: z.string().nullish(),
    code: z.union([z.string(), z.number()]).nullish(),
  }),
});

/** Asks a Chat Completions endpoint for a reply. Never throws. */
export async function callOpenai(call: AgentCall, http: Dispatcher): Promise<AgentResult> {
  const startedMs = performance.now();
  const first = await post(call, http, call.history, call.deadlines.totalMs);
  if (call.history.length > 0 && !('kind' in first.answer) && contextExceeded(first.answer)) {
    // Not a retry of a failure but a smaller question, inside the same deadline. The newer half matters more.
    const shorter = call.history.slice(Math.ceil(call.history.length / 2));
    const leftMs = Math.max(1, call.deadlines.totalMs - (performance.now() - startedMs));
    return result(await post(call, http, shorter, leftMs));
  }
  return result(first);
}

function result({ answer, exchange: record }: Exchanged): AgentResult {
  return { outcome: 'kind' in answer ? answer : read(answer, now()), exchange: record };
}

function post(
  call: AgentCall,
  http: Dispatcher,
  history: readonly HistoryEntry[],
  totalMs: number,
): Promise<Exchanged> {
  const { credential } = call.agent;
  const headers = credential === null ? {} : { authorization: `Bearer ${credential}` };
  return exchange(
    call,
    http,
    completionsUrl(call.agent.endpointUrl),
    headers,
    JSON.stringify(request(call, history)),
    totalMs,
  );
}

/** The endpoint as registered, with `/chat/completions` behind it unless it is there; a query string stays. */
function completionsUrl(endpoint: string): URL {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = path.endsWith('/chat/completions') ? path : `${path}/chat/completions`;
  return url;
}

function request(call: AgentCall, history: readonly HistoryEntry[]) {
  const options = settings.parse(call.agent.metadata);
  return {
    model: options.model,
    // A token is a character or more, so a reply within its budget is never cut by this.
    [options.max_tokens_field]: options.max_tokens ?? Math.max(64, call.replyBudget.maxCharacters),
    ...options.extra,
    messages: [
      { role: 'system', content: options.instructions ?? instructions(call) },
      ...history.map((entry) => ({ role: entry.role, content: entry.content })),
      {
        role: 'user',
        content: [call.text, ...call.media.map((item) => item.url)].filter((line) => line !== '').join('\n'),
      },
    ],
    stream: false,
  };
}

function instructions(call: AgentCall): string {
  return `You are answering a text message (${call.channel}). Reply in plain text without Markdown, in the language of the person, in at most ${call.replyBudget.maxCharacters} characters.`;
}

function errorOf(answer: PostAnswer): { code: string; message: string } | null {
  const parsed = errorBody.safeParse(parseJson(answer.bytes)?.value);
  if (!parsed.success) return null;
  const { code, type, message } = parsed.data.error;
  return { code: String(code ?? type ?? ''), message: message ?? '' };
}

/** Providers agree on the status and the code; servers that only imitate them say it in the message. */
function contextExceeded(answer: PostAnswer): boolean {
  if (answer.status !== 400 && answer.status !== 413) return false;
  const error = errorOf(answer);
  return (
    error !== null && (error.code === 'context_length_exceeded' || /context (length|window|size)/i.test(error.message))
  );
}

function read(answer: PostAnswer, now: Date): AgentOutcome {
  const byStatus = failureOfStatus(answer, now);
  if (byStatus !== null) {
    const code = errorOf(answer)
      ?.code.replace(/[^\w.:-]/g, '')
      .slice(0, 60);
    const reason = code ? `${byStatus.reason} Its code: ${code}.` : byStatus.reason;
    // Request timeout and conflict pass by themselves at these providers.
    const passing = answer.status === 408 || answer.status === 409;
    return { ...byStatus, reason, retry: passing ? 'same' : byStatus.retry };
  }
  const parsed = parseJson(answer.bytes);
  if (parsed === null) return notJson(answer);
  const shape = completion.safeParse(parsed.value);
  if (!shape.success)
    return failed('agent_contract', 'The answer is not a chat completion: choices[0].message is missing or misshapen.');
  return reply(shape.data.choices[0]!);
}

function reply(choice: z.infer<typeof completion>['choices'][number]): AgentOutcome {
  const { content, refusal, tool_calls } = choice.message;
  const raw = typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('');
  // Reasoning models served without a parser put their thoughts before the answer.
  const said = storable(raw)
    .replace(/^\s*<think>[\s\S]*?(<\/think>|$)/, '')
    .trim();
  const text = said === '' ? storable(refusal ?? '').trim() : said;
  if (text === '') {
    const why = tool_calls?.length
      ? 'tool calls, which nobody here can run'
      : `no text (finish_reason ${choice.finish_reason ?? 'missing'})`.slice(0, 80);
    return failed('agent_contract', `The completion has ${why}.`);
  }
  if (text.length > MAX_TEXT) return failed('agent_contract', `The completion is longer than ${MAX_TEXT} characters.`);
  return {
    kind: 'reply',
    text: choice.finish_reason === 'length' ? `${text} …` : text,
    mediaUrls: [],
    endSession: false,
  };
}
