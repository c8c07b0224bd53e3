// Which conversations a list is about: as a condition, and, where few can fulfil it, as those few.
import type postgres from 'postgres';
import { DarkspereError } from '../errors.ts';
import { isDeferred } from './conversation.ts';
import { NOT_DELIVERED } from './message.ts';
import { type Reader, rowsOf } from './reader.ts';
import { sinceOf } from './since.ts';

/** `failed` is either of the two that follow it. */
export type FilterState =
  | 'waiting'
  | 'failed'
  | 'fell_back'
  | 'undelivered'
  | 'unknown'
  | 'held'
  | 'taken_over'
  | 'opted_out';

export type ConversationFilter = {
  readonly state?: FilterState | undefined;
  /** A moment or how far back: what went wrong since then, not only last; otherwise whose newest text is not older. */
  readonly since?: string | undefined;
  /** Our number. */
  readonly number?: string | undefined;
  readonly agent?: string | undefined;
  /** Part of theirs. */
  readonly phone?: string | undefined;
};

type Condition = postgres.PendingQuery<postgres.Row[]>;

/** Failures that are looked through; when there are more, the conversations are. */
const FAILURES = 5_000;
/** Parts of a conversation that are looked through, from the newest back. */
const PARTS = 1_000;
/** Longest a turn can take: an agent that said 202 has ten minutes. */
const TURN = "interval '15 minutes'";

/** The digits of a part of a number, or what else may be in an address. Throws invalid_request when nothing is left. */
export function fragmentOf(phone: string): string {
  const digits = phone.replace(/\D/g, '');
  if (digits !== '') return digits;
  throw new DarkspereError('invalid_request', 'phone must have digits in it, like 0142 or +1 555.', { param: 'phone' });
}

/** What must be true of `conversations c`. */
export function conditionOf(reader: Reader, filter: ConversationFilter): Condition {
  const { sql } = reader;
  const conditions = [
    ...(filter.number === undefined ? [] : [sql`c.our_address = ${filter.number}`]),
    ...(filter.phone === undefined ? [] : [sql`strpos(c.their_address, ${fragmentOf(filter.phone)}) > 0`]),
    ...(filter.agent === undefined
      ? []
      : [
          sql`${filter.agent}::uuid = (
            select s.agent_id from agent_sessions s where s.conversation_id = c.id order by s.id desc limit 1)`,
        ]),
    ...(filter.state === undefined ? [] : [stateCondition(reader, filter.state, filter.since)]),
  ];
  return conditions.reduce((all, next) => sql`${all} and ${next}`, sql`true`);
}

/** The oldest that the newest message of a conversation may be, as an id; of what went wrong the time itself is looked at. */
export function oldestOf({ sql }: Reader, { state, since }: ConversationFilter): Condition {
  const isTrouble = state === 'failed' || state === 'fell_back' || state === 'undelivered' || state === 'unknown';
  return since === undefined || isTrouble ? sql`id_at('epoch')` : sql`id_at(${sinceOf(sql, since)})`;
}

function stateCondition(reader: Reader, state: FilterState, since: string | undefined): Condition {
  const { sql, optOutScope } = reader;
  switch (state) {
    case 'waiting':
      return sql`(c.last_seq > c.done_seq or ${isDeferred(reader)}) and c.takeover_by is null`;
    case 'held':
      return sql`c.last_seq > c.done_seq and c.takeover_by is null and is_held(c.held_until)`;
    case 'taken_over':
      return sql`c.takeover_by is not null`;
    case 'opted_out':
      return sql`exists (
        select from consents o where (o.channel, o.scope, o.their_address, o.state)
          = (c.channel, coalesce(${optOutScope}, c.our_address), c.their_address, 'out'))`;
    case 'failed':
      return sql`(${fellBack(reader, since)} or ${undelivered(reader, since)})`;
    case 'fell_back':
      return fellBack(reader, since);
    case 'undelivered':
      return undelivered(reader, since);
    case 'unknown':
      return sql`exists (
        select from outbound_parts p where p.conversation_id = c.id and p.position > c.out_seq - ${PARTS}
          and p.state = 'unknown' and p.id >= ${partsFrom(reader, since)})`;
  }
}

/** Nobody could answer: the last texts, or any since then. */
function fellBack(reader: Reader, since: string | undefined): Condition {
  const { sql } = reader;
  if (since === undefined) {
    return sql`(select t.state from turns t where t.conversation_id = c.id order by t.id desc limit 1) = 'fell_back'`;
  }
  return sql`exists (
    select from turns t where t.conversation_id = c.id and t.id >= ${turnsFrom(reader, since)}
      and t.state = 'fell_back' and t.ended_at >= ${sinceOf(sql, since)})`;
}

/** Something did not arrive: of what was said last, or of anything since then. */
function undelivered(reader: Reader, since: string | undefined): Condition {
  const { sql } = reader;
  const failed = sql`p.conversation_id = c.id and ${sql.unsafe(NOT_DELIVERED)}`;
  if (since === undefined) {
    return sql`exists (
      select from outbound_parts p where ${failed} and p.position > c.out_seq - 100
        and p.message_id = (
          select l.message_id from outbound_parts l where l.conversation_id = c.id order by l.position desc limit 1))`;
  }
  return sql`exists (
    select from outbound_parts p
    where ${failed} and p.position > c.out_seq - ${PARTS} and p.id >= ${partsFrom(reader, since)})`;
}

function partsFrom({ sql }: Reader, since: string | undefined): Condition {
  return since === undefined ? sql`id_at('epoch')` : sql`id_at(${sinceOf(sql, since)})`;
}

function turnsFrom({ sql }: Reader, since: string | undefined): Condition {
  if (since === undefined) return sql`id_at('epoch')`;
  return sql`id_at(greatest(${sinceOf(sql, since)} - ${sql.unsafe(TURN)}, 'epoch'))`;
}

/** All that can fulfil the filter, where those are `few` at most; null where they are more. */
export async function fewOf(
  reader: Reader,
  filter: ConversationFilter,
  few: number,
): Promise<readonly string[] | null> {
  for (const find of [byState, byPhone, byNumber]) {
    const ids = await find(reader, filter, few + 1);
    if (ids !== null && ids.length <= few) return ids;
  }
  return null;
}

async function byState(reader: Reader, { state, since }: ConversationFilter, most: number): Promise<string[] | null> {
  const { sql, optOutScope } = reader;
  switch (state) {
    case undefined:
      return null;
    case 'waiting':
      return idsOf(
        reader,
        sql`select id from waiting_conversations(${most}) id union select id from deferred_conversations(${most}) id`,
      );
    case 'held':
      return idsOf(reader, sql`select distinct id from waiting_conversations(${most}) id`);
    case 'unknown':
      return idsOf(reader, sql`select distinct id from unknown_conversations(${most}) id`);
    case 'taken_over':
      return idsOf(reader, sql`select id from conversations where takeover_by is not null limit ${most}`);
    case 'opted_out':
      return idsOf(
        reader,
        sql`select c.id from consents o
          join conversations c on c.their_address = o.their_address and c.channel = o.channel
            and coalesce(${optOutScope}, c.our_address) = o.scope
          where o.state = 'out' limit ${most}`,
      );
    case 'failed':
      return together(await Promise.all([brokenTurns(reader, since), brokenParts(reader, since)]));
    case 'fell_back':
      return brokenTurns(reader, since);
    case 'undelivered':
      return brokenParts(reader, since);
  }
}

function together(found: readonly (string[] | null)[]): string[] | null {
  return found.includes(null) ? null : [...new Set(found.flatMap((ids) => ids ?? []))];
}

function brokenTurns(reader: Reader, since: string | undefined): Promise<string[] | null> {
  const { sql } = reader;
  return broken(
    reader,
    sql`select conversation_id from turns where error_code is not null and id >= ${turnsFrom(reader, since)}
      order by id desc limit ${FAILURES}`,
  );
}

function brokenParts(reader: Reader, since: string | undefined): Promise<string[] | null> {
  const { sql } = reader;
  return broken(
    reader,
    sql`select conversation_id from outbound_parts where error_code is not null and id >= ${partsFrom(reader, since)}
      order by id desc limit ${FAILURES}`,
  );
}

/** Whose failures these are; null when they may not be all. */
async function broken(reader: Reader, failures: Condition): Promise<string[] | null> {
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<{ id: string; n: number }[]>`
      select f.conversation_id as id, count(*)::int as n from (${failures}) f group by 1`,
  );
  return rows.reduce((sum, row) => sum + row.n, 0) < FAILURES ? rows.map((row) => row.id) : null;
}

async function byPhone(reader: Reader, { phone }: ConversationFilter, most: number): Promise<string[] | null> {
  if (phone === undefined) return null;
  return conversationsOf(reader, fragmentOf(phone), most);
}

/** Conversations of people whose address has this part, newest people first, `most` at most. */
export async function conversationsOf(reader: Reader, fragment: string, most: number): Promise<string[]> {
  const { sql } = reader;
  return idsOf(
    reader,
    sql`select c.id from (
        select k.channel, k.address from contacts k where strpos(k.address, ${fragment}) > 0 order by k.id desc limit ${most}
      ) person
      join conversations c on c.their_address = person.address and c.channel = person.channel
      limit ${most}`,
  );
}

async function byNumber(reader: Reader, { number }: ConversationFilter, most: number): Promise<string[] | null> {
  if (number === undefined) return null;
  const { sql } = reader;
  return idsOf(
    reader,
    sql`select c.id from unnest(array['sms', 'mms', 'whatsapp', 'webchat']) kind (channel)
      join conversations c on c.channel = kind.channel and c.our_address = ${number} limit ${most}`,
  );
}

async function idsOf(reader: Reader, query: postgres.PendingQuery<postgres.Row[]>): Promise<string[]> {
  const rows = await rowsOf(reader, query);
  return rows.map((row) => row.id as string);
}
