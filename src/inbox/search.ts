// One box for everything: a person's number, words, an id of ours or of the carrier's, an agent, an error code. What the query
// can be is told from its shape, and each kind is looked for where an index finds it.
import { type Conversation, listed, readConversations } from './conversation.ts';
import { conversationsOf } from './conversation-filter.ts';
import { before, NEWEST, timeOf } from './cursor.ts';
import type { AgentRef, Message } from './message.ts';
import { type AddressedMessage, readAddressed } from './messages.ts';
import { type Reader, rowsOf } from './reader.ts';
import { conversationsById, messagesByErrorCode, messagesById, messagesByProviderId, type Part } from './search-ids.ts';
import { findByWords, lowered } from './words.ts';

export type SearchResult = {
  conversations: Conversation[];
  messages: Omit<AddressedMessage, 'parts'>[];
  agents: AgentRef[];
  searched: string[];
};

export type FoundQuery = {
  readonly q: string;
  readonly direction?: Message['direction'] | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
};
export type FoundPage = {
  data: AddressedMessage[];
  next_cursor: string | null;
  /** What was looked through, in words. */
  searched: string[];
  /** Set when the page may have less than it asked for, because one request looks no further back. */
  searched_back_to: string | null;
};

/** Of each kind. */
const MOST = 20;
const SEARCH_MS = 2_000;
/** How long a search for one page of messages takes at most; where it ended the next page begins. */
const PAGE_MS = 1_000;

/** What a query can be, by its shape; of several each is looked for. */
export type Shape = {
  /** Part of a phone number, digits only. */
  readonly digits: string | null;
  readonly uuid: string | null;
  readonly providerId: string | null;
  readonly errorCode: string | null;
};

function shapeOf(query: string): Shape {
  const q = query.trim();
  const digits = q.replace(/\D/g, '');
  return {
    digits: digits.length >= 3 && /^[\d\s()+./-]+$/.test(q) ? digits : null,
    uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(q) ? q.toLowerCase() : null,
    providerId: /^(?:SM|MM)[0-9a-f]{32}$/i.test(q) ? q : null,
    // The carrier's have five digits, ours are words.
    errorCode: /^(?:\d{5}|[a-z]+(?:_[a-z0-9]+)+)$/.test(q) ? q : null,
  };
}

/** What was found of each kind, newest first, twenty at most; `searched` says where it was looked for. */
export async function search(reader: Reader, query: string): Promise<SearchResult> {
  const q = query.trim();
  const shape = shapeOf(q);
  const words = await lowered(reader, q);
  if (words === null || words === '') return { conversations: [], messages: [], agents: [], searched: ['nothing'] };
  const [byWords, byNumber, byId, idsOf, agents] = await Promise.all([
    findByWords(reader, { words, before: NEWEST, direction: null, limit: MOST, ms: SEARCH_MS }),
    shape.digits === null ? [] : conversationsOf(reader, shape.digits, MOST),
    shape.uuid === null ? [] : conversationsById(reader, shape.uuid),
    messageIds(reader, shape, { before: NEWEST, most: MOST }),
    findAgents(reader, words, shape.uuid),
  ]);
  const ids = [...new Set([...idsOf, ...byWords.ids])].sort().reverse().slice(0, MOST);
  const conversations = await readConversations(reader, [...new Set([...byId, ...byNumber])].slice(0, MOST));
  const messages = await readAddressed(reader, ids);
  return {
    conversations: conversations.map(listed).sort(byActivity),
    messages: messages.map(({ parts: _parts, ...message }) => message),
    // An array of its own: rows carry more than they show.
    agents: [...agents],
    searched: [
      ...messagesSearched(shape, byWords.ids.length < MOST ? byWords.searchedTo : null),
      ...(shape.digits === null ? [] : ['people’s numbers']),
      ...(shape.uuid === null ? [] : ['ids of conversations, sessions and agents']),
      'agents’ names',
    ],
  };
}

/**
 * A page of the messages that have these words, or that the query names by an id or an error code. A page holds what is not older
 * than where its words were looked for, so that the pages together are in order. Throws invalid_request for a cursor that is none.
 */
export async function searchMessages(reader: Reader, { q, direction, cursor, limit }: FoundQuery): Promise<FoundPage> {
  const start = before(cursor);
  const shape = shapeOf(q);
  const words = await lowered(reader, q);
  if (words === null) return { data: [], next_cursor: null, searched: ['nothing'], searched_back_to: null };
  const [byWords, named] = await Promise.all([
    findByWords(reader, { words, before: start, direction: direction ?? null, limit, ms: PAGE_MS }),
    messageIds(reader, shape, { before: start, most: limit + 1 }),
  ]);
  const { searchedTo } = byWords;
  const within = named.filter((id) => id < start && (searchedTo === null || id >= searchedTo));
  const ids = [...new Set([...within, ...byWords.ids])].sort().reverse();
  const page = ids.slice(0, limit);
  const next = ids.length > limit ? page.at(-1)! : searchedTo;
  const found = await readAddressed(reader, page);
  return {
    data: found.filter((message) => direction === undefined || message.direction === direction),
    next_cursor: next,
    searched: messagesSearched(shape, next),
    searched_back_to: next === null || page.length === limit ? null : timeOf(next),
  };
}

/** Messages that the query names; of many the newest before `before`. */
async function messageIds(reader: Reader, shape: Shape, part: Part): Promise<string[]> {
  const found = await Promise.all([
    shape.uuid === null ? [] : messagesById(reader, shape.uuid, part),
    shape.providerId === null ? [] : messagesByProviderId(reader, shape.providerId),
    shape.errorCode === null ? [] : messagesByErrorCode(reader, shape.errorCode, part),
  ]);
  return found.flat();
}

function findAgents(reader: Reader, words: string, uuid: string | null): Promise<AgentRef[]> {
  const { sql } = reader;
  return rowsOf(
    reader,
    sql<AgentRef[]>`
      select id, name from agent_registry
      where (strpos(lower(name), ${words}) > 0 or id = ${uuid}) and status <> 'deactivated' order by name limit ${MOST}`,
  );
}

/** Newest activity first; who never wrote comes last. */
function byActivity(a: Conversation, b: Conversation): number {
  return (b.last_message?.id ?? '').localeCompare(a.last_message?.id ?? '', 'en');
}

/** Where messages were looked for, in words; of their words as far back as `searchedTo`, null: all. */
function messagesSearched(shape: Shape, searchedTo: string | null): string[] {
  return [
    searchedTo === null ? 'the words of all texts' : `the words of texts since ${timeOf(searchedTo)}`,
    ...(shape.uuid === null ? [] : ['ids of messages, turns, parts and exchanges']),
    ...(shape.providerId === null ? [] : ['the carrier’s message ids']),
    ...(shape.errorCode === null ? [] : ['error codes of the newest turns and sends that failed']),
  ];
}
