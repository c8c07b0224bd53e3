// Conversations and their messages.
import { z } from 'zod';
import { AgentRef } from './access.ts';
import { failoverReason, id, PageQuery, page, time } from './basics.ts';

export const MESSAGE_STATES = [
  // in
  'pending',
  'held',
  'in_turn',
  'answered',
  'deferred',
  'fell_back',
  'cancelled',
  'lost',
  'refused',
  'handled',
  'with_operator',
  // out
  'queued',
  'sending',
  'unknown',
  'accepted',
  'sent',
  'delivered',
  'read',
  'failed',
  'undelivered',
  'void',
] as const;
export const MessageState = z.enum(MESSAGE_STATES);
export const MessageKind = z.enum([
  'text',
  'keyword',
  'reply',
  'fallback',
  'notice',
  'proactive',
  'holding',
  'operator',
]);
export const Direction = z.enum(['in', 'out']);

/** An operator answers by hand; the agent stays silent until then, or until it is handed back. */
export const Takeover = z.object({ by: z.string(), since: time, until: time });

export const ConversationState = z.enum([
  'answering',
  'waiting',
  'held',
  // The agent said 202: its answer is still to come.
  'deferred',
  'taken_over',
  'opted_out',
  'idle',
]);

export const Conversation = z.object({
  id,
  channel: z.enum(['sms', 'mms', 'whatsapp', 'webchat']),
  our_address: z.string(),
  their_address: z.string(),
  state: ConversationState,
  /** Texts that wait for an answer. */
  waiting: z.number().int(),
  agent: AgentRef.nullable(),
  takeover: Takeover.nullable(),
  last_message: z
    .object({
      id,
      at: time,
      direction: Direction,
      kind: MessageKind,
      /** The first 160 characters. */
      preview: z.string(),
      media: z.number().int(),
      state: MessageState,
    })
    .nullable(),
});

export const ConversationQuery = PageQuery.extend({
  state: z
    .enum(['waiting', 'failed', 'fell_back', 'undelivered', 'unknown', 'held', 'taken_over', 'opted_out'])
    .optional()
    .meta({
      description:
        '`fell_back`: nobody could answer the last texts; `undelivered`: something of what was said last did not arrive; `failed`: either; ' +
        '`unknown`: the carrier has not said whether it took something. With `since` or `until` all that happened in that time counts, not only the last.',
    }),
  since: z
    .string()
    .max(40)
    .optional()
    .meta({
      description:
        'A moment (`2026-11-25T10:00:00Z`) or how far back (`15m`, `1h`, `24h`, `7d`): what went wrong or was slow since then; with another ' +
        '`state`, or with none, conversations that have a text since then.',
    }),
  until: z.string().max(40).optional().meta({ description: 'The same: before when.' }),
  slower_than: z.coerce
    .number()
    .int()
    .min(1)
    .max(604_800_000)
    .optional()
    .meta({
      description:
        'Milliseconds: an answer took longer, from the first text of its burst to the commit of the answer. The last one, or with `since` or ' +
        '`until` any of that time.',
    }),
  number: z.string().max(80).optional(),
  agent: id.optional(),
  /** Part of the person's number. */
  phone: z.string().max(80).optional(),
});
/** A page may hold fewer than `limit` while `next_cursor` is not null: it looked as far back as one request may. */
export const ConversationPage = page(Conversation).extend({ searched_back_to: time.nullable() });

export const ConversationDetail = Conversation.extend({
  created_at: time,
  session: z
    .object({
      id,
      started_at: time,
      last_active_at: time,
      is_active: z.boolean(),
      failovers: z.number().int(),
      last_failover_reason: failoverReason,
    })
    .nullable(),
});

export const Part = z.object({
  id,
  position: z.number().int(),
  body: z.string(),
  media_urls: z.array(z.string()),
  segments: z.number().int(),
  state: MessageState,
  attempts: z.number().int(),
  provider_id: z.string().nullable(),
  error_code: z.string().nullable(),
  /** What the carrier's code means, in words. */
  error_reason: z.string().nullable(),
  send_at: time,
  sending_at: time.nullable(),
  accepted_at: time.nullable(),
  sent_at: time.nullable(),
  ended_at: time.nullable(),
});

export const TurnRef = z.object({
  id,
  state: z.enum(['running', 'replied', 'deferred', 'fell_back', 'cancelled', 'lost']),
  agent: AgentRef.nullable(),
  attempts: z.number().int(),
  error_code: z.string().nullable(),
  started_at: time,
  ended_at: time.nullable(),
});

export const Message = z.object({
  id,
  at: time,
  conversation_id: id,
  direction: Direction,
  kind: MessageKind,
  body: z.string(),
  /** A picture that a person sent is fetched through us, under `url`. */
  media: z.array(z.object({ content_type: z.string(), url: z.string() })),
  state: MessageState,
  /** Why a text was refused: a code, and what it means, to go on after “because”. */
  reason: z.string().nullable(),
  reason_text: z.string().nullable(),
  provider_id: z.string().nullable(),
  /** The turn that answers a text, or that a reply comes from. */
  turn: TurnRef.nullable(),
  /** Of what goes out. */
  parts: z.array(Part),
});
/** Newest first. */
export const MessagePage = page(Message);
/** A message on its own says whose it is. */
export const FoundMessage = Message.extend({ our_address: z.string(), their_address: z.string() });
/** `searched`: what was looked through for `q`, in words; `searched_back_to`: a page that is not full looked no further back. */
export const FoundMessagePage = page(FoundMessage).extend({
  searched: z.array(z.string()),
  searched_back_to: time.nullable(),
});
export const MessageQuery = PageQuery.extend({
  q: z
    .string()
    .min(2)
    .max(200)
    .optional()
    .meta({
      description:
        'Words of the text. Without `conversation_id` also an id of a message, a turn, a part, an exchange or the carrier’s, or the ' +
        'error code that a turn or something that was sent ended with.',
    }),
  conversation_id: id.optional(),
  direction: Direction.optional(),
});

export const SearchQuery = z.strictObject({ q: z.string().min(2).max(200) });
export const SearchResult = z.object({
  conversations: z.array(Conversation),
  messages: z.array(FoundMessage.omit({ parts: true })),
  agents: z.array(AgentRef),
  /** What was looked through, in words, for a search that found nothing. */
  searched: z.array(z.string()),
});

export type MessageState = z.infer<typeof MessageState>;
export type MessageKind = z.infer<typeof MessageKind>;
export type Conversation = z.infer<typeof Conversation>;
export type ConversationState = z.infer<typeof ConversationState>;
export type ConversationPage = z.infer<typeof ConversationPage>;
export type ConversationDetail = z.infer<typeof ConversationDetail>;
export type ConversationQuery = z.infer<typeof ConversationQuery>;
export type Takeover = z.infer<typeof Takeover>;
export type Part = z.infer<typeof Part>;
export type TurnRef = z.infer<typeof TurnRef>;
export type Message = z.infer<typeof Message>;
export type MessagePage = z.infer<typeof MessagePage>;
export type FoundMessage = z.infer<typeof FoundMessage>;
export type FoundMessagePage = z.infer<typeof FoundMessagePage>;
export type SearchResult = z.infer<typeof SearchResult>;
