// What the page of an agent shows: how it did, what it was asked, whom it answers; and a conversation with it.
import { z } from 'zod';
import { failoverReason, id, PageQuery, page, storableText, time } from './basics.ts';
import { Exchange } from './path.ts';

export const HealthQuery = z.strictObject({ window: z.enum(['2h', '24h']).default('2h') });
export const AgentHealth = z.object({
  window: z.enum(['2h', '24h']),
  step_ms: z.number().int(),
  /** Oldest first; the last step is not over. */
  points: z.array(
    z.object({
      at: time,
      calls: z.number().int(),
      failures: z.number().int(),
      /** Of the calls that were answered; null: there was none. */
      p50_ms: z.number().nullable(),
      p95_ms: z.number().nullable(),
      p99_ms: z.number().nullable(),
      /** At the end of the step; null: not known. */
      health_score: z.number().int().nullable(),
      status: z.enum(['registered', 'active', 'degraded', 'disabled', 'deactivated']).nullable(),
    }),
  ),
});

export const ExchangesQuery = PageQuery.extend({ outcome: z.enum(['failed']).optional() });
export const AgentExchange = z.object({
  conversation_id: id,
  /** The first text that was answered by it; null: a replay, or the text is kept no longer. */
  message_id: id.nullable(),
  their_address: z.string(),
  is_replay: z.boolean(),
  started_at: time,
  duration_ms: z.number(),
  exchange: Exchange,
});
export const AgentExchangePage = page(AgentExchange).extend({
  /** Only so far back was looked; the next page goes on there. */
  searched_back_to: time.nullable(),
});

export const AgentSession = z.object({
  id,
  conversation_id: id,
  channel: z.string(),
  our_address: z.string(),
  their_address: z.string(),
  started_at: time,
  last_active_at: time,
  failovers: z.number().int(),
  last_failover_reason: failoverReason,
});
export const AgentSessionPage = page(AgentSession);

export const ChatBody = z.strictObject({
  message: storableText(1_600).min(1),
  /** What was said before, oldest first. */
  history: z
    .array(z.strictObject({ role: z.enum(['user', 'assistant']), content: storableText(20_000), timestamp: time }))
    .max(100)
    .default([]),
  /** Of the answer before; without one it is a new conversation. */
  session_id: id.optional(),
});
export const AgentChat = z.object({
  session_id: id,
  outcome: z.enum(['reply', 'deferred', 'failed']),
  reply: z.object({ text: z.string(), media_urls: z.array(z.string()), end_session: z.boolean() }).nullable(),
  /** Why the agent gave none; its code is the one that a text would meet. */
  error: z.object({ code: z.string(), reason: z.string() }).nullable(),
  duration_ms: z.number(),
  /** The call as it went over the wire; null: there was none. */
  exchange: Exchange.nullable(),
});

export type AgentHealth = z.infer<typeof AgentHealth>;
export type AgentExchange = z.infer<typeof AgentExchange>;
export type AgentExchangePage = z.infer<typeof AgentExchangePage>;
export type AgentSession = z.infer<typeof AgentSession>;
export type AgentSessionPage = z.infer<typeof AgentSessionPage>;
export type AgentChat = z.infer<typeof AgentChat>;
