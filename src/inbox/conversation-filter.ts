// Which conversations a list is about: as a condition, and, where few can fulfil it, as those few.
import type postgres from 'postgres';
import { DarkspereError } from '../errors.ts';
import { type Reader, rowsOf } from './reader.ts';

export type ConversationFilter = {
  readonly state?: 'waiting' | 'failed' | 'held' | 'taken_over' | 'opted_out' | undefined;
  /** Our number. */
  readonly number?: string | undefined;
  readonly agent?: string | undefined;
  /** Part of theirs. */
  readonly phone?: string | undefined;
};

type Condition = postgres.PendingQuery<postgres.Row[]>;

/** Failures that are looked through; when there are more, the conversations are. */
const FAILURES = 5_000;
const FAILED_DAYS = 30;

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
    ...(filter.state === undefined ? [] : [stateCondition(reader, filter.state)]),
  ];
  return conditions.reduce((all, next) => sql`${all} and ${next}`, sql`true`);
}

function stateCondition({ sql, optOutScope }: Reader, state: NonNullable<ConversationFilter['state']>): Condition {
  switch (state) {
    case 'waiting':
      return sql`c.last_seq > c.done_seq and c.takeover_by is null`;
    case 'held':
      return sql`c.last_seq > c.done_seq and c.takeover_by is null and is_held(c.held_until)`;
    case 'taken_over':
      return sql`c.takeover_by is not null`;
    case 'opted_out':
      return sql`exists (
        select from consents o where (o.channel, o.scope, o.their_address, o.state)
          = (c.channel, coalesce(${optOutScope}, c.our_address), c.their_address, 'out'))`;
    case 'failed':
      // Nobody could answer the last texts, or something of what was said last did not arrive.
      return sql`(
        (select t.state from turns t where t.conversation_id = c.id order by t.id desc limit 1) = 'fell_back'
        or exists (
          select from outbound_parts p
          where p.conversation_id = c.id and p.position > c.out_seq - 100 and (p.state in ('failed', 'undelivered') or p.error_code = 'expired')
            and p.message_id = (
              select l.message_id from outbound_parts l where l.conversation_id = c.id order by l.position desc limit 1)))`;
  }
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

async function byState(reader: Reader, { state }: ConversationFilter, most: number): Promise<string[] | null> {
  const { sql, optOutScope } = reader;
  switch (state) {
    case undefined:
      return null;
    case 'waiting':
    case 'held':
      return idsOf(reader, sql`select distinct id from waiting_conversations(${most}) id`);
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
      return failed(reader);
  }
}

async function failed(reader: Reader): Promise<string[] | null> {
  const { sql } = reader;
  const since = sql`id_at(now() - make_interval(days => ${FAILED_DAYS}))`;
  const rows = await rowsOf(
    reader,
    sql<{ id: string; n: number }[]>`
      select f.conversation_id as id, count(*)::int as n from (
        (select conversation_id from outbound_parts where error_code is not null and id >= ${since}
          order by id desc limit ${FAILURES})
        union all
        (select conversation_id from turns where error_code is not null and id >= ${since}
          order by id desc limit ${FAILURES})
      ) f group by 1`,
  );
  const failures = rows.reduce((sum, row) => sum + row.n, 0);
  return failures >= FAILURES ? null : rows.map((row) => row.id);
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
