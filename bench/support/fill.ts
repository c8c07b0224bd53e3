// A database as a year of texting leaves it, written by the server itself in sets: people, their sessions, texts, turns, parts,
// and what retention has not yet dropped of receipts and exchanges.
import type { Connection } from '../../src/database/connection.ts';
import { openSql, type Sql } from '../../src/database/pools.ts';
import { personNumber } from './carrier-side.ts';

export type Size = { readonly conversations: number; readonly messages: number };

export type Filling = {
  /** Over how many days the texts are spread, a year unless told otherwise. */
  readonly days?: number;
  /**
   * Every text has words of its own, as often as words are in a language; `half` is in every second one and `needle1234567` in
   * the text of that number alone. Otherwise all of them say the same.
   */
  readonly words?: boolean;
};

/** Retention: prune-receipts and partitioned_tables.keep_months. */
const RECEIPT_DAYS = 30;
const EXCHANGE_DAYS = 60;
const MONTHS = 12;
/** A person's session reaches over this many texts: most people have one, its history spread over months. */
const TEXTS_PER_SESSION = 20;

const FILLED = [
  'contacts',
  'conversations',
  'webhook_receipts',
  'messages',
  'turns',
  'outbound_parts',
  'exchanges',
  'agent_sessions',
];

/** What the database was filled with, or null. */
export async function filledWith(connection: Connection): Promise<Size | null> {
  return withOwner(connection, async (sql) => {
    const [there] = await sql<{ is: boolean }[]>`select to_regclass('bench_fill') is not null as is`;
    if (!there?.is) return null;
    const [size] = await sql<Size[]>`select conversations, messages from bench_fill`;
    return size ?? null;
  });
}

/**
 * Fills a migrated, otherwise empty database. Person `n` has the number personNumber(n). Sessions of even ones begin with their first
 * text, those of odd ones with their last, as where a session ends with the day.
 */
export async function fill(
  connection: Connection,
  size: Size,
  ourNumber: string,
  say: (step: string) => void = () => {},
  filling: Filling = {},
): Promise<void> {
  await withOwner(connection, async (sql) => {
    // Only for this session: foreign keys hold by construction, and nothing is lost that cannot be filled again.
    await sql.unsafe(`set synchronous_commit = off; set session_replication_role = replica;
      set maintenance_work_mem = '1GB'; set work_mem = '512MB'; set statement_timeout = 0`);
    await addPartitions(sql);
    const definitions = await dropIndexes(sql);
    for (const [step, statement] of statements(size, ourNumber, filling)) {
      say(step);
      await sql.unsafe(statement);
    }
    say('indexes');
    for (const definition of definitions) await sql.unsafe(definition);
    say('vacuum');
    await sql.unsafe('drop table if exists bench_people, bench_texts, bench_phrases');
    await sql.unsafe('vacuum analyze');
    await sql.unsafe('checkpoint');
    await sql.unsafe(`create table bench_fill as
      select ${size.conversations}::int as conversations, ${size.messages}::int as messages`);
  });
}

/**
 * Gives the sessions to the agent that has registered (registerAgent). Without it theirs is gone, and each person's first text is a
 * session taken over.
 */
export async function giveSessionsToAgent(connection: Connection): Promise<void> {
  await withOwner(connection, async (sql) => {
    await sql`update agent_sessions set agent_id = (select id from agent_registry where name = 'bench') where is_active`;
    await sql`vacuum analyze agent_sessions`;
  });
}

async function withOwner<T>(connection: Connection, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = openSql(connection, { max: 1 });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** The months before the two that every database has. */
async function addPartitions(sql: Sql): Promise<void> {
  await sql.unsafe(`do $$
    declare
      parent text;
      month_start timestamp;
    begin
      for parent in select table_name from partitioned_tables loop
        for month_start in select generate_series(date_trunc('month', now() at time zone 'UTC') - interval '${MONTHS} months',
          date_trunc('month', now() at time zone 'UTC') - interval '1 month', interval '1 month')
        loop
          continue when to_regclass(parent || to_char(month_start, '_YYYY_MM')) is not null;
          execute format('create table %I partition of %I for values from (%L) to (%L)',
            parent || to_char(month_start, '_YYYY_MM'), parent, id_at(month_start at time zone 'UTC'),
            id_at((month_start + interval '1 month') at time zone 'UTC'));
        end loop;
      end loop;
    end $$`);
}

/** Takes all indexes off the filled tables and gives the statements that put them back: building them once is far faster. */
async function dropIndexes(sql: Sql): Promise<string[]> {
  const constraints = await sql<{ put: string; take: string }[]>`
    select format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as put,
      format('alter table %s drop constraint %I', conrelid::regclass, conname) as take
    from pg_constraint where conrelid = any (${FILLED}::text[]::regclass[]) and contype in ('p', 'u') order by conrelid, contype`;
  for (const { take } of constraints) await sql.unsafe(take);
  const indexes = await sql<{ put: string; take: string }[]>`
    select replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') as put, format('drop index %s', indexrelid::regclass) as take
    from pg_index where indrelid = any (${FILLED}::text[]::regclass[])`;
  for (const { take } of indexes) await sql.unsafe(take);
  return [...constraints, ...indexes].map(({ put }) => put);
}

/** UUIDv7 of a moment, as an SQL expression. */
const idAt = (moment: string) =>
  `encode(int8send(((extract(epoch from ${moment}) * 1000)::bigint << 16) | 28672 | (random() * 4095)::int)
    || substring(uuid_send(gen_random_uuid()) from 9), 'hex')::uuid`;

const QUESTION = "'Could you tell me how late you are open today?'";
const ANSWER =
  "'We are open until 7 pm today. Would you like me to put a table aside for you, and for how many people?'";
const PHRASES = 20_000;

/** Phrases of words that nobody knows: 20,000 words, the n-th one n times as rare as the first (Zipf). */
const PHRASE_TABLE: [string, string] = [
  'phrases',
  `create unlogged table bench_phrases as
  with word as materialized (
    select n, translate(substr(md5(n::text), 1, 3 + n % 7), '0123456789', 'aeioulnrst') as word from generate_series(0, 19999) n
  ), draw as materialized (
    select phrase, floor(power(20000, random()))::int - 1 as n from generate_series(0, ${PHRASES - 1}) phrase
    cross join lateral generate_series(1, 3 + phrase % 8)
  )
  select phrase, string_agg(word, ' ') as words from draw join word using (n) group by phrase`,
];

/** What the k-th text says; with words of its own it needs the phrases `one` and `two`. */
const saying = (constant: string, hasWords: boolean) =>
  hasWords
    ? `one.words || case when k % 2 = 0 then ' half ' else ', ' end || two.words || case side when 0 then ' needle' || k else '' end`
    : constant;
const phrasesOf = (hasWords: boolean) =>
  hasWords
    ? `join bench_phrases one on one.phrase = hashint8(k * 2 + side) & 16383 join bench_phrases two on two.phrase = hashint8(-k) & 16383`
    : '';

function statements({ conversations, messages }: Size, ourNumber: string, filling: Filling): [string, string][] {
  const { days = MONTHS * 30, words = false } = filling;
  const texts = Math.floor(messages / 2);
  const every = Math.max(1, Math.floor(texts / conversations));
  const theirs = (person: string) => `'+' || (${personNumber(0).slice(1)} + ${person})`;
  return [
    ...(words ? [PHRASE_TABLE] : []),
    [
      'texts',
      // The number of people grows with time; who came first has texted most.
      `select setseed(0.5);
      create unlogged table bench_texts as
      select k, person, row_number() over (partition by person order by k)::int as n, at, session_no, first_in_session,
        in_id, turn_id, out_id, part_id, null::uuid as conversation_id, null::uuid as session_id
      from (
        select k, at, 0 as session_no, false as first_in_session,
          ${idAt('at')} as in_id, ${idAt("at + interval '1 second'")} as turn_id, ${idAt("at + interval '3 seconds'")} as out_id,
          ${idAt("at + interval '3 seconds'")} as part_id,
          case when k % ${every} = 0 and k / ${every} < ${conversations} then k / ${every}
            else floor(power(random(), 2) * least(k / ${every} + 1, ${conversations}))::int end as person
        from (select k, now() - interval '1 hour' - (${texts} - k) * (interval '${days} days' / ${texts}) as at
          from generate_series(0, ${texts - 1}) k) moments
      ) drawn`,
    ],
    [
      'people',
      `create unlogged table bench_people as
      select person, max(n) as n, min(at) as first_at, max(at) as last_at, ${idAt('min(at)')} as id, ${idAt('min(at)')} as contact_id
      from bench_texts group by person`,
    ],
    [
      'sessions',
      `insert into agent_registry (name, endpoint_url, api_key_hash, secrets, status)
      values ('filled', 'http://127.0.0.1:9/', '\\x00', '\\x00', 'deactivated');
      -- Nobody's session is over: the worst case for its lookup and its history.
      insert into phone_numbers (address, session_idle) values ('${ourNumber}', '10 years');
      create unlogged table bench_sessions as
      select person, (n - 1) / ${TEXTS_PER_SESSION} as number, ${idAt('min(at)')} as id, min(at) as first_at, max(at) as last_at,
        (array_agg(in_id order by k * case when person % 2 = 0 then 1 else -1 end))[1] as history_from
      from bench_texts group by 1, 2;
      insert into agent_sessions (id, conversation_id, agent_id, is_active, history_from, started_at, last_active_at, ended_at, end_reason)
      select s.id, p.id, a.id, s.number = (p.n - 1) / ${TEXTS_PER_SESSION}, s.history_from, s.first_at, s.last_at,
        case when s.number < (p.n - 1) / ${TEXTS_PER_SESSION} then s.last_at end,
        case when s.number < (p.n - 1) / ${TEXTS_PER_SESSION} then 'idle' end
      from bench_sessions s join bench_people p using (person) cross join agent_registry a where a.name = 'filled' order by s.first_at`,
    ],
    [
      'conversations',
      `insert into contacts (id, channel, address, created_at)
      select contact_id, 'sms', ${theirs('person')}, first_at from bench_people order by first_at;
      insert into conversations (id, channel, our_address, their_address, contact_id, last_seq, done_seq, token, epoch,
        last_pending_at, session_id, out_seq, out_head, created_at)
      select p.id, 'sms', '${ourNumber}', ${theirs('p.person')}, p.contact_id, p.n, p.n, p.n, p.n, p.last_at, s.id, p.n, p.n + 1, p.first_at
      from bench_people p join bench_sessions s on s.person = p.person and s.number = (p.n - 1) / ${TEXTS_PER_SESSION}
      order by p.first_at;
      create unlogged table bench_joined as
      select t.k, t.n, t.at, t.in_id, t.turn_id, t.out_id, t.part_id, p.id as conversation_id, s.id as session_id
      from bench_texts t join bench_people p using (person)
      join bench_sessions s on s.person = t.person and s.number = (t.n - 1) / ${TEXTS_PER_SESSION}
      order by t.k;
      drop table bench_texts, bench_sessions;
      alter table bench_joined rename to bench_texts`,
    ],
    [
      'messages',
      `insert into messages (id, conversation_id, direction, kind, seq, body, provider_id, turn_id)
      select case side when 0 then in_id else out_id end, conversation_id, case side when 0 then 'in' else 'out' end,
        case side when 0 then 'text' else 'reply' end, case side when 0 then n end,
        ${saying(`case side when 0 then ${QUESTION} else ${ANSWER} end`, words)},
        case side when 0 then 'SM' || replace(in_id::text, '-', '') end, case side when 1 then turn_id end
      from bench_texts cross join (values (0), (1)) sides (side) ${phrasesOf(words)} order by k, side`,
    ],
    [
      'turns',
      `insert into turns (id, conversation_id, session_id, epoch, from_seq, to_seq, state, agent_id, attempts, reply_id, started_at, ended_at)
      select turn_id, conversation_id, session_id, n, n, n, 'replied', (select id from agent_registry where name = 'filled'), 1, out_id,
        at + interval '1 second', at + interval '3 seconds' from bench_texts`,
    ],
    [
      'parts',
      `insert into outbound_parts (id, conversation_id, message_id, turn_id, position, kind, body, segments, state, send_at, attempts,
        provider_id, provider_segments, created_at, sending_at, accepted_at, sent_at, ended_at)
      select part_id, conversation_id, out_id, turn_id, n, 'reply',
        ${ANSWER}, 1, 'delivered',
        at + interval '3 seconds', 1, 'SM' || replace(part_id::text, '-', ''), 1, at + interval '3 seconds', at + interval '3 seconds',
        at + interval '3 seconds', at + interval '4 seconds', at + interval '5 seconds' from bench_texts`,
    ],
    [
      'receipts',
      `insert into webhook_receipts (channel, provider_id, received_at)
      select 'sms', 'SM' || replace(in_id::text, '-', ''), at from bench_texts where at > now() - interval '${RECEIPT_DAYS} days'`,
    ],
    [
      'exchanges',
      `insert into exchanges (id, conversation_id, turn_id, part_id, kind, target, http_status, outcome, request, response,
        started_at, duration_ms)
      select case side when 0 then ${idAt("at + interval '2 seconds'")} else ${idAt("at + interval '4 seconds'")} end, conversation_id,
        case side when 0 then turn_id end, case side when 1 then part_id end, case side when 0 then 'agent' else 'send' end,
        'https://agent.example.com/', case side when 0 then 200 else 201 end, 'ok', repeat('request ', 60), repeat('response ', 30),
        at + interval '2 seconds', 150
      from bench_texts cross join (values (0), (1)) sides (side) where at > now() - interval '${EXCHANGE_DAYS} days'`,
    ],
  ];
}
