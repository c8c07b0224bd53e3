// What an agent is told over the envelope without being asked anything.
import type { Dispatcher } from 'undici';
import { now } from '../../clock.ts';
import { signWebhook } from '../../security/standard-webhooks.ts';
import { type Approach, signingSecretsOf } from '../agent.ts';
import { exchange, type Failed, failureOfStatus } from './wire.ts';

export type Notice = {
  readonly type: 'session.start' | 'session.end';
  /** The same when it is told again. */
  readonly messageId: string;
  readonly payload: Readonly<Record<string, string>>;
};

/** Tells an agent something, signed as its questions are; what it answers is not looked at. Null: it took it (2xx). Never throws. */
export async function notifyEnvelope(approach: Approach, http: Dispatcher, notice: Notice): Promise<Failed | null> {
  const { agent } = approach;
  const { type, messageId, payload } = notice;
  const body = JSON.stringify({ type, message_id: messageId, timestamp: now().toISOString(), payload });
  const headers = { ...signWebhook(signingSecretsOf(agent), messageId, now(), body) };
  const { answer } = await exchange(approach, http, new URL(agent.endpointUrl), headers, body);
  return 'kind' in answer ? answer : failureOfStatus(answer, now());
}
