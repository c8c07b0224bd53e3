// Agents that have an interface of their own: a JSON template in, a path out. n8n, LangGraph and many more are presets of it.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../clock.ts';
import type { PostAnswer } from '../../security/post-json.ts';
import { withoutNul } from '../../text.ts';
import type { Agent, AgentCall, AgentOutcome, AgentResult } from '../agent.ts';
import { at, fill, handleIn, replyIn, templateSetting, textOf } from './template.ts';
import { exchange, failed, failureOfStatus, MAX_TEXT, misshapen, notCalled, notJson, parseJson } from './wire.ts';

const path = z.string().min(1).max(200);

/** What may be set per agent at registration. */
export const webhookSettings = z.object({
  /** What is posted, with {{names}}. */
  body: templateSetting,
  /** Where in the answer the reply is; of several paths the first that leads to a text. */
  reply: z.union([path, z.array(path).min(1).max(10)]).optional(),
  /** Where in the answer the handle is that names the conversation from now on. */
  conversation: path.optional(),
  /** Added behind the registered address. */
  path: z
    .string()
    .regex(/^(?:\/[\w.~-]+)+$/, 'must begin with / and have no query')
    .max(200)
    .optional(),
  /** The header that carries metadata.api_key as it is, instead of Authorization: Bearer. */
  api_key_header: z
    .string()
    .regex(/^x-[a-z0-9-]{1,60}$/i, 'must be a header that begins with x-')
    .optional(),
});
export type WebhookSettings = z.infer<typeof webhookSettings>;

/** Posts the filled template and reads the reply. Never throws. */
export async function callWebhook(call: AgentCall, http: Dispatcher): Promise<AgentResult> {
  const parsed = webhookSettings.safeParse(call.agent.metadata);
  if (!parsed.success) return { outcome: misshapen(parsed.error), exchange: notCalled(call) };
  const settings = parsed.data;
  const conversation = call.thread?.handle.conversation ?? call.sessionId;
  const { answer, exchange: record } = await exchange(
    call,
    http,
    urlOf(call.agent.endpointUrl, settings.path ?? ''),
    headersOf(call.agent, settings),
    JSON.stringify(fill(settings.body, call, conversation)),
  );
  return { outcome: 'kind' in answer ? answer : read(answer, settings, now()), exchange: record };
}

export function urlOf(endpoint: string, more: string): URL {
  const url = new URL(endpoint);
  const base = url.pathname.replace(/\/+$/, '');
  if (more !== '' && !base.endsWith(more)) url.pathname = `${base}${more}`;
  return url;
}

/** The credential in the header that the endpoint wants it in. */
export function headersOf({ credential }: Agent, settings: WebhookSettings | undefined): Record<string, string> {
  if (credential === null) return {};
  const header = settings?.api_key_header?.toLowerCase();
  return header === undefined ? { authorization: `Bearer ${credential}` } : { [header]: credential };
}

function read(answer: PostAnswer, settings: WebhookSettings, now: Date): AgentOutcome {
  const byStatus = failureOfStatus(answer, now);
  if (byStatus !== null) return byStatus;
  if (answer.status === 202) return { kind: 'deferred' };
  const parsed = parseJson(answer.bytes);
  if (parsed === null) return notJson(answer);
  // Workflow engines answer with the list of their items.
  const value = Array.isArray(parsed.value) && parsed.value.length === 1 ? parsed.value[0] : parsed.value;
  const found = replyAt(value, settings);
  const text = withoutNul(found ?? '').trim();
  if (text === '')
    return failed(
      'agent_contract',
      settings.reply === undefined
        ? 'The answer has no text where replies usually are. Name its path in metadata.reply.'
        : `The answer has no text at ${[settings.reply].flat().join(' or ')}.`,
    );
  if (text.length > MAX_TEXT) return failed('agent_contract', `The answer is longer than ${MAX_TEXT} characters.`);
  const handle = settings.conversation === undefined ? null : handleIn(at(value, settings.conversation));
  return {
    kind: 'reply',
    text,
    mediaUrls: [],
    endSession: false,
    ...(handle === null ? {} : { handle: { conversation: withoutNul(handle) } }),
  };
}

function replyAt(value: unknown, { reply }: WebhookSettings): string | null {
  if (reply === undefined) return typeof value === 'string' ? value : replyIn(value);
  for (const one of [reply].flat()) {
    const text = textOf(at(value, one));
    if (text !== null && text.trim() !== '') return text;
  }
  return null;
}
