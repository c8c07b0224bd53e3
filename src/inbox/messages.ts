// Pages of messages, newest first: a thread, everything, or what has some words in it within a thread.
import { before } from './cursor.ts';
import { type Message, toMessage } from './message.ts';
import { readMessages, readTold } from './message-rows.ts';
import { type Reader, rowsOf } from './reader.ts';
import { lowered } from './words.ts';

export type MessageQuery = {
  readonly conversation_id?: string | undefined;
  readonly direction?: Message['direction'] | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
};
type InConversation = MessageQuery & { readonly q: string; readonly conversation_id: string };
export type MessagePage = { data: AddressedMessage[]; next_cursor: string | null };
/** A message on its own says whose it is. */
export type AddressedMessage = Message & { our_address: string; their_address: string };

/** Messages of one conversation that a search in it looks at, per request. */
const LOOKED = 20_000;

/** A page. Throws invalid_request for a cursor that is none. */
export async function listMessages(reader: Reader, query: MessageQuery): Promise<MessagePage> {
  const { sql } = reader;
  const { conversation_id: conversation, direction, limit } = query;
  const rows = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select m.id from messages m
      where m.id < ${before(query.cursor)}
        ${conversation === undefined ? sql`` : sql`and m.conversation_id = ${conversation}`}
        ${direction === undefined ? sql`` : sql`and m.direction = ${direction}`}
      order by m.id desc limit ${limit + 1}`,
  );
  const ids = rows.slice(0, limit).map((row) => row.id);
  return { data: await readAddressed(reader, ids), next_cursor: rows.length > limit ? ids.at(-1)! : null };
}

/**
 * A page of what has these words in one conversation; it may hold less than `limit` while `next_cursor` is not null. Throws
 * invalid_request for a cursor that is none.
 */
export async function findInConversation(
  reader: Reader,
  { q, conversation_id: conversation, direction, cursor, limit }: InConversation,
): Promise<MessagePage> {
  const { sql } = reader;
  const start = before(cursor);
  const words = await lowered(reader, q);
  if (words === null) return { data: [], next_cursor: null };
  const of = sql`from messages m where m.conversation_id = ${conversation} and m.id < ${start} order by m.id desc`;
  const rows = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select looked.id from (select m.id, m.direction, m.body ${of} limit ${LOOKED}) looked
      where strpos(lower(looked.body), ${words}) > 0
        ${direction === undefined ? sql`` : sql`and looked.direction = ${direction}`}
      order by looked.id desc limit ${limit + 1}`,
  );
  const ids = rows.slice(0, limit).map((row) => row.id);
  const data = await readAddressed(reader, ids);
  if (rows.length > limit) return { data, next_cursor: ids.at(-1)! };
  const [last] = await rowsOf(reader, sql<{ id: string }[]>`select m.id ${of} offset ${LOOKED - 1} limit 1`);
  return { data, next_cursor: last?.id ?? null };
}

/** One message; null when there is none. */
export async function findMessage(reader: Reader, id: string): Promise<Message | null> {
  return (await readMessages(reader, [id]))[0] ?? null;
}

/** Messages of several conversations, each with its addresses. */
export async function readAddressed(reader: Reader, ids: readonly string[]): Promise<AddressedMessage[]> {
  return (await readTold(reader, ids)).map(({ row, turn, parts }) => {
    const { our_address, their_address } = row;
    return { ...toMessage(row, turn, parts), our_address, their_address };
  });
}
