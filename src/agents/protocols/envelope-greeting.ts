// The two questions of the envelope that are about the agent and not about a person: what it can do, and how it is.
import { randomUUID } from 'node:crypto';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../clock.ts';
import { signWebhook } from '../../security/standard-webhooks.ts';
import { type AgentCall, type AgentOutcome, signingSecretsOf } from '../agent.ts';
import type { Greeting } from './greeting.ts';
import { exchange, type Failed, failed, failureOfStatus, notJson, parseJson } from './wire.ts';

const envelope = z.object({
  type: z.string(),
  in_reply_to: z.string().optional(),
  payload: z.record(z.string(), z.unknown()).optional(),
});
type Envelope = z.infer<typeof envelope>;
type Asked = { readonly said: Envelope | Failed; readonly status: number | null; readonly messageId: string };

/** Asks for the agent's capabilities. One that knows only chat.request says so, in whatever way. Never throws. */
export async function greetEnvelope(call: AgentCall, http: Dispatcher): Promise<Greeting> {
  const { said, status } = await ask(call, http, 'capabilities.request');
  if ('kind' in said) {
    const isUnknownType = said.code === 'agent_http' && status !== null && UNKNOWN_TYPE.has(status);
    if (!isUnknownType) return { outcome: said, status };
    return { outcome: { kind: 'none', detail: `it answered capabilities.request with ${status}` }, status };
  }
  if (said.type === 'capabilities.response') {
    const listed = said.payload?.capabilities;
    const count = Array.isArray(listed) ? listed.length : 0;
    return { outcome: { kind: 'met', detail: `it names its capabilities (${count})`, canEcho: true }, status };
  }
  // It speaks the envelope all the same.
  return { outcome: { kind: 'none', detail: 'it does not answer capabilities.request' }, status };
}

/** The statuses with which agents answer a type that they do not know: refusals, and what is thrown over it. */
const UNKNOWN_TYPE = new Set([400, 415, 422, 500, 501]);

/** Asks how the agent is; its answer must be one to this very request. Never throws. */
export async function echoEnvelope(call: AgentCall, http: Dispatcher): Promise<AgentOutcome> {
  const { said, messageId } = await ask(call, http, 'health.check');
  if ('kind' in said) return said;
  if (said.type !== 'health.status')
    return failed('agent_contract', 'the answer to health.check is not a health.status');
  if (said.in_reply_to !== messageId)
    return failed('agent_contract', 'in_reply_to is not the message_id of the request');
  return { kind: 'reply', text: 'health.status', mediaUrls: [], endSession: false };
}

async function ask(call: AgentCall, http: Dispatcher, type: 'capabilities.request' | 'health.check'): Promise<Asked> {
  const messageId = randomUUID();
  const body = JSON.stringify({ type, message_id: messageId, timestamp: now().toISOString(), payload: {} });
  const headers = { ...signWebhook(signingSecretsOf(call.agent), messageId, now(), body) };
  const { answer, exchange: record } = await exchange(call, http, new URL(call.agent.endpointUrl), headers, body);
  const { status } = record;
  if ('kind' in answer) return { said: answer, status, messageId };
  const parsed = parseJson(answer.bytes);
  const read = envelope.safeParse(parsed?.value);
  // A refusal in an envelope is one by somebody who speaks it.
  const isRefusal = read.success && read.data.type === 'error' && answer.status !== 401 && answer.status !== 403;
  if (isRefusal) return { said: read.data, status, messageId };
  const byStatus = failureOfStatus(answer, now());
  if (byStatus !== null) return { said: byStatus, status, messageId };
  if (parsed === null) return { said: notJson(answer), status, messageId };
  if (!read.success)
    return { said: failed('agent_contract', 'the answer is JSON, but no envelope'), status, messageId };
  return { said: read.data, status, messageId };
}
