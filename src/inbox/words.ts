// Finding messages by what they say: any part of a text, in any case.
import { isStorable } from '../text.ts';
import { gramsOfWords } from './grams.ts';
import type { Message } from './message.ts';
import { type Reader, rowsOf } from './reader.ts';

export type WordsQuery = {
  /** As `lowered` gives them. */
  readonly words: string;
  /** A message: only older ones are looked for. */
  readonly before: string;
  readonly direction: Message['direction'] | null;
  readonly limit: number;
  /** How long to look, milliseconds. */
  readonly ms: number;
};
/** `searchedTo`: the message where the looking ended; null when everything was looked through. */
export type Found = { readonly ids: readonly string[]; readonly searchedTo: string | null };

/** Words as the database puts them in lower case; null for what no text can hold. */
export async function lowered(reader: Reader, words: string): Promise<string | null> {
  if (!isStorable(words)) return null;
  const [row] = await rowsOf(reader, reader.sql<{ words: string }[]>`select lower(${words}) as words`);
  return row!.words;
}

/** Newest first. */
export async function findByWords(reader: Reader, query: WordsQuery): Promise<Found> {
  const { words, before, direction, limit, ms } = query;
  const rows = await rowsOf(
    reader,
    reader.sql<{ message_id: string | null; searched_to: string | null }[]>`
      select * from find_words(${words}, ${gramsOfWords(words)}::int[], ${before}, ${direction}, ${limit}, ${ms})`,
  );
  const ids = rows.flatMap((row) => row.message_id ?? []);
  return { ids, searchedTo: rows.at(-1)?.searched_to ?? null };
}
