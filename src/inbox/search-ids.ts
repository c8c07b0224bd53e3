// Finding by something exact: ids of ours, ids of the carrier's, error codes.
import { gramOfId } from './grams.ts';
import { type Reader, rowsOf } from './reader.ts';

type Id = { readonly id: string };
/** `before`: a message. */
export type Part = { readonly before: string; readonly most: number };
const idsOf = (rows: readonly Id[]): string[] => rows.map((row) => row.id);

/** The carrier's id of a part is looked for in so many of the newest parts where no index of them is there. */
const PARTS_LOOKED = 100_000;
/** Failures that a search for an error code looks through. */
const FAILURES = 20_000;
/** Turns with a code whose texts are looked up, one by one. */
const TURNS = 1_000;

/** Conversations that this is the id of, or of a session in. */
export async function conversationsById(reader: Reader, id: string): Promise<string[]> {
  const { sql } = reader;
  return idsOf(
    await rowsOf(
      reader,
      sql<Id[]>`
        select id from conversations where id = ${id}
        union select conversation_id from agent_sessions where id = ${id}`,
    ),
  );
}

/** Messages that this is the id of, or of the turn, part or exchange they belong to; of the texts of a turn the newest before `before`. */
export async function messagesById(reader: Reader, id: string, { before, most }: Part): Promise<string[]> {
  const { sql } = reader;
  return idsOf(
    await rowsOf(
      reader,
      sql<Id[]>`
        with exchange as materialized (select turn_id, part_id from exchanges where id = ${id}),
        turn as materialized (
          select t.id, t.conversation_id, t.from_seq, t.to_seq, t.reply_id from turns t
          where t.id = ${id} or t.id = (select turn_id from exchange)
        )
        select id from messages where id = ${id}
        union select message_id from outbound_parts where id = ${id} or id = (select part_id from exchange)
        union select reply_id from turn where reply_id is not null
        union (
          select m.id from turn t join messages m on m.conversation_id = t.conversation_id and m.id < t.id and m.id < ${before}
            and m.seq between t.from_seq and t.to_seq
          order by m.id desc limit ${most})`,
    ),
  );
}

/** The message with this id at the carrier: a text that came with it, or a reply one of whose parts has it. */
export async function messagesByProviderId(reader: Reader, providerId: string): Promise<string[]> {
  const { sql } = reader;
  return idsOf(
    await rowsOf(
      reader,
      sql<Id[]>`
        select p.message_id as id from outbound_parts p where p.provider_id = ${providerId}
          and (has_index('outbound_parts_provider_id') or p.id > (
            select coalesce((select o.id from outbound_parts o order by o.id desc offset ${PARTS_LOOKED} limit 1), id_at('epoch'))))
        union select found.id from find_provider_id(${providerId}, ${gramOfId(providerId)}) found (id) where found.id is not null`,
    ),
  );
}

/**
 * Messages before `before` that this code is about, newest first: of a part that did not arrive, or of a turn that ended with it.
 * An error of one agent that another made good is recorded with its call alone, which no index leads to.
 */
export async function messagesByErrorCode(reader: Reader, code: string, { before, most }: Part): Promise<string[]> {
  const { sql } = reader;
  return idsOf(
    await rowsOf(
      reader,
      sql<Id[]>`
        (select distinct f.message_id as id from (
          select p.message_id, p.error_code from outbound_parts p where p.error_code is not null order by p.id desc limit ${FAILURES}
        ) f where f.error_code = ${code} and f.message_id < ${before} order by 1 desc limit ${most})
        union
        (select text.id from (
          select f.* from (
            select t.* from turns t where t.error_code is not null order by t.id desc limit ${FAILURES}
          ) f where f.error_code = ${code} order by f.id desc limit ${TURNS}
        ) t
        cross join lateral (
          select m.id from messages m where m.conversation_id = t.conversation_id and m.id < t.id and m.seq = t.from_seq
          order by m.id desc limit 1
        ) text
        where text.id < ${before} order by text.id desc limit ${most})
        order by id desc limit ${most}`,
    ),
  );
}
