// What an operator does.
import { z } from 'zod';
import { AgentRef } from './access.ts';
import { id, storableText, time } from './basics.ts';
import { Exchange } from './path.ts';

export const Accepted = z.object({ id, status: z.literal('queued') });

export const ReplayBody = z.strictObject({
  /** Instead of what the person wrote. */
  text: storableText(1600).min(1).optional(),
  /** Instead of the agent that was asked. */
  agent_id: id.optional(),
});
export const Replay = z.object({
  id,
  turn_id: id,
  conversation_id: id,
  created_at: time,
  text: z.string(),
  is_edited: z.boolean(),
  agent: AgentRef,
  state: z.enum(['queued', 'running', 'answered', 'failed']),
  /** What would be sent: the words, and where its pictures are. */
  reply: z.object({ text: z.string(), segments: z.number().int(), media_urls: z.array(z.string()) }).nullable(),
  error_code: z.string().nullable(),
  duration_ms: z.number().nullable(),
  exchange: Exchange.nullable(),
  /** The message it became, when an operator sent it. */
  sent_message_id: id.nullable(),
});
export const ReplayList = z.object({ data: z.array(Replay) });
/** With a real carrier `confirm` must be the person's number, typed by somebody who means it. */
export const SendReplayBody = z.strictObject({ confirm: z.string().max(80).optional() });

export type Replay = z.infer<typeof Replay>;
export type ReplayList = z.infer<typeof ReplayList>;
