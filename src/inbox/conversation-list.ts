// The list of conversations, newest activity first. Nothing on the text path keeps that order: what is older than a few minutes
// stands in conversation_activity, and of what is newer a message counts when no newer one of its conversation exists.
import { type Conversation, listed, readConversations } from './conversation.ts';
import { type ConversationFilter, conditionOf, fewOf, oldestOf } from './conversation-filter.ts';
import { before, timeOf } from './cursor.ts';
import { assertForward } from './moment.ts';
import { type Reader, rowsOf } from './reader.ts';

export type ListQuery = ConversationFilter & { readonly cursor?: string | undefined; readonly limit: number };
export type ConversationPage = {
  data: Conversation[];
  next_cursor: string | null;
  /** Set when the page may have less than it asked for, because one request looks no further back. */
  searched_back_to: string | null;
};

/** How much one request does. */
export type Bounds = {
  /** Messages or conversations that are looked at in the order of the list. */
  readonly looked: number;
  /** Conversations that are looked at one by one, where a filter names them. */
  readonly few: number;
};
const BOUNDS: Bounds = { looked: 20_000, few: 1_000 };

/** A conversation by its newest message. */
type Place = { readonly id: string; readonly conversation_id: string };
type Walker = Reader & Pick<Bounds, 'looked'>;
/** `cut`: the place where the looking ended before everything was seen. */
type Found = { readonly places: readonly Place[]; readonly cut: string | null };

/**
 * A page. Its cursor is a message: what comes later does not move the pages behind it, and a conversation that becomes active
 * meanwhile is at the top of the list, not in its old place.
 * Throws invalid_request for a cursor, a phone or a `since` that is none.
 */
export async function listConversations(
  reader: Reader,
  query: ListQuery,
  bounds: Bounds = BOUNDS,
): Promise<ConversationPage> {
  assertForward(query);
  const start = before(query.cursor);
  const few = await fewOf(reader, query, bounds.few);
  const { places, cut } =
    few === null
      ? await walk({ ...reader, ...bounds }, query, start)
      : { places: await pick(reader, query, start, few), cut: null };
  const page = places.slice(0, query.limit);
  const isMore = places.length > page.length;
  const conversations = await readConversations(
    reader,
    page.map((place) => place.conversation_id),
  );
  return {
    data: conversations.map(listed),
    next_cursor: isMore ? page.at(-1)!.id : cut,
    searched_back_to: isMore || cut === null ? null : timeOf(cut),
  };
}

/** Of few conversations the newest message of each is looked up. */
async function pick(reader: Reader, query: ListQuery, start: string, few: readonly string[]): Promise<Place[]> {
  if (few.length === 0) return [];
  const { sql } = reader;
  return rowsOf(
    reader,
    sql<Place[]>`
      select last.id, c.id as conversation_id
      from unnest(${few as string[]}::uuid[]) few (id) join conversations c on c.id = few.id
      cross join lateral (select m.id from messages m where m.conversation_id = c.id order by m.id desc limit 1) last
      where last.id < ${start} and last.id >= ${oldestOf(reader, query)} and ${conditionOf(reader, query)}
      order by last.id desc limit ${query.limit + 1}`,
  );
}

async function walk(reader: Walker, query: ListQuery, start: string): Promise<Found> {
  const { sql } = reader;
  const [row] = await rowsOf(reader, sql<{ id: string }[]>`select indexed_until() as id`);
  const indexed = row!.id;
  const young = start > indexed ? await walkMessages(reader, query, start, indexed) : { places: [], cut: null };
  if (young.places.length > query.limit || young.cut !== null) return young;
  const old = await walkActivity(reader, query, start, indexed, query.limit + 1 - young.places.length);
  return { places: [...young.places, ...old.places], cut: old.cut };
}

async function walkMessages(reader: Walker, query: ListQuery, start: string, indexed: string): Promise<Found> {
  const { sql } = reader;
  const from = sql`from messages m where m.id < ${start} and m.id > ${indexed} and m.id >= ${oldestOf(reader, query)}`;
  const places = await rowsOf(
    reader,
    sql<Place[]>`
      select looked.id, looked.conversation_id
      from (
        select m.id, m.conversation_id ${from} order by m.id desc limit ${reader.looked}
      ) looked
      join conversations c on c.id = looked.conversation_id
      where not exists (select from messages n where n.conversation_id = looked.conversation_id and n.id > looked.id)
        and ${conditionOf(reader, query)}
      order by looked.id desc limit ${query.limit + 1}`,
  );
  if (places.length > query.limit) return { places, cut: null };
  const [last] = await rowsOf(
    reader,
    sql<{ id: string }[]>`select m.id ${from} order by m.id desc offset ${reader.looked - 1} limit 1`,
  );
  return { places, cut: last?.id ?? null };
}

async function walkActivity(
  reader: Walker,
  query: ListQuery,
  start: string,
  indexed: string,
  wanted: number,
): Promise<Found> {
  const { sql } = reader;
  const from = sql`from conversation_activity a
    where a.last_message_id < ${start} and a.last_message_id <= ${indexed} and a.last_message_id >= ${oldestOf(reader, query)}`;
  const places = await rowsOf(
    reader,
    sql<Place[]>`
      select looked.last_message_id as id, looked.conversation_id
      from (select a.* ${from} order by a.last_message_id desc limit ${reader.looked}) looked
      join conversations c on c.id = looked.conversation_id
      where not exists (select from messages n where n.conversation_id = looked.conversation_id and n.id > ${indexed})
        and ${conditionOf(reader, query)}
      order by looked.last_message_id desc limit ${wanted}`,
  );
  if (places.length === wanted) return { places, cut: null };
  const [last] = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select a.last_message_id as id ${from} order by a.last_message_id desc offset ${reader.looked - 1} limit 1`,
  );
  return { places, cut: last?.id ?? null };
}
