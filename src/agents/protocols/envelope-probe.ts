// `health.check` → `health.status`.
import { z } from 'zod';
import { now } from '../../clock.ts';
import { newId } from '../../ids.ts';
import { postJson } from '../../security/post-json.ts';
import { signWebhook } from '../../security/standard-webhooks.ts';
import { down, type Finding, findingOf, findingOfStatus, type Probing, UNKNOWN } from './probing.ts';
import { parseJson } from './wire.ts';

const healthStatus = z.object({
  type: z.literal('health.status'),
  payload: z.object({ status: z.string(), load: z.number().min(0).max(1).nullish().catch(null) }),
});

/** Words with which an agent says that it should not be asked. */
const SICK = new Set(['unhealthy', 'down', 'error', 'failing', 'draining', 'stopping']);

/** Asks an `envelope` agent how it is. One that does not know the question lives all the same. */
export async function probeEnvelope({ agent, http, deadlines, signal }: Probing): Promise<Finding> {
  const id = newId();
  const body = JSON.stringify({ type: 'health.check', message_id: id, timestamp: now().toISOString(), payload: {} });
  try {
    const answer = await postJson(http, new URL(agent.endpointUrl), {
      headers: { ...signWebhook(agent.signingSecret, id, now(), body) },
      body,
      deadlines,
      signal,
    });
    const byStatus = findingOfStatus(answer.status, answer.headers);
    if (byStatus !== null) return byStatus;
    const said = healthStatus.safeParse(parseJson(answer.bytes)?.value);
    if (!said.success) return UNKNOWN;
    const { status, load = null } = said.data.payload;
    return SICK.has(status.toLowerCase())
      ? down('agent_said_error')
      : { outcome: 'up', code: null, load: load ?? null };
  } catch (error) {
    return findingOf(error);
  }
}
