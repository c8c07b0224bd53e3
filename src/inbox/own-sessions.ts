// What an agent may read with its own key: its sessions that go on, each from where it began. What was said before a RESET, in
// sessions that are over or to other agents is none of its business.
import { before } from './cursor.ts';
import type { Message } from './message.ts';
import { readMessages } from './message-rows.ts';
import { type Reader, rowsOf } from './reader.ts';

export type OwnSession = {
  readonly conversationId: string;
  /** The message with which it began. */
  readonly historyFrom: string;
};

type Page<T> = { readonly data: T[]; readonly next_cursor: string | null };
type PageQuery = { readonly cursor?: string | undefined; readonly limit: number };
type Row = { readonly id: string; readonly conversation_id: string; readonly history_from: string };

/** The sessions of an agent, newest first. The cursor is a session. Throws invalid_request for one that is none. */
export async function listOwnSessions(
  reader: Reader,
  agentId: string,
  { cursor, limit }: PageQuery,
): Promise<Page<OwnSession>> {
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<Row[]>`${own(reader, agentId)} and s.id < ${before(cursor)} order by s.id desc limit ${limit + 1}`,
  );
  const data = rows.slice(0, limit);
  return { data: data.map(sessionOf), next_cursor: rows.length > limit ? data.at(-1)!.id : null };
}

/** The session that an agent has in a conversation; null when it has none there. */
export async function findOwnSession(
  reader: Reader,
  agentId: string,
  conversationId: string,
): Promise<OwnSession | null> {
  const { sql } = reader;
  const [row] = await rowsOf(reader, sql<Row[]>`${own(reader, agentId)} and c.id = ${conversationId}`);
  return row === undefined ? null : sessionOf(row);
}

/** The messages of a session, newest first. Throws invalid_request for a cursor that is none. */
export async function listOwnMessages(
  reader: Reader,
  { conversationId, historyFrom }: OwnSession,
  { cursor, limit }: PageQuery,
): Promise<Page<Message>> {
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select m.id from messages m
      where m.conversation_id = ${conversationId} and m.id >= ${historyFrom} and m.id < ${before(cursor)}
      order by m.id desc limit ${limit + 1}`,
  );
  const ids = rows.slice(0, limit).map(({ id }) => id);
  return { data: await readMessages(reader, ids), next_cursor: rows.length > limit ? ids.at(-1)! : null };
}

/** One message of such a session; null for every other. */
export async function findOwnMessage(reader: Reader, agentId: string, messageId: string): Promise<Message | null> {
  const [message] = await readMessages(reader, [messageId]);
  if (message === undefined) return null;
  const session = await findOwnSession(reader, agentId, message.conversation_id);
  return session !== null && message.id >= session.historyFrom ? message : null;
}

function own({ sql }: Reader, agentId: string) {
  return sql`
    select s.id, s.conversation_id, s.history_from
    from agent_sessions s join conversations c on c.id = s.conversation_id and c.session_id = s.id
    where s.agent_id = ${agentId} and s.is_active`;
}

function sessionOf({ conversation_id, history_from }: Row): OwnSession {
  return { conversationId: conversation_id, historyFrom: history_from };
}
