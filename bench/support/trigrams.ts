// What PostgreSQL's own trigrams would be worth instead of message_words: the same texts, the same words, on the same server.
import type { Embedded } from '../../src/database/embedded.ts';
import type { Sql } from '../../src/database/pools.ts';
import { usage } from './processes.ts';
import { type Spread, spread } from './statistics.ts';

export type Trigrams = {
  readonly buildSeconds: number;
  readonly indexMb: number;
  /** message_words with its index, of the same texts. */
  readonly wordsMb: number;
  /** CPU of PostgreSQL for one inserted text, microseconds. */
  readonly insertUs: { readonly plain: number; readonly indexed: number };
  readonly searches: readonly { readonly name: string; readonly ms: Spread }[];
};

const INSERTED = 20_000;

/** Leaves the database as it was. `queries` give the words to look for. */
export async function compareTrigrams(
  database: Embedded,
  sql: Sql,
  queries: readonly (readonly [name: string, words: () => string])[],
  times: number,
): Promise<Trigrams> {
  await sql.unsafe('create extension if not exists pg_trgm');
  await sql.unsafe('create unlogged table trigram_texts as select id, body from messages');
  await sql.unsafe('alter table trigram_texts add primary key (id)');
  const insert = async () => {
    const before = usage(database.pid, true).cpuSeconds;
    for (let n = 0; n < INSERTED; n += 100) {
      // As many in one commit as a micro-batch has under load.
      await sql`
        insert into trigram_texts select gen_random_uuid(), body from messages tablesample system (1) limit 100`;
    }
    return ((usage(database.pid, true).cpuSeconds - before) / INSERTED) * 1e6;
  };
  try {
    const plain = await insert();
    const startedMs = performance.now();
    await sql.unsafe('create index trigram_index on trigram_texts using gin (lower(body) gin_trgm_ops)');
    const buildSeconds = (performance.now() - startedMs) / 1_000;
    await sql.unsafe('vacuum analyze trigram_texts');
    const searches: { name: string; ms: Spread }[] = [];
    for (const [name, words] of queries) {
      const ms: number[] = [];
      for (let n = 0; n < times; n++) {
        const startedMs = performance.now();
        await sql`
          select id from trigram_texts where lower(body) like ${`%${words()}%`} order by id desc limit 20`;
        ms.push(performance.now() - startedMs);
      }
      searches.push({ name, ms: spread(ms) });
    }
    const [size] = await sql<{ index: number; words: number }[]>`
      select pg_relation_size('trigram_index') / 1e6 as index, pg_total_relation_size('message_words') / 1e6 as words`;
    const indexed = await insert();
    return { buildSeconds, indexMb: size!.index, wordsMb: size!.words, insertUs: { plain, indexed }, searches };
  } finally {
    await sql.unsafe('drop table trigram_texts');
    await sql.unsafe('drop extension pg_trgm');
  }
}
