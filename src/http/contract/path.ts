// The path of one message through us.
import { z } from 'zod';
import { id, time } from './basics.ts';
import { Conversation, Message } from './conversations.ts';

export const Exchange = z.object({
  id,
  // Nothing writes `find`: it was promised, and what clients may meet only grows.
  kind: z.enum(['agent', 'send', 'find']),
  attempt: z.number().int(),
  target: z.string(),
  http_status: z.number().int().nullable(),
  outcome: z.string(),
  error_code: z.string().nullable(),
  request: z.string(),
  response: z.string(),
  /** Its answer came when the turn was decided already. */
  late: z.boolean(),
  /** The same request for a terminal; secrets are `$VARIABLES`. */
  curl: z.string(),
});

export const Span = z.object({
  id: z.string(),
  kind: z.enum(['webhook', 'wait', 'turn', 'agent', 'commit', 'pace', 'send', 'find', 'carrier', 'callback']),
  name: z.string(),
  /** Waiting is drawn apart from work; a point has no length. */
  shape: z.enum(['work', 'wait', 'point']),
  started_at: time,
  /** Null while it goes on. */
  ended_at: time.nullable(),
  outcome: z.enum(['ok', 'failed', 'running', 'unknown']),
  /** One line: what happened, why it was waited. */
  note: z.string().nullable(),
  exchange: Exchange.nullable(),
});

export const MessagePath = z.object({
  message: Message,
  conversation: Conversation,
  /** The texts of the burst and what answered them, in order. */
  related: z.array(Message),
  spans: z.array(Span),
  /** From the first span to the last, milliseconds; null while it goes on. */
  total_ms: z.number().nullable(),
});

export type Exchange = z.infer<typeof Exchange>;
export type Span = z.infer<typeof Span>;
export type MessagePath = z.infer<typeof MessagePath>;
