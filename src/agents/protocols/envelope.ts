// Our own protocol: one signed JSON envelope in, one out.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../clock.ts';
import type { PostAnswer } from '../../security/post-json.ts';
import { signWebhook, verifyWebhook } from '../../security/standard-webhooks.ts';
import { withoutNul } from '../../text.ts';
import { type AgentCall, type AgentOutcome, type AgentResult, signingSecretsOf } from '../agent.ts';
import { exchange, failed, failureOfStatus, MAX_MEDIA, MAX_TEXT, notJson, parseJson, saysLittle } from './wire.ts';

// Normalised: the text as it came may hold a NUL, which no database takes.
const mediaUrl = z.url({ protocol: /^https$/, normalize: true }).max(2_000);

// Objects drop fields they do not know: an agent may say more than we read.
const chatResponse = z.object({
  type: z.literal('chat.response'),
  in_reply_to: z.string(),
  payload: z.object({
    session_id: z.string(),
    message: z.string().max(MAX_TEXT),
    end_session: z.boolean().optional(),
    media: z
      .array(z.union([mediaUrl, z.object({ url: mediaUrl }).transform((entry) => entry.url)]))
      .max(MAX_MEDIA)
      .optional(),
  }),
});

const errorResponse = z.object({
  type: z.literal('error'),
  payload: z.object({ code: z.string(), message: z.string().optional(), retryable: z.boolean().optional() }),
});

/** Asks an `envelope` agent for a reply. Never throws. */
export async function callEnvelope(call: AgentCall, http: Dispatcher): Promise<AgentResult> {
  const body = JSON.stringify(request(call, now()));
  const signature = signWebhook(signingSecretsOf(call.agent), call.messageId, now(), body);
  const { answer, exchange: record } = await exchange(
    call,
    http,
    new URL(call.agent.endpointUrl),
    { ...signature },
    body,
  );
  return { outcome: 'kind' in answer ? answer : read(call, answer, now()), exchange: record };
}

function request(call: AgentCall, now: Date) {
  return {
    type: 'chat.request',
    message_id: call.messageId,
    timestamp: now.toISOString(),
    payload: {
      session_id: call.sessionId,
      // Where later posts of this agent go: POST /v1/conversations/{conversation_id}/messages.
      conversation_id: call.conversationId,
      message: call.text,
      conversation_history: call.history.map((entry) => ({
        role: entry.role,
        content: entry.content,
        timestamp: entry.timestamp.toISOString(),
      })),
      media: call.media.map((item) => ({ url: item.url, content_type: item.contentType })),
      channel: call.channel,
      reply_budget: { max_characters: call.replyBudget.maxCharacters, max_segments: call.replyBudget.maxSegments },
      deadline: new Date(now.getTime() + call.deadlines.totalMs).toISOString(),
      ...(call.isReplay ? { replay: true } : {}),
    },
  };
}

function read(call: AgentCall, answer: PostAnswer, now: Date): AgentOutcome {
  const parsed = parseJson(answer.bytes);
  const byStatus = failureOfStatus(answer, now);
  if (byStatus !== null) return saysLittle(byStatus) ? (saidError(parsed?.value) ?? byStatus) : byStatus;
  const forged = forgery(call, answer, now);
  if (forged !== null) return failed('agent_contract', forged);
  if (answer.status === 202) return { kind: 'deferred' };
  if (parsed === null) return notJson(answer);
  return saidError(parsed.value) ?? chat(call, parsed.value);
}

/** The answer comes over the connection we opened, so a signature is optional; one that is there must be right. */
function forgery(call: AgentCall, answer: PostAnswer, now: Date): string | null {
  const verdict = verifyWebhook(signingSecretsOf(call.agent), answer.headers, answer.bytes, now);
  if (verdict === 'valid') return null;
  if (verdict === 'unsigned') {
    return call.agent.metadata.require_signed_replies === true
      ? 'The answer is not signed although the agent was registered with require_signed_replies.'
      : null;
  }
  const why = {
    incomplete: 'webhook-id, webhook-timestamp and webhook-signature do not come together',
    too_old: 'webhook-timestamp is more than 5 minutes from our clock',
    mismatch: 'the signature does not match the body',
  }[verdict];
  return `The signature of the answer is wrong: ${why}.`;
}

function saidError(value: unknown): AgentOutcome | null {
  const error = errorResponse.safeParse(value);
  if (!error.success) return null;
  const { code, retryable } = error.data.payload;
  // The agent's message may quote the person; it stays in the exchange.
  const name = code.replace(/[^\w.:-]/g, '').slice(0, 60);
  return failed('agent_said_error', `The agent answered with its own error "${name}".`, {
    retry: retryable === true ? 'same' : 'other',
  });
}

function chat(call: AgentCall, value: unknown): AgentOutcome {
  const parsed = chatResponse.safeParse(value);
  if (!parsed.success)
    return failed('agent_contract', `The answer is not a chat.response: ${firstIssue(parsed.error)}.`);
  const { in_reply_to, payload } = parsed.data;
  if (in_reply_to !== call.messageId)
    return failed('agent_contract', 'in_reply_to is not the message_id of the request.');
  if (payload.session_id !== call.sessionId)
    return failed('agent_contract', 'payload.session_id is not the session of the request.');
  const text = withoutNul(payload.message).trim();
  if (text === '') return failed('agent_contract', 'payload.message is empty.');
  return { kind: 'reply', text, mediaUrls: payload.media ?? [], endSession: payload.end_session ?? false };
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? 'wrong shape' : `${issue.path.join('.') || 'the body'}: ${issue.message}`;
}
