// POST and DELETE /v1/conversations/{id}/takeover: an operator takes a conversation out of the agent's hands, and gives it back.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Sql } from '../../database/pools.ts';
import { handBack, type OperatorPolicy, takeOver } from '../../inbox/takeover.ts';
import { Takeover } from '../contract/conversations.ts';
import { route } from '../routes.ts';

export type TakeoverDeps = { readonly sql: Sql; readonly operatorPolicy: OperatorPolicy };

const params = z.object({ id: z.uuid() });

export function takeoverRoutes(app: FastifyInstance, { sql, operatorPolicy }: TakeoverDeps): void {
  route(app, {
    method: 'POST',
    path: '/v1/conversations/:id/takeover',
    summary: 'Take a conversation over',
    description:
      'The agent stays silent and an answer in the making is cancelled; texts are stored and wait for the operator. It ends by itself ' +
      'when the operator has done nothing until `until`. Taken over again by the same operator it lasts longer.',
    tag: 'operators',
    scope: 'write',
    params,
    answers: { 200: Takeover },
    errors: ['conversation_taken'],
    handle: ({ params: { id }, principal }) =>
      takeOver(sql, { conversationId: id, by: principal.name }, operatorPolicy),
  });

  route(app, {
    method: 'DELETE',
    path: '/v1/conversations/:id/takeover',
    summary: 'Hand a conversation back to its agent',
    description: 'The agent answers what still waits, and sees what was said by hand.',
    tag: 'operators',
    scope: 'write',
    params,
    answers: { 204: null },
    errors: ['conversation_taken', 'not_taken_over'],
    handle: async ({ params: { id }, principal }) => {
      await handBack(sql, { conversationId: id, by: principal.name });
      return undefined;
    },
  });
}
