// Agents behind an OpenAI-compatible endpoint.
import type { Dispatcher } from 'undici';
import type { AgentCall, AgentResult } from '../../agent.ts';
import type { AgentMemory } from '../memory.ts';
import { settingsOf } from './api.ts';
import { callChatCompletions, type TokensField } from './chat-completions.ts';
import { callResponses } from './responses.ts';

/** Asks the endpoint over the API that its agent was registered with. Never throws. */
export function callOpenai(
  call: AgentCall,
  http: Dispatcher,
  tokensFields: AgentMemory<TokensField>,
): Promise<AgentResult> {
  const settings = settingsOf(call.agent);
  return settings.api === 'responses'
    ? callResponses(call, http, settings)
    : callChatCompletions(call, http, settings, tokensFields);
}
