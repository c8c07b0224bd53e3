import type { Dispatcher } from 'undici';
import type { Approach } from '../agent.ts';
import { type About, type Meeting, meetByGet, met, none } from './meeting.ts';
import { headersOf, urlOf, webhookSettings } from './webhook.ts';

/**
 * A webhook has no question but the person's: whatever is posted starts its workflow. So a GET of the address shows how
 * it is; most take POST only, which is an answer too. Never throws.
 */
export async function meetWebhook(approach: Approach, http: Dispatcher, about: About): Promise<Meeting> {
  if (about === 'capabilities') return { outcome: none('a webhook does not say what it can do'), status: null };
  const { agent } = approach;
  const { data: settings } = webhookSettings.safeParse(agent.metadata);
  const url = urlOf(agent.endpointUrl, settings?.path ?? '');
  const meeting = await meetByGet(approach, http, url, headersOf(agent, settings), async (answer) => {
    // What is in it does not matter, and may be long.
    await answer.body?.cancel();
    return met('it answers a GET');
  });
  const { outcome, status } = meeting;
  // Whoever may not GET may still POST, whoever sends browsers elsewhere too, and so may one that throws over a request without a body.
  // What stands from 502 on is a proxy's, or of a server that is not well.
  const isAboutGet = status !== null && status >= 300 && status <= 501;
  return isAboutGet && outcome.kind === 'failed' && outcome.code !== 'agent_busy'
    ? { outcome: none(`it answers a GET with ${status}`), status }
    : meeting;
}
