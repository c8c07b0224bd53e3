// GET /v1/messages: texts of all conversations, one of them, and its path; GET /v1/search: one box for everything.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { DarkspereError } from '../../errors.ts';
import { findInConversation, findMessage, listMessages } from '../../inbox/messages.ts';
import { findPath } from '../../inbox/path-rows.ts';
import type { Reader } from '../../inbox/reader.ts';
import { search, searchMessages } from '../../inbox/search.ts';
import { FoundMessagePage, Message, MessageQuery, SearchQuery, SearchResult } from '../contract/conversations.ts';
import { MessagePath } from '../contract/path.ts';
import { route } from '../routes.ts';
import { type ReaderDeps, readerOf } from './conversations.ts';

const params = z.object({ id: z.uuid() });
const NONE = 'There is no message with this id.';

export function messageRoutes(app: FastifyInstance, deps: ReaderDeps): void {
  route(app, {
    method: 'GET',
    path: '/v1/messages',
    summary: 'Messages, newest first',
    description:
      'With `q` those that have these words or are named by it. A page may hold fewer than `limit` while `next_cursor` is not null: ' +
      'one request looks only so far back, and `searched_back_to` says how far; `searched` says what was looked through.',
    tag: 'conversations',
    scope: 'read',
    query: MessageQuery,
    answers: { 200: FoundMessagePage },
    errors: ['query_too_slow'],
    handle: ({ query, reply }) => messages(readerOf(deps, reply), query),
  });

  route(app, {
    method: 'GET',
    path: '/v1/messages/:id',
    summary: 'One message, and what became of it',
    tag: 'conversations',
    scope: 'read',
    params,
    answers: { 200: Message },
    errors: ['query_too_slow'],
    handle: async ({ params: { id }, reply }) => {
      const found = await findMessage(readerOf(deps, reply), id);
      if (!found) throw new DarkspereError('not_found', NONE);
      return found;
    },
  });

  route(app, {
    method: 'GET',
    path: '/v1/messages/:id/path',
    summary: 'The path of a message through us',
    description:
      'What was done and what was waited for, in order: of a text until its answer arrived, of an answer from the first text that it answers. ' +
      'Calls to agents and to the carrier come with request and answer, without secrets; they are kept for two months.',
    tag: 'conversations',
    scope: 'read',
    params,
    answers: { 200: MessagePath },
    errors: ['query_too_slow'],
    handle: async ({ params: { id }, reply }) => {
      const found = await findPath(readerOf(deps, reply), id);
      if (!found) throw new DarkspereError('not_found', NONE);
      return found;
    },
  });

  route(app, {
    method: 'GET',
    path: '/v1/search',
    summary: 'Find a number, words, an id, an agent or an error code',
    description: '`searched` says what was looked through, also when nothing was found.',
    tag: 'conversations',
    scope: 'read',
    query: SearchQuery,
    answers: { 200: SearchResult },
    errors: ['query_too_slow'],
    handle: ({ query: { q }, reply }) => search(readerOf(deps, reply), q),
  });
}

async function messages(reader: Reader, { q, conversation_id, ...page }: z.output<typeof MessageQuery>) {
  if (q !== undefined && conversation_id === undefined) return searchMessages(reader, { ...page, q });
  const found =
    q === undefined || conversation_id === undefined
      ? await listMessages(reader, { ...page, conversation_id })
      : await findInConversation(reader, { ...page, q, conversation_id });
  return { ...found, searched: [], searched_back_to: null };
}
