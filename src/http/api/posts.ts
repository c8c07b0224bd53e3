// POST /v1/conversations/{id}/messages: an agent posts its late reply, or a text of its own, to its session's person.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { findAgentByKey } from '../../agents/registry.ts';
import { type PostPolicy, postMessage } from '../../bridge/posts.ts';
import type { Sql } from '../../database/pools.ts';
import { DarkspereError } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import { bearerOf } from '../bearer.ts';
import { isStorableText, parseBody } from '../body.ts';

const MAX_TEXT = 20_000;
const MAX_MEDIA = 10;

const body = z.strictObject({
  text: z.string().min(1).max(MAX_TEXT).refine(isStorableText, 'must not contain NUL or lone surrogates'),
  in_reply_to: z.uuid().optional(),
  media: z
    // Normalised: the text as it came may hold a NUL, which no database takes.
    .array(z.url({ protocol: /^https$/, normalize: true }).max(2_000))
    .max(MAX_MEDIA)
    .default([]),
});

export function postRoutes(app: FastifyInstance, deps: { sql: Sql; policy: PostPolicy }): void {
  app.post<{ Params: { id: string } }>('/v1/conversations/:id/messages', async (request, reply) => {
    const agent = await findAgentByKey(deps.sql, bearerOf(request));
    if (!agent) throw new DarkspereError('agent_key_invalid');
    if (!isUuid(request.params.id)) {
      throw new DarkspereError('not_found', 'There is no conversation with this id in which your agent has a session.');
    }
    const { text, in_reply_to, media } = parseBody(body, request.body);
    const { messageId, isNew } = await postMessage(
      deps.sql,
      {
        agentId: agent.id,
        conversationId: request.params.id,
        inReplyTo: in_reply_to ?? null,
        text,
        mediaUrls: media,
        idempotencyKey: idempotencyKeyOf(request),
      },
      deps.policy,
    ).catch((error: unknown) => {
      if (error instanceof DarkspereError && error.code === 'sender_busy') {
        reply.header('retry-after', String(error.facts.retryAfterSeconds));
      }
      throw error;
    });
    return reply.code(isNew ? 201 : 200).send({ id: messageId, status: 'queued' });
  });
}

function idempotencyKeyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,200}$/.test(key)) return key;
  throw new DarkspereError('invalid_request', 'Idempotency-Key: 1 to 200 visible ASCII characters.', {
    param: 'Idempotency-Key',
  });
}
