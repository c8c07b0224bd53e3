// Agents behind an OpenAI-compatible endpoint.
import type { Dispatcher } from 'undici';
import type { AgentCall, AgentResult } from '../../agent.ts';
import { type Finding, type Probing, probeWithGet } from '../probing.ts';
import { settingsOf, urlOf } from './api.ts';
import { callChatCompletions } from './chat-completions.ts';
import { callResponses } from './responses.ts';

/** Asks the endpoint over the API that its agent was registered with. Never throws. */
export function callOpenai(call: AgentCall, http: Dispatcher): Promise<AgentResult> {
  const settings = settingsOf(call);
  const ask = settings.api === 'responses' ? callResponses : callChatCompletions;
  return ask(call, http, settings);
}

/** The list of models: every such endpoint that has one answers it without thinking. */
export function probeOpenai(probing: Probing): Promise<Finding> {
  return probeWithGet(
    probing,
    urlOf(probing.agent.endpointUrl.replace(/\/(?:chat\/completions|responses)\/?$/, ''), '/models'),
  );
}
