// One box for everything: a person's number, words, an id of ours or of the carrier's, an agent, an error code. What the query
// can be is told from its shape, and each kind is looked for where an index finds it.
import { type Conversation, listed, readConversations } from './conversation.ts';
import { conversationsOf } from './conversation-filter.ts';
import { NEWEST, timeOf } from './cursor.ts';
import type { AgentRef } from './message.ts';
import { type AddressedMessage, readAddressed } from './messages.ts';
import { type Reader, rowsOf } from './reader.ts';
import { conversationsById, messagesByErrorCode, messagesById, messagesByProviderId } from './search-ids.ts';
import { findByWords, lowered } from './words.ts';

export type SearchResult = {
  conversations: Conversation[];
  messages: AddressedMessage[];
  agents: AgentRef[];
  searched: string[];
};

/** Of each kind. */
const MOST = 20;
const SEARCH_MS = 2_000;

/** What a query can be, by its shape; of several each is looked for. */
export type Shape = {
  /** Part of a phone number, digits only. */
  readonly digits: string | null;
  readonly uuid: string | null;
  readonly providerId: string | null;
  readonly errorCode: string | null;
};

export function shapeOf(query: string): Shape {
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
    messageIds(reader, shape),
    findAgents(reader, words, shape.uuid),
  ]);
  const ids = [...new Set([...idsOf, ...byWords.ids])].sort().reverse().slice(0, MOST);
  const conversations = await readConversations(reader, [...new Set([...byId, ...byNumber])].slice(0, MOST));
  return {
    conversations: conversations.map(listed).sort(byActivity),
    messages: await readAddressed(reader, ids),
    // An array of its own: rows carry more than they show.
    agents: [...agents],
    searched: searchedOf(shape, byWords.ids.length < MOST ? byWords.searchedTo : null),
  };
}

async function messageIds(reader: Reader, shape: Shape): Promise<string[]> {
  const found = await Promise.all([
    shape.uuid === null ? [] : messagesById(reader, shape.uuid, MOST),
    shape.providerId === null ? [] : messagesByProviderId(reader, shape.providerId),
    shape.errorCode === null ? [] : messagesByErrorCode(reader, shape.errorCode, MOST),
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

function searchedOf(shape: Shape, searchedTo: string | null): string[] {
  return [
    searchedTo === null ? 'the words of all texts' : `the words of texts since ${timeOf(searchedTo)}`,
    ...(shape.digits === null ? [] : ['people’s numbers']),
    ...(shape.uuid === null ? [] : ['ids of conversations, sessions, messages, turns, parts, exchanges and agents']),
    ...(shape.providerId === null ? [] : ['the carrier’s message ids']),
    ...(shape.errorCode === null ? [] : ['error codes']),
    'agents’ names',
  ];
}
