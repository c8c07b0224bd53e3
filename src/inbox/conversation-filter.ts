// Which conversations a list is about: as a condition, and, where few can fulfil it, as those few.
import type postgres from 'postgres';
import { CHANNELS } from '../channels/channel.ts';
import { DarkspereError } from '../errors.ts';
import { isDeferred } from './conversation.ts';
import { NEWEST } from './cursor.ts';
import { NOT_DELIVERED } from './message.ts';
import { momentOf } from './moment.ts';
import { type Reader, rowsOf } from './reader.ts';

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
  /** A moment or how far back: what went wrong since then, not only last; otherwise who texted or was texted since then. */
  readonly since?: string | undefined;
  /** The same: before when. */
  readonly until?: string | undefined;
  /** Milliseconds: an answer took longer, from the first text of its burst; the last one, or any in the time that is given. */
  readonly slower_than?: number | undefined;
  /** Our number. */
  readonly number?: string | undefined;
  readonly agent?: string | undefined;
  /** Part of theirs. */
  readonly phone?: string | undefined;
};

type Condition = postgres.PendingQuery<postgres.Row[]>;

/** Failures, or turns that may have been slow, that are looked through; when there are more, the conversations are. */
const FAILURES = 5_000;
/** Messages of a time that are looked through, likewise. */
const MESSAGES = 20_000;
/** Parts of a conversation that are looked through, from the newest back. */
const PARTS = 1_000;
/** Longest a turn can take: an agent that said 202 has ten minutes. */
const TURN = "interval '15 minutes'";
/** How long before its turn a text of it can have come: held, with an operator, or in an outage. */
const WAIT = "interval '2 days'";

/** The digits of a part of a number, or what else may be in an address. Throws invalid_request when nothing is left. */
function fragmentOf(phone: string): string {
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
    ...(filter.state === undefined ? [] : [stateCondition(reader, filter.state, filter)]),
    ...(filter.slower_than === undefined ? [] : [slow(reader, filter.slower_than, filter)]),
    // Since when is what the newest message says.
    ...(filter.until === undefined || isOfItsOwnTime(filter) ? [] : [texted(reader, filter)]),
  ];
  return conditions.reduce((all, next) => sql`${all} and ${next}`, sql`true`);
}

/** The oldest that the newest message of a conversation may be, as an id. */
export function oldestOf(reader: Reader, filter: ConversationFilter): Condition {
  return isOfItsOwnTime(filter) ? reader.sql`id_at('epoch')` : from(reader, filter);
}

type Time = Pick<ConversationFilter, 'since' | 'until'>;

/** Of what went wrong and of what was slow the time itself is looked at, not that of texts. */
function isOfItsOwnTime({ state, slower_than }: ConversationFilter): boolean {
  const isTrouble = state === 'failed' || state === 'fell_back' || state === 'undelivered' || state === 'unknown';
  return isTrouble || slower_than !== undefined;
}

/** Where the last one counts, and not all that there were in some time. */
const isLast = ({ since, until }: Time) => since === undefined && until === undefined;

/** The first id of that time, and the first after it. */
function from({ sql }: Reader, { since }: Time): Condition {
  return since === undefined ? sql`id_at('epoch')` : sql`id_at(${momentOf(sql, 'since', since)})`;
}
function to({ sql }: Reader, { until }: Time): Condition {
  return until === undefined ? sql`${NEWEST}::uuid` : sql`id_at(${momentOf(sql, 'until', until)})`;
}

/** Of `turns t`: it ended then. */
function endedThen({ sql }: Reader, { since, until }: Time): Condition {
  return sql`t.ended_at >= ${since === undefined ? sql`'epoch'` : momentOf(sql, 'since', since)}
    and t.ended_at < ${until === undefined ? sql`'infinity'` : momentOf(sql, 'until', until)}`;
}
/** The first turn that can have ended then, as an id. */
function firstTurn({ sql }: Reader, { since }: Time): Condition {
  if (since === undefined) return sql`id_at('epoch')`;
  return sql`id_at(greatest(${momentOf(sql, 'since', since)} - ${sql.unsafe(TURN)}, 'epoch'))`;
}

function stateCondition(reader: Reader, state: FilterState, time: Time): Condition {
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
      return sql`(${fellBack(reader, time)} or ${undelivered(reader, time)})`;
    case 'fell_back':
      return fellBack(reader, time);
    case 'undelivered':
      return undelivered(reader, time);
    case 'unknown':
      return sql`exists (
        select from outbound_parts p where p.conversation_id = c.id and p.position > c.out_seq - ${PARTS}
          and p.state = 'unknown' and p.id >= ${from(reader, time)} and p.id < ${to(reader, time)})`;
  }
}

/** Nobody could answer: the last texts, or any in that time. */
function fellBack(reader: Reader, time: Time): Condition {
  const { sql } = reader;
  if (isLast(time)) {
    return sql`(select t.state from turns t where t.conversation_id = c.id order by t.id desc limit 1) = 'fell_back'`;
  }
  return sql`exists (
    select from turns t where t.conversation_id = c.id and t.id >= ${firstTurn(reader, time)} and t.id < ${to(reader, time)}
      and t.state = 'fell_back' and ${endedThen(reader, time)})`;
}

/** Something did not arrive: of what was said last, or of anything in that time. Bulk that waits is not said yet. */
function undelivered(reader: Reader, time: Time): Condition {
  const { sql } = reader;
  const failed = sql`p.conversation_id = c.id and ${sql.unsafe(NOT_DELIVERED)}`;
  if (isLast(time)) {
    return sql`exists (
      select from outbound_parts p where ${failed} and p.position > c.out_seq - 100
        and p.message_id = (
          select l.message_id from outbound_parts l
          where l.conversation_id = c.id and not (l.kind = 'proactive' and l.state in ('queued', 'void'))
          order by l.position desc limit 1))`;
  }
  return sql`exists (
    select from outbound_parts p
    where ${failed} and p.position > c.out_seq - ${PARTS} and p.id >= ${from(reader, time)} and p.id < ${to(reader, time)})`;
}

/** An answer took longer than that: the last one, or any in that time. */
function slow(reader: Reader, ms: number, time: Time): Condition {
  const { sql } = reader;
  if (isLast(time)) {
    return sql`${tookLonger(
      reader,
      ms,
      sql`(
      select t.* from turns t where t.conversation_id = c.id and t.state = 'replied' order by t.id desc limit 1)`,
    )}`;
  }
  return tookLonger(
    reader,
    ms,
    sql`(
      select t.* from turns t
      where t.conversation_id = c.id and t.id >= ${firstTurn(reader, time)} and t.id < ${to(reader, time)}
        and t.state = 'replied' and ${endedThen(reader, time)})`,
  );
}

function tookLonger(reader: Reader, ms: number, turns: Condition): Condition {
  const { sql } = reader;
  return sql`exists (select from ${turns} t cross join lateral ${firstText(reader)} first where ${isSlower(reader, ms)})`;
}

/** The text that `turns t` began with, from when on its person waited. */
function firstText({ sql }: Reader): Condition {
  return sql`(
    select m.id from messages m
    where m.conversation_id = t.conversation_id and m.seq = t.from_seq and m.id < t.id
      and m.id >= id_at(t.started_at - ${sql.unsafe(WAIT)})
    order by m.id desc limit 1)`;
}
function isSlower({ sql }: Reader, ms: number): Condition {
  return sql`t.ended_at - id_time(first.id) > make_interval(secs => ${ms / 1000})`;
}

/** Somebody texted in that time, they or we. */
function texted(reader: Reader, time: Time): Condition {
  const { sql } = reader;
  return sql`exists (
    select from messages m where m.conversation_id = c.id and m.id >= ${from(reader, time)} and m.id < ${to(reader, time)})`;
}

/** All that can fulfil the filter, where those are `few` at most; null where they are more. */
export async function fewOf(
  reader: Reader,
  filter: ConversationFilter,
  few: number,
): Promise<readonly string[] | null> {
  for (const find of [byState, bySlowness, byTime, byPhone, byNumber]) {
    const ids = await find(reader, filter, few + 1);
    if (ids !== null && ids.length <= few) return ids;
  }
  return null;
}

async function byState(reader: Reader, filter: ConversationFilter, most: number): Promise<string[] | null> {
  const { sql, optOutScope } = reader;
  switch (filter.state) {
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
      return together(await Promise.all([brokenTurns(reader, filter), brokenParts(reader, filter)]));
    case 'fell_back':
      return brokenTurns(reader, filter);
    case 'undelivered':
      return brokenParts(reader, filter);
  }
}

function together(found: readonly (string[] | null)[]): string[] | null {
  return found.includes(null) ? null : [...new Set(found.flatMap((ids) => ids ?? []))];
}

function brokenTurns(reader: Reader, time: Time): Promise<string[] | null> {
  const { sql } = reader;
  return whose(
    reader,
    sql`select conversation_id from turns
      where error_code is not null and id >= ${firstTurn(reader, time)} and id < ${to(reader, time)}
      order by id desc limit ${FAILURES}`,
    FAILURES,
  );
}

function brokenParts(reader: Reader, time: Time): Promise<string[] | null> {
  const { sql } = reader;
  return whose(
    reader,
    sql`select conversation_id from outbound_parts
      where error_code is not null and id >= ${from(reader, time)} and id < ${to(reader, time)}
      order by id desc limit ${FAILURES}`,
    FAILURES,
  );
}

/** Whose these are, `most` at most; null when they may not be all. */
async function whose(reader: Reader, all: Condition, most: number): Promise<string[] | null> {
  const { sql } = reader;
  const rows = await rowsOf(
    reader,
    sql<{ id: string; n: number }[]>`
      select f.conversation_id as id, count(*)::int as n from (${all}) f group by 1`,
  );
  return rows.reduce((sum, row) => sum + row.n, 0) < most ? rows.map((row) => row.id) : null;
}

/** Whose turns of that time may have been slow: few enough that each can be looked at. */
async function bySlowness(reader: Reader, filter: ConversationFilter): Promise<string[] | null> {
  const { sql } = reader;
  if (filter.slower_than === undefined || isLast(filter)) return null;
  const looked = await whose(
    reader,
    sql`select t.conversation_id from turns t
      where t.id >= ${firstTurn(reader, filter)} and t.id < ${to(reader, filter)}
      order by t.id desc limit ${FAILURES}`,
    FAILURES,
  );
  if (looked === null) return null;
  return idsOf(
    reader,
    sql`select c.id from unnest(${looked}::uuid[]) looked (id) join conversations c on c.id = looked.id
      where ${slow(reader, filter.slower_than, filter)}`,
  );
}

/** Who texted or was texted before some moment, and since another. */
async function byTime(reader: Reader, filter: ConversationFilter): Promise<string[] | null> {
  const { sql } = reader;
  if (filter.until === undefined || isOfItsOwnTime(filter)) return null;
  return whose(
    reader,
    sql`select m.conversation_id from messages m where m.id >= ${from(reader, filter)} and m.id < ${to(reader, filter)}
      order by m.id desc limit ${MESSAGES}`,
    MESSAGES,
  );
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
    sql`select c.id from unnest(${[...CHANNELS]}::text[]) kind (channel)
      join conversations c on c.channel = kind.channel and c.our_address = ${number} limit ${most}`,
  );
}

async function idsOf(reader: Reader, query: postgres.PendingQuery<postgres.Row[]>): Promise<string[]> {
  const rows = await rowsOf(reader, query);
  return rows.map((row) => row.id as string);
}
