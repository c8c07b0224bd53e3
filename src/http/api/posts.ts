// POST /v1/conversations/{id}/messages: an agent posts its late reply, or a text of its own, to its session's person; an
// operator answers by hand.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { TextPolicy } from '../../bridge/not-before.ts';
import { postMessage } from '../../bridge/posts.ts';
import type { Sql } from '../../database/pools.ts';
import { DarkspereError } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import { type OperatorPolicy, sendAsOperator } from '../../inbox/takeover.ts';
import { storableText } from '../contract/basics.ts';
import { Accepted } from '../contract/operator.ts';
import { route } from '../routes.ts';

const MAX_TEXT = 20_000;
/** An operator sees what is sent, so it is one message at most: Twilio takes 1,600 characters. */
const MAX_OPERATOR_TEXT = 1_600;
const MAX_MEDIA = 10;

const body = z.strictObject({
  text: storableText(MAX_TEXT).min(1),
  in_reply_to: z.uuid().optional().meta({ description: 'Agents only: the message_id of the request this answers.' }),
  media: z
    // Normalised: the text as it came may hold a NUL, which no database takes.
    .array(z.url({ protocol: /^https$/, normalize: true }).max(2_000))
    .max(MAX_MEDIA)
    .default([])
    .meta({ description: 'Agents only: addresses of pictures.' }),
});

export type PostDeps = {
  readonly sql: Sql;
  readonly policy: TextPolicy;
  readonly operatorPolicy: OperatorPolicy;
};

export function postRoutes(app: FastifyInstance, deps: PostDeps): void {
  route(app, {
    method: 'POST',
    path: '/v1/conversations/:id/messages',
    summary: 'Send a text to the person of a conversation',
    description:
      'With the key of an agent: the late answer to a text (`in_reply_to`), or a text of the agent’s own, within the budget of its session and not in the quiet hours. ' +
      'As an operator: an answer by hand; the agent stays silent until the conversation is handed back. ' +
      'A repeat with the same `Idempotency-Key` header sends nothing and gives the first answer again, with 200; other words under it are refused.',
    tag: 'conversations',
    scope: 'write',
    agents: true,
    // An id that is none looks like a conversation of somebody else.
    params: z.object({ id: z.string().meta({ format: 'uuid' }) }),
    body,
    answers: { 200: Accepted, 201: Accepted },
    errors: [
      'turn_closed',
      'conversation_taken',
      'not_taken_over',
      'opted_out',
      'send_budget_spent',
      'sender_busy',
      'quiet_hours',
      'conflict',
      'idempotency_key_reused',
    ],
    handle: async ({ params: { id }, body: { text, in_reply_to, media }, principal, request, reply }) => {
      const idempotencyKey = idempotencyKeyOf(request);
      if (principal.kind !== 'agent') {
        refuseAgentFields(in_reply_to, media, text);
        if (!isUuid(id)) throw new DarkspereError('not_found', 'There is no conversation with this id.');
        const sent = await sendAsOperator(
          deps.sql,
          { conversationId: id, by: principal.name, text, idempotencyKey },
          deps.operatorPolicy,
        );
        reply.code(sent.isNew ? 201 : 200);
        return { id: sent.messageId, status: 'queued' as const };
      }
      if (!isUuid(id)) {
        throw new DarkspereError(
          'not_found',
          'There is no conversation with this id in which your agent has a session.',
        );
      }
      const post = {
        agentId: principal.id,
        conversationId: id,
        inReplyTo: in_reply_to ?? null,
        text,
        mediaUrls: media,
      };
      const { messageId, isNew } = await postMessage(deps.sql, { ...post, idempotencyKey }, deps.policy);
      reply.code(isNew ? 201 : 200);
      return { id: messageId, status: 'queued' as const };
    },
  });
}

function refuseAgentFields(inReplyTo: string | undefined, media: readonly string[], text: string): void {
  const refuse = (param: string, why: string) => new DarkspereError('invalid_request', `${param} ${why}`, { param });
  if (inReplyTo !== undefined) throw refuse('in_reply_to', 'is for agents: an operator’s text answers what is there.');
  if (media.length > 0) throw refuse('media', 'is for agents: operators send texts.');
  if (text.length > MAX_OPERATOR_TEXT) throw refuse('text', `must have at most ${MAX_OPERATOR_TEXT} characters.`);
}

function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,200}$/.test(key)) return key;
  throw new DarkspereError('invalid_request', 'Idempotency-Key: 1 to 200 visible ASCII characters.', {
    param: 'Idempotency-Key',
  });
}
