// A message with what became of it. Nothing of that is stored on the message: its state follows from its conversation's counters,
// its turn and its parts, as in the view message_log, which says the same in SQL.
import type { Refusal } from '../bridge/ingest.ts';
import { explainErrorCode } from '../channels/twilio/error-codes.ts';
import type { Sql } from '../database/pools.ts';
import { timeOf } from './cursor.ts';

export type Direction = 'in' | 'out';
export type MessageKind = 'text' | 'keyword' | 'reply' | 'fallback' | 'notice' | 'proactive' | 'holding' | 'operator';
export type PartState =
  | 'queued'
  | 'sending'
  | 'unknown'
  | 'accepted'
  | 'sent'
  | 'delivered'
  | 'read'
  | 'failed'
  | 'undelivered'
  | 'void';
export type TextState =
  | 'pending'
  | 'held'
  | 'in_turn'
  | 'answered'
  | 'deferred'
  | 'fell_back'
  | 'cancelled'
  | 'lost'
  | 'refused'
  | 'handled'
  | 'with_operator';
export type MessageState = TextState | PartState;
export type TurnState = 'running' | 'replied' | 'deferred' | 'fell_back' | 'cancelled' | 'lost';
export type AgentRef = { id: string; name: string };

export type MessageRow = {
  readonly id: string;
  readonly conversation_id: string;
  readonly direction: Direction;
  readonly kind: MessageKind;
  readonly seq: number | null;
  readonly body: string;
  readonly media: readonly { url: string; contentType: string }[];
  readonly provider_id: string | null;
  readonly turn_id: string | null;
  readonly refused: string | null;
  /** When the webhook came; null where only the time of storing is known. */
  readonly received_at: Date | null;
  readonly our_address: string;
  readonly their_address: string;
  // Of its conversation.
  readonly done_seq: number;
  readonly is_held: boolean;
  readonly taken_over: boolean;
};

export type TurnRow = {
  readonly id: string;
  readonly conversation_id: string;
  readonly from_seq: number;
  readonly to_seq: number;
  readonly state: TurnState;
  readonly agent_id: string | null;
  readonly agent_name: string | null;
  readonly attempts: number;
  readonly error_code: string | null;
  readonly started_at: Date;
  readonly ended_at: Date | null;
};

/** Of turns `t` and their agents `a`, in the shape of TurnRow. */
export function turnColumns(sql: Sql) {
  return sql`t.id, t.conversation_id, t.from_seq, t.to_seq, t.state, t.agent_id, a.name as agent_name, t.attempts, t.error_code,
    t.started_at, t.ended_at`;
}

export type PartRow = {
  readonly id: string;
  readonly message_id: string;
  readonly position: number;
  readonly body: string;
  readonly media_urls: string[];
  readonly segments: number;
  readonly state: PartState;
  readonly attempts: number;
  readonly provider_id: string | null;
  readonly error_code: string | null;
  readonly error_reason: string | null;
  readonly created_at: Date;
  readonly send_at: Date;
  readonly sending_at: Date | null;
  readonly accepted_at: Date | null;
  readonly sent_at: Date | null;
  readonly ended_at: Date | null;
};

export type Part = Omit<
  PartRow,
  'message_id' | 'created_at' | 'send_at' | 'sending_at' | 'accepted_at' | 'sent_at' | 'ended_at'
> & {
  send_at: string;
  sending_at: string | null;
  accepted_at: string | null;
  sent_at: string | null;
  ended_at: string | null;
};

export type Message = {
  id: string;
  at: string;
  conversation_id: string;
  direction: Direction;
  kind: MessageKind;
  body: string;
  media: { content_type: string; url: string }[];
  state: MessageState;
  reason: string | null;
  reason_text: string | null;
  provider_id: string | null;
  turn: {
    id: string;
    state: TurnState;
    agent: AgentRef | null;
    attempts: number;
    error_code: string | null;
    started_at: string;
    ended_at: string | null;
  } | null;
  parts: Part[];
};

/** A message as clients see it. `turn` answers it or wrote it; `parts` are its own. */
export function toMessage(row: MessageRow, turn: TurnRow | null, parts: readonly PartRow[]): Message {
  return {
    id: row.id,
    at: timeOf(row.id),
    conversation_id: row.conversation_id,
    direction: row.direction,
    kind: row.kind,
    body: row.body,
    media: row.media.map(({ contentType }, n) => ({
      content_type: contentType,
      url: `/v1/messages/${row.id}/media/${n}`,
    })),
    state: stateOf(row, turn, parts),
    reason: row.refused,
    reason_text: row.refused === null ? null : refusalText(row.refused),
    // What goes out has an id for each part.
    provider_id: row.provider_id ?? parts[0]?.provider_id ?? null,
    turn: turn && {
      id: turn.id,
      state: turn.state,
      agent: agentOf(turn),
      attempts: turn.attempts,
      error_code: turn.error_code,
      started_at: turn.started_at.toISOString(),
      ended_at: turn.ended_at?.toISOString() ?? null,
    },
    parts: parts.map(toPart),
  };
}

function agentOf({ agent_id: id, agent_name: name }: Pick<TurnRow, 'agent_id' | 'agent_name'>): AgentRef | null {
  return id === null ? null : { id, name: name ?? id };
}

function toPart(row: PartRow): Part {
  return {
    id: row.id,
    position: row.position,
    body: row.body,
    media_urls: row.media_urls,
    segments: row.segments,
    state: row.state,
    attempts: row.attempts,
    provider_id: row.provider_id,
    error_code: row.error_code,
    error_reason: meaningOf(row),
    send_at: row.send_at.toISOString(),
    sending_at: row.sending_at?.toISOString() ?? null,
    accepted_at: row.accepted_at?.toISOString() ?? null,
    sent_at: row.sent_at?.toISOString() ?? null,
    ended_at: row.ended_at?.toISOString() ?? null,
  };
}

const REFUSALS: Readonly<Record<Refusal | 'opted_out', string>> = {
  opted_out: 'the person has opted out',
  own_number: 'it came from one of our own numbers',
  short_code: 'it came from a short code, which machines text from',
  alphanumeric_sender: 'its sender is a name, which nobody can answer',
};

/** Why a text was refused, to go on after “because”. */
export function refusalText(reason: string): string {
  return (REFUSALS as Readonly<Record<string, string>>)[reason] ?? `of ${reason}`;
}

/** Of `outbound_parts p`, as a condition: what the carrier refused or could not deliver, and what was given up as too late to send. */
export const NOT_DELIVERED = `(p.state in ('failed', 'undelivered') or p.state = 'void' and p.error_code = 'expired')`;

/** Our own reasons for not sending a part; the carrier's codes are numbers. */
const OWN_CODES: Readonly<Record<string, string>> = {
  opted_out: 'The person has opted out.',
  expired: 'It would have come too late to be worth anything.',
  earlier_part_failed: 'An earlier part of the same reply did not arrive.',
  no_reason_given: 'The carrier did not say why.',
  unknown_outcome:
    'Nobody knows whether it was sent: the carrier could not be asked for as long as it was worth anything.',
};

/** What a part's error code means, in words. */
export function meaningOf({ error_code: code, error_reason: reason }: Pick<PartRow, 'error_code' | 'error_reason'>) {
  if (code === null) return reason;
  if (code === 'expired' && reason !== null) return `${OWN_CODES.expired} Last try: ${reason}`;
  return OWN_CODES[code] ?? explainErrorCode(code)?.meaning ?? reason;
}

export function stateOf(
  row: Pick<MessageRow, 'direction' | 'kind' | 'seq' | 'refused' | 'done_seq' | 'is_held' | 'taken_over'>,
  turn: Pick<TurnRow, 'state'> | null,
  parts: readonly Pick<PartRow, 'state' | 'position' | 'error_code'>[],
): MessageState {
  if (row.direction === 'out') return slowest(parts);
  if (row.refused !== null) return 'refused';
  if (row.kind === 'keyword') return 'handled';
  if (turn?.state === 'running') return 'in_turn';
  if (row.seq !== null && row.seq > row.done_seq) {
    return row.taken_over ? 'with_operator' : row.is_held ? 'held' : 'pending';
  }
  if (turn?.state === 'replied') return 'answered';
  return turn?.state ?? 'cancelled';
}

const RANKS: Readonly<Record<PartState, number>> = {
  failed: -2,
  undelivered: -2,
  queued: 0,
  sending: 0,
  unknown: 0,
  accepted: 1,
  sent: 3,
  delivered: 4,
  read: 5,
  void: 9,
};

function rankOf({ state, error_code }: Pick<PartRow, 'state' | 'error_code'>): number {
  return error_code === 'expired' ? -1 : RANKS[state];
}

/**
 * A reply is as far as its slowest part; one that failed, or ran out of time, says more than any other, and one that will not
 * be sent for another reason says least.
 */
function slowest(parts: readonly Pick<PartRow, 'state' | 'position' | 'error_code'>[]): PartState {
  const [first] = parts.toSorted((a, b) => rankOf(a) - rankOf(b) || a.position - b.position);
  return first?.state ?? 'void';
}
