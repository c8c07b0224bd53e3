// Pages of messages, newest first: a thread, everything, or what has some words in it.
import { before } from './cursor.ts';
import { type Message, type MessageRow, toMessage } from './message.ts';
import { readMessages, readTold } from './message-rows.ts';
import { type Reader, rowsOf } from './reader.ts';
import { findByWords, lowered } from './words.ts';

export type MessageQuery = {
  readonly q?: string | undefined;
  readonly conversation_id?: string | undefined;
  readonly direction?: Message['direction'] | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
};
export type MessagePage = { data: Message[]; next_cursor: string | null };
/** A message on its own says whose it is. */
export type AddressedMessage = Omit<Message, 'parts'> & { our_address: string; their_address: string };

/** Messages of one conversation that a search in it looks at, per request. */
const LOOKED = 20_000;
/** How long a search for one page takes at most; where it ended the next page begins. */
const SEARCH_MS = 1_000;

type Ids = { readonly ids: readonly string[]; readonly next: string | null };

/** A page; it may hold less than `limit` while `next_cursor` is not null. Throws invalid_request for a cursor that is none. */
export async function listMessages(reader: Reader, query: MessageQuery): Promise<MessagePage> {
  const { ids, next } = await find(reader, query, before(query.cursor));
  return { data: await readMessages(reader, ids), next_cursor: next };
}

/** One message; null when there is none. */
export async function findMessage(reader: Reader, id: string): Promise<Message | null> {
  return (await readMessages(reader, [id]))[0] ?? null;
}

/** Messages of several conversations, each with its addresses. */
export async function readAddressed(reader: Reader, ids: readonly string[]): Promise<AddressedMessage[]> {
  return (await readTold(reader, ids)).map(({ row, turn, parts }) => {
    const { parts: _parts, ...message } = toMessage(row, turn, parts);
    return { ...message, ...addresses(row) };
  });
}

const addresses = ({ our_address, their_address }: MessageRow) => ({ our_address, their_address });

async function find(reader: Reader, query: MessageQuery, start: string): Promise<Ids> {
  const { q, conversation_id: conversation, direction = null, limit } = query;
  if (q === undefined) return newest(reader, query, start);
  const words = await lowered(reader, q);
  if (words === null) return { ids: [], next: null };
  if (conversation !== undefined) return inConversation(reader, { words, conversation, direction, limit }, start);
  const { ids, searchedTo } = await findByWords(reader, { words, before: start, direction, limit, ms: SEARCH_MS });
  return { ids, next: searchedTo };
}

async function newest(reader: Reader, query: MessageQuery, start: string): Promise<Ids> {
  const { sql } = reader;
  const { conversation_id: conversation, direction, limit } = query;
  const rows = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select m.id from messages m
      where m.id < ${start}
        ${conversation === undefined ? sql`` : sql`and m.conversation_id = ${conversation}`}
        ${direction === undefined ? sql`` : sql`and m.direction = ${direction}`}
      order by m.id desc limit ${limit + 1}`,
  );
  const ids = rows.slice(0, limit).map((row) => row.id);
  return { ids, next: rows.length > limit ? ids.at(-1)! : null };
}

type InConversation = {
  readonly words: string;
  readonly conversation: string;
  readonly direction: Message['direction'] | null;
  readonly limit: number;
};

async function inConversation(reader: Reader, query: InConversation, start: string): Promise<Ids> {
  const { sql } = reader;
  const { words, conversation, direction, limit } = query;
  const of = sql`from messages m where m.conversation_id = ${conversation} and m.id < ${start} order by m.id desc`;
  const rows = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select looked.id from (select m.id, m.direction, m.body ${of} limit ${LOOKED}) looked
      where strpos(lower(looked.body), ${words}) > 0
        and (${direction}::text is null or looked.direction = ${direction})
      order by looked.id desc limit ${limit + 1}`,
  );
  const ids = rows.slice(0, limit).map((row) => row.id);
  if (rows.length > limit) return { ids, next: ids.at(-1)! };
  const [last] = await rowsOf(reader, sql<{ id: string }[]>`select m.id ${of} offset ${LOOKED - 1} limit 1`);
  return { ids, next: last?.id ?? null };
}
