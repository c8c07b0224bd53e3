// What the path of a message is drawn from.
import type { Sql } from '../database/pools.ts';
import { type Conversation, findConversation, listed } from './conversation.ts';
import { type CalledAgent, curlOf } from './curl.ts';
import { timeOf } from './cursor.ts';
import { type Message, type PartRow, type TurnRow, toMessage, turnColumns } from './message.ts';
import { readTold, type Told } from './message-rows.ts';
import { pathOf, totalOf } from './path.ts';
import { type Reader, rowsOf } from './reader.ts';
import type { ExchangeRow, Span, TextFate } from './span.ts';

export type Exchange = {
  id: string;
  kind: 'agent' | 'send';
  attempt: number;
  target: string;
  http_status: number | null;
  outcome: string;
  error_code: string | null;
  request: string;
  response: string;
  late: boolean;
  curl: string;
};
export type MessagePath = {
  message: Message;
  conversation: Conversation;
  related: Message[];
  spans: Span<Exchange>[];
  total_ms: number | null;
};

export type Kept = ExchangeRow &
  CalledAgent & {
    readonly target: string;
    readonly request: string;
    readonly response: string;
  };

/** Of exchanges `e` and their agents `a`, in the shape of Kept. */
export function keptColumns(sql: Sql) {
  return sql`e.id, e.kind, e.turn_id, e.part_id, a.name as agent_name, a.protocol, a.endpoint_url,
    a.metadata ->> 'api_key_header' as key_header, e.attempt, e.target, e.http_status, e.outcome, e.error_code, e.request,
    e.response, e.started_at, e.duration_ms, e.late`;
}

/** Texts of a burst that are read. */
const MOST_RELATED = 60;
/** How long before its turn a text of it can have come: what is older waited for an operator, or for a database. */
const LOOK_BACK_HOURS = 48;

/** The path of a message; null when there is none with this id. */
export async function findPath(reader: Reader, id: string): Promise<MessagePath | null> {
  const [told] = await readTold(reader, [id]);
  if (!told) return null;
  const conversation = await findConversation(reader, told.row.conversation_id);
  if (!conversation) return null;
  const related = await relatedTo(reader, told);
  const asked = related.filter(({ row }) => row.direction === 'in');
  const parts = related.flatMap((each) => each.parts);
  const turns = await turnsOf(reader, told);
  const first = asked[0]?.row;
  const [quietMs, behind] = await Promise.all([
    quietOf(reader, told.row.our_address),
    behindOf(reader, first, turns[0]),
  ]);
  const kept = await exchangesOf(reader, told.row.conversation_id, turns, parts);
  const byId = new Map(kept.map((each) => [each.id, each]));
  const spans = pathOf({
    texts: asked.map(({ row }) => ({ id: row.id, received_at: row.received_at, stored_at: new Date(timeOf(row.id)) })),
    fate: asked[0] ? fateOf(asked[0]) : null,
    quietMs,
    behind,
    turns,
    exchanges: kept,
    parts,
    carrier: 'the carrier',
  });
  return {
    message: toMessage(told.row, told.turn, told.parts),
    conversation: listed(conversation),
    related: related.filter(({ row }) => row.id !== id).map((each) => toMessage(each.row, each.turn, each.parts)),
    spans: spans.map((span) => ({ ...span, exchange: span.exchange && toExchange(byId.get(span.exchange.id)!) })),
    total_ms: totalOf(spans),
  };
}

/** What became of a text that no turn took. */
function fateOf({ row, turn, parts }: Told): TextFate | null {
  if (turn !== null) return null;
  const { state } = toMessage(row, turn, parts);
  switch (state) {
    case 'refused':
      return { kind: 'refused', reason: row.refused! };
    case 'pending':
      return { kind: 'waiting' };
    case 'held':
    case 'with_operator':
    case 'handled':
    case 'cancelled':
      return { kind: state };
    default:
      return null;
  }
}

/** The burst window of one of our numbers, milliseconds. */
async function quietOf({ sql, quietMs, signal }: Reader, address: string): Promise<number> {
  const [number] = await rowsOf(
    { sql, signal },
    sql<{ quiet_ms: number | null; busy_policy: string }[]>`
      select quiet_ms, busy_policy from phone_numbers where address = ${address}`,
  );
  return number?.busy_policy === 'queue' ? 0 : (number?.quiet_ms ?? quietMs);
}

/** The end of the turn before, when the text came while that was running. */
async function behindOf(
  { sql, signal }: Reader,
  text: Told['row'] | undefined,
  turn: TurnRow | undefined,
): Promise<Date | null> {
  if (text === undefined || turn === undefined) return null;
  const [before] = await rowsOf(
    { sql, signal },
    sql<{ ended_at: Date | null }[]>`
      select ended_at from turns where conversation_id = ${turn.conversation_id} and id < ${turn.id} order by id desc limit 1`,
  );
  return before?.ended_at && before.ended_at > new Date(timeOf(text.id)) ? before.ended_at : null;
}

/** The texts that its turn took, and what it wrote; the message itself included. */
async function relatedTo(reader: Reader, told: Told): Promise<Told[]> {
  const { row, turn } = told;
  if (turn === null) return beside(reader, told);
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<{ id: string }[]>`
      select m.id from messages m
      where m.conversation_id = ${row.conversation_id}
        and m.id >= least(${row.id}::uuid, id_at(${turn.started_at}::timestamptz - make_interval(hours => ${LOOK_BACK_HOURS})))
        and (m.turn_id = ${turn.id} or m.seq between ${turn.from_seq} and ${turn.to_seq})
      order by m.id limit ${MOST_RELATED}`,
  );
  return readTold(reader, [...new Set([...rows.map((each) => each.id), row.id])].sort());
}

/** How soon after a keyword its answer is made: in the same commit. */
const KEYWORD_SECONDS = 5;

/** A keyword and what it was answered: neither has a turn, but they were stored together. */
async function beside(reader: Reader, told: Told): Promise<Told[]> {
  const { row } = told;
  const isAnswer = row.kind === 'notice' || (row.kind === 'reply' && row.turn_id === null);
  if (row.kind !== 'keyword' && !isAnswer) return [told];
  const { sql } = reader;
  const [other] = await rowsOf(
    reader,
    row.kind === 'keyword'
      ? sql<{ id: string }[]>`
          select m.id from messages m where m.conversation_id = ${row.conversation_id} and m.id > ${row.id}
            and m.id < id_at(id_time(${row.id}) + make_interval(secs => ${KEYWORD_SECONDS}))
            and m.direction = 'out' and m.turn_id is null and m.kind in ('notice', 'reply') order by m.id limit 1`
      : sql<{ id: string }[]>`
          select m.id from messages m where m.conversation_id = ${row.conversation_id} and m.id < ${row.id}
            and m.id > id_at(id_time(${row.id}) - make_interval(secs => ${KEYWORD_SECONDS}))
            and m.kind = 'keyword' order by m.id desc limit 1`,
  );
  return readTold(reader, other ? [row.id, other.id].sort() : [row.id]);
}

/** All turns that took the same texts: those that were lost or cut off before it too. */
async function turnsOf(reader: Reader, { row, turn }: Told): Promise<TurnRow[]> {
  if (turn === null) return [];
  const { sql } = reader;
  return rowsOf(
    reader,
    sql<TurnRow[]>`
      select ${turnColumns(sql)}
      from turns t left join agent_registry a on a.id = t.agent_id
      where t.conversation_id = ${row.conversation_id} and t.from_seq <= ${turn.to_seq} and t.to_seq >= ${turn.from_seq}
        and t.id <= ${turn.id} and t.id >= id_at(${turn.started_at}::timestamptz - make_interval(hours => ${LOOK_BACK_HOURS}))
      order by t.id`,
  );
}

async function exchangesOf(
  reader: Reader,
  conversationId: string,
  turns: readonly TurnRow[],
  parts: readonly PartRow[],
): Promise<Kept[]> {
  const starts = [...turns.map((turn) => turn.started_at), ...parts.map((part) => part.created_at)];
  if (starts.length === 0) return [];
  const from = new Date(Math.min(...starts.map((at) => at.getTime())));
  const { sql } = reader;
  return rowsOf(
    reader,
    sql<Kept[]>`
      select ${keptColumns(sql)}
      from exchanges e left join agent_registry a on a.id = e.agent_id
      where e.conversation_id = ${conversationId} and e.id >= id_at(${from}::timestamptz - interval '1 minute')
        and (e.turn_id = any (${turns.map((turn) => turn.id)}::uuid[])
          or e.part_id = any (${parts.map((part) => part.id)}::uuid[]))
      order by e.started_at, e.id limit 500`,
  );
}

export function toExchange(kept: Kept): Exchange {
  const { id, kind, attempt, target, http_status, outcome, error_code, request, response, late } = kept;
  return { id, kind, attempt, target, http_status, outcome, error_code, request, response, late, curl: curlOf(kept) };
}
