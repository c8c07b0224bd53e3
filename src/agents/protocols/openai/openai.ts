// Agents behind an OpenAI-compatible endpoint.
import type { Dispatcher } from 'undici';
import type { AgentCall, AgentResult } from '../../agent.ts';
import { settingsOf } from './api.ts';
import { callChatCompletions } from './chat-completions.ts';
import { callResponses } from './responses.ts';

/** Asks the endpoint over the API that its agent was registered with. Never throws. */
export function callOpenai(call: AgentCall, http: Dispatcher): Promise<AgentResult> {
  const settings = settingsOf(call.agent);
  const ask = settings.api === 'responses' ? callResponses : callChatCompletions;
  return ask(call, http, settings);
}
