// The `index-messages` job: takes messages that nobody will add to any more into what the console finds them with.
import type { Sql } from '../database/pools.ts';
import { gramOfId, gramsOf } from './grams.ts';

/** Messages of a block: so many that a rare word is in few blocks, so few that looking through one takes no time. */
const BLOCK = 512;
/** Blocks of one commit. */
const BLOCKS = 20;

type Block = {
  readonly from_id: string;
  readonly to_id: string;
  readonly messages: number;
  readonly words: string;
  readonly provider_ids: readonly string[];
};

/** Takes in everything that is due, a commit for some ten thousand messages, until `signal`. Gives the number of blocks. */
export async function indexMessages(sql: Sql, signal?: AbortSignal, block = BLOCK): Promise<number> {
  await sql`select prune_index()`;
  let added = 0;
  while (!signal?.aborted) {
    const [row] = await sql<{ after: string }[]>`select indexed_until() as after`;
    const blocks = await sql<Block[]>`select * from blocks_to_index(${BLOCKS}, ${block})`;
    if (blocks.length === 0) break;
    const withGrams = blocks.map(({ provider_ids: ids, ...each }) => ({
      ...each,
      grams: [...gramsOf(each.words), ...ids.map(gramOfId)],
    }));
    const [done] = await sql<{ is: boolean }[]>`
      select add_blocks(${row!.after}, ${JSON.stringify(withGrams)}::text::json) as is`;
    if (!done!.is) break;
    added += blocks.length;
    if (blocks.length < BLOCKS) break;
  }
  return added;
}
