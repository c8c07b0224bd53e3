// Messages with their turns and parts: three statements for any number of them.
import { type Message, type MessageRow, type PartRow, type TurnRow, toMessage, turnColumns } from './message.ts';
import { type Reader, rowsOf } from './reader.ts';

export type Told = { readonly row: MessageRow; readonly turn: TurnRow | null; readonly parts: readonly PartRow[] };

/** The messages with these ids, in this order, ready to be shown. An id that is none is left out. */
export async function readMessages(reader: Reader, ids: readonly string[]): Promise<Message[]> {
  return (await readTold(reader, ids)).map(({ row, turn, parts }) => toMessage(row, turn, parts));
}

/** The same as rows. */
export async function readTold(reader: Reader, ids: readonly string[]): Promise<Told[]> {
  if (ids.length === 0) return [];
  const rows = await messageRows(reader, ids);
  const [turns, parts] = await Promise.all([turnsOf(reader, rows), partsOf(reader, rows)]);
  const partsByMessage = Map.groupBy(parts, (part) => part.message_id);
  const turnsByConversation = Map.groupBy(turns, (turn) => turn.conversation_id);
  return rows.map((row) => ({
    row,
    turn: turnOf(row, turnsByConversation.get(row.conversation_id) ?? []),
    parts: partsByMessage.get(row.id) ?? [],
  }));
}

/** `turns` oldest first: of several that took a text, the newest counts. */
function turnOf(row: MessageRow, turns: readonly TurnRow[]): TurnRow | null {
  if (row.turn_id !== null) return turns.find((turn) => turn.id === row.turn_id) ?? null;
  const { seq } = row;
  if (seq === null) return null;
  return turns.findLast((turn) => turn.from_seq <= seq && seq <= turn.to_seq) ?? null;
}

function messageRows(reader: Reader, ids: readonly string[]): Promise<MessageRow[]> {
  const { sql } = reader;
  // Joined one by one: each id then looks into the partition of its month alone.
  return rowsOf(
    reader,
    sql<MessageRow[]>`
      select m.id, m.conversation_id, m.direction, m.kind, m.seq, m.body, m.media, m.provider_id, m.turn_id, m.refused,
        m.received_at, c.our_address, c.their_address, c.done_seq, is_held(c.held_until) as is_held,
        c.takeover_by is not null as taken_over
      from unnest(${ids as string[]}::uuid[]) with ordinality wanted (id, n)
      join messages m on m.id = wanted.id
      join conversations c on c.id = m.conversation_id
      order by wanted.n`,
  );
}

/** Turns that took one of these texts, or wrote one of these replies. */
async function turnsOf(reader: Reader, rows: readonly MessageRow[]): Promise<TurnRow[]> {
  const { sql } = reader;
  const texts = Map.groupBy(
    rows.filter((row) => row.seq !== null),
    (row) => row.conversation_id,
  );
  const wanted = [...texts].map(([conversation, of]) => ({
    conversation,
    since: of.reduce((least, row) => (row.id < least ? row.id : least), of[0]!.id),
    from: Math.min(...of.map((row) => row.seq!)),
    to: Math.max(...of.map((row) => row.seq!)),
  }));
  const written = [...new Set(rows.flatMap((row) => row.turn_id ?? []))];
  if (wanted.length + written.length === 0) return [];
  // A turn begins after its first text; the hour is for a clock that was set back in between.
  const turns = await rowsOf(
    reader,
    sql<TurnRow[]>`
      select ${turnColumns(sql)}
      from (
        select t.* from json_to_recordset(${JSON.stringify(wanted)}::text::json)
          w (conversation uuid, since uuid, "from" bigint, "to" bigint)
        join turns t on t.conversation_id = w.conversation and t.id > id_at(id_time(w.since) - interval '1 hour')
          and t.from_seq <= w."to" and t.to_seq >= w."from"
        union
        select t.* from unnest(${written}::uuid[]) written (id) join turns t on t.id = written.id
      ) t
      left join agent_registry a on a.id = t.agent_id
      order by t.id`,
  );
  return turns;
}

async function partsOf(reader: Reader, rows: readonly MessageRow[]): Promise<PartRow[]> {
  const { sql } = reader;
  const sent = rows.filter((row) => row.direction === 'out');
  if (sent.length === 0) return [];
  const conversations = [...new Set(sent.map((row) => row.conversation_id))];
  return rowsOf(
    reader,
    sql<PartRow[]>`
      select p.id, p.message_id, p.position, p.body, p.media_urls, p.segments, p.state, p.attempts, p.provider_id, p.error_code,
        p.error_reason, p.created_at, p.send_at, p.sending_at, p.accepted_at, p.sent_at, p.ended_at
      from unnest(${conversations}::uuid[]) c (id)
      join outbound_parts p on p.conversation_id = c.id and p.message_id = any (${sent.map((row) => row.id)}::uuid[])
      order by p.position`,
  );
}
