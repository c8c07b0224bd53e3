import type { Dispatcher } from 'undici';
import type { Approach, Protocol } from './agent.ts';
import { meetEnvelope } from './protocols/envelope-meeting.ts';
import type { About, Meeting } from './protocols/meeting.ts';
import { meetOpenai } from './protocols/openai/meeting.ts';
import { meetWebhook } from './protocols/webhook-meeting.ts';

/**
 * Meets an agent over its protocol without giving it any work. No retry, never throws, counts for nobody's health: what follows
 * from it is for those who ask.
 */
export type Meet = (approach: Approach, about: About) => Promise<Meeting>;

/** Meets agents through `http`. */
export function createMeet(http: Dispatcher): Meet {
  const meetings: Readonly<Record<Protocol, Meet>> = {
    envelope: (approach, about) => meetEnvelope(approach, http, about),
    openai: (approach) => meetOpenai(approach, http),
    // With their libraries, as in invoke.ts.
    mcp: async (approach, about) => (await import('./protocols/mcp/meeting.ts')).meetMcp(approach, http, about),
    a2a: async (approach) => (await import('./protocols/a2a/meeting.ts')).meetA2a(approach, http),
    webhook: (approach, about) => meetWebhook(approach, http, about),
  };
  return (approach, about) => meetings[approach.agent.protocol](approach, about);
}
