import { z } from 'zod';
import { templateSetting } from '../template.ts';

const path = z.string().min(1).max(200);

/** What may be set per MCP agent at registration. */
export const mcpSettings = z.object({
  /** The tool to call; absent: it is found by the rules of `tool-choice.ts`. */
  tool: z.string().min(1).max(200).optional(),
  /** Its arguments, with {{names}}; absent: they are found in its schema. */
  arguments: templateSetting.optional(),
  /** Where in the result the reply is. */
  reply: path.optional(),
  /** Where in the result the handle is that names the conversation from now on. */
  conversation: path.optional(),
  era: z.enum(['auto', 'legacy', '2026-07-28']).default('auto'),
  /** Whether progress may be told to the person, once per turn. */
  progress: z.enum(['tell', 'ignore']).default('tell'),
});

export type McpSettings = z.infer<typeof mcpSettings>;
