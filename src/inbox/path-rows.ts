// What the path of a message is drawn from.
import type { Protocol } from '../agents/agent.ts';
import { type Conversation, findConversation, listed } from './conversation.ts';
import { curlOf } from './curl.ts';
import { timeOf } from './cursor.ts';
import { type Message, type PartRow, type TurnRow, toMessage } from './message.ts';
import { readTold, type Told } from './message-rows.ts';
import { type ExchangeRow, pathOf, type Span, totalOf } from './path.ts';
import { type Reader, rowsOf } from './reader.ts';

export type Exchange = {
  id: string;
  kind: 'agent' | 'send' | 'find';
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

type Kept = ExchangeRow & {
  readonly target: string;
  readonly request: string;
  readonly response: string;
  readonly protocol: Protocol | null;
};

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
  const texts = related.filter(({ row }) => row.direction === 'in' && row.kind === 'text');
  const asked = texts.length > 0 || told.row.direction === 'out' ? texts : [told];
  const parts = related.flatMap((each) => each.parts);
  const turns = await turnsOf(reader, told);
  const kept = await exchangesOf(reader, told.row.conversation_id, turns, parts);
  const byId = new Map(kept.map((each) => [each.id, each]));
  const spans = pathOf({
    texts: asked.map(({ row }) => ({ id: row.id, received_at: row.received_at, stored_at: new Date(timeOf(row.id)) })),
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

/** The texts that its turn took, and what it wrote; the message itself included. */
async function relatedTo(reader: Reader, { row, turn }: Told): Promise<Told[]> {
  if (turn === null) return readTold(reader, [row.id]);
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

/** All turns that took the same texts: those that were lost or cut off before it too. */
async function turnsOf(reader: Reader, { row, turn }: Told): Promise<TurnRow[]> {
  if (turn === null) return [];
  const { sql } = reader;
  return rowsOf(
    reader,
    sql<TurnRow[]>`
      select t.id, t.conversation_id, t.from_seq, t.to_seq, t.state, t.agent_id, a.name as agent_name, t.attempts, t.error_code,
        t.started_at, t.ended_at
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
      select e.id, e.kind, e.turn_id, e.part_id, a.name as agent_name, a.protocol, e.attempt, e.target, e.http_status, e.outcome,
        e.error_code, e.request, e.response, e.started_at, e.duration_ms, e.late
      from exchanges e left join agent_registry a on a.id = e.agent_id
      where e.conversation_id = ${conversationId} and e.id >= id_at(${from}::timestamptz - interval '1 minute')
        and (e.turn_id = any (${turns.map((turn) => turn.id)}::uuid[])
          or e.part_id = any (${parts.map((part) => part.id)}::uuid[]))
      order by e.started_at, e.id limit 500`,
  );
}

function toExchange(kept: Kept): Exchange {
  const { id, kind, attempt, target, http_status, outcome, error_code, request, response, late } = kept;
  return { id, kind, attempt, target, http_status, outcome, error_code, request, response, late, curl: curlOf(kept) };
}
