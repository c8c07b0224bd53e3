// GET /v1/conversations and what hangs on one: who texts which of our numbers, and what was said.
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { DarkspereError } from '../../errors.ts';
import { findConversation } from '../../inbox/conversation.ts';
import { listConversations } from '../../inbox/conversation-list.ts';
import { listMessages } from '../../inbox/messages.ts';
import type { Reader } from '../../inbox/reader.ts';
import { PageQuery } from '../contract/basics.ts';
import { ConversationDetail, ConversationPage, ConversationQuery, MessagePage } from '../contract/conversations.ts';
import { route } from '../routes.ts';

export type ReaderDeps = { readonly reader: Omit<Reader, 'signal'> };

const params = z.object({ id: z.uuid() });

/** The reader of one request: what it asks of the database ends when the client has gone. */
export function readerOf({ reader }: ReaderDeps, { raw }: FastifyReply): Reader {
  const gone = new AbortController();
  // Who left while the key was looked up is not told of any more.
  if (raw.destroyed) gone.abort();
  // Comes after the last byte of an answer too: then there is nothing left to end.
  raw.once('close', () => gone.abort());
  return { ...reader, signal: gone.signal };
}

export function conversationRoutes(app: FastifyInstance, deps: ReaderDeps): void {
  route(app, {
    method: 'GET',
    path: '/v1/conversations',
    summary: 'Conversations, newest activity first',
    description:
      'A page may hold fewer than `limit` while `next_cursor` is not null: one request looks only so far back, and `searched_back_to` says how far.',
    tag: 'conversations',
    scope: 'read',
    query: ConversationQuery,
    answers: { 200: ConversationPage },
    errors: ['query_too_slow'],
    handle: ({ query, reply }) => listConversations(readerOf(deps, reply), query),
  });

  route(app, {
    method: 'GET',
    path: '/v1/conversations/:id',
    summary: 'One conversation',
    tag: 'conversations',
    scope: 'read',
    params,
    answers: { 200: ConversationDetail },
    errors: ['query_too_slow'],
    handle: ({ params: { id }, reply }) => existing(readerOf(deps, reply), id),
  });

  route(app, {
    method: 'GET',
    path: '/v1/conversations/:id/messages',
    summary: 'The messages of a conversation, newest first',
    tag: 'conversations',
    scope: 'read',
    params,
    query: PageQuery,
    answers: { 200: MessagePage },
    errors: ['query_too_slow'],
    handle: async ({ params: { id }, query, reply }) => {
      const reader = readerOf(deps, reply);
      const page = await listMessages(reader, { ...query, conversation_id: id });
      // An empty page of a conversation that is there is not the same as no conversation.
      if (page.data.length === 0) await existing(reader, id);
      return page;
    },
  });
}

async function existing(reader: Reader, id: string) {
  const found = await findConversation(reader, id);
  if (!found) throw new DarkspereError('not_found', 'There is no conversation with this id.');
  return found;
}
