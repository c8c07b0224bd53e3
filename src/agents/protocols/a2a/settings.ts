import { z } from 'zod';

/** What may be set per A2A agent at registration. */
export const a2aSettings = z.object({
  /** Whether an agent that takes over a conversation is told what was said so far. */
  history: z.enum(['text', 'none']).default('text'),
  /** Whether work that an agent reports may be told to the person, once per turn. */
  progress: z.enum(['tell', 'ignore']).default('tell'),
});

export type A2aSettings = z.infer<typeof a2aSettings>;
