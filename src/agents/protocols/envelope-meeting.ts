// The two questions of the envelope that are about the agent and not about a person.
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { now } from '../../clock.ts';
import { newId } from '../../ids.ts';
import type { PostAnswer } from '../../security/post-json.ts';
import { signWebhook } from '../../security/standard-webhooks.ts';
import { type Approach, signingSecretsOf } from '../agent.ts';
import { type About, type Meeting, met, none } from './meeting.ts';
import { exchange, failed, failureOfStatus, notJson, parseJson, saysLittle } from './wire.ts';

const QUESTIONS = {
  capabilities: { type: 'capabilities.request', answer: 'capabilities.response' },
  health: { type: 'health.check', answer: 'health.status' },
} as const;

const envelope = z.object({
  type: z.string(),
  in_reply_to: z.string().optional().catch(undefined),
  payload: z.record(z.string(), z.unknown()).catch({}),
});

const capabilities = z.object({
  capabilities: z.array(z.string()).catch([]),
  version: z.string().nullable().catch(null),
  limits: z.record(z.string(), z.unknown()).catch({}),
});

const health = z.object({ status: z.string(), load: z.number().min(0).max(1).nullable().catch(null) });

/** Words with which an agent says that it should not be asked. */
const SICK = new Set(['unhealthy', 'down', 'error', 'failing', 'draining', 'stopping']);

/** The statuses with which agents answer a type that they do not know: refusals, and what is thrown over it. */
const UNKNOWN_TYPE = new Set([400, 406, 409, 415, 422, 500, 501]);

/** Asks what the agent can do or how it is. One that knows only chat.request says so, in whatever way. Never throws. */
export async function meetEnvelope(approach: Approach, http: Dispatcher, about: About): Promise<Meeting> {
  const { agent } = approach;
  const id = newId();
  const { type } = QUESTIONS[about];
  const body = JSON.stringify({ type, message_id: id, timestamp: now().toISOString(), payload: {} });
  const headers = { ...signWebhook(signingSecretsOf(agent), id, now(), body) };
  const { answer, exchange: record } = await exchange(approach, http, new URL(agent.endpointUrl), headers, body);
  return { outcome: 'kind' in answer ? answer : read(answer, about, id), status: record.status };
}

function read(answer: PostAnswer, about: About, id: string): Meeting['outcome'] {
  const question = QUESTIONS[about];
  const parsed = parseJson(answer.bytes);
  const said = envelope.safeParse(parsed?.value);
  const byStatus = failureOfStatus(answer, now());
  // A refusal in an envelope is one by somebody who speaks it.
  const isRefusal = said.data?.type === 'error' || UNKNOWN_TYPE.has(answer.status);
  if (byStatus !== null)
    return saysLittle(byStatus) && isRefusal ? none(`it answered ${question.type} with ${answer.status}`) : byStatus;
  if (parsed === null) return notJson(answer);
  if (!said.success) return failed('agent_contract', 'The answer is JSON, but no envelope.');
  const { type, in_reply_to, payload } = said.data;
  if (type !== question.answer) return none(`the answer to ${question.type} is not a ${question.answer}`);
  if (about === 'capabilities') {
    const { capabilities: offers, version, limits } = capabilities.parse(payload);
    return met(`it names its capabilities (${offers.length})`, { offers, version, limits });
  }
  if (in_reply_to !== id) return failed('agent_contract', 'in_reply_to is not the message_id of the request.');
  const { data: state } = health.safeParse(payload);
  if (state === undefined) return failed('agent_contract', 'payload.status of the health.status is missing.');
  // Its own word for it is not repeated: an agent may put anything there.
  return SICK.has(state.status.toLowerCase())
    ? failed('agent_said_error', 'The agent says that it is not well.')
    : met('it says that it is well', { load: state.load });
}
