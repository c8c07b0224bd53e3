// Rows as a past of any shape leaves them: conversations whose messages were said when a test wants.
import type { Sql } from '../../src/database/pools.ts';
import { indexMessages } from '../../src/inbox/index-messages.ts';
import type { Reader } from '../../src/inbox/reader.ts';
import { OURS } from './bridge.ts';
import type { TestDatabase } from './database.ts';

let people = 0;

export type Said = {
  readonly conversation: string;
  /** Minutes ago; two of one minute have ids of the same millisecond. */
  readonly minutes: number;
  readonly body?: string;
  readonly direction?: 'in' | 'out';
  readonly providerId?: string;
};

export function inboxOf(db: TestDatabase, more: Partial<Reader> = {}) {
  const sql: Sql = db.admin;
  const reader: Reader = { sql: db.pools.console, optOutScope: null, quietMs: 800, ...more };

  return {
    reader,
    /** Somebody who may text us; gives the conversation's id. */
    async conversation(
      their = `+1555040${String(people++).padStart(4, '0')}`,
      { ours = OURS, daysAgo = 0 }: { ours?: string; daysAgo?: number } = {},
    ): Promise<string> {
      const [row] = await sql<{ id: string }[]>`
        with person as (
          insert into contacts (channel, address) values ('sms', ${their})
          on conflict (channel, address) do update set address = excluded.address returning id
        )
        insert into conversations (channel, our_address, their_address, contact_id, created_at)
        select 'sms', ${ours}, ${their}, id, now() - make_interval(days => ${daysAgo}) from person returning id`;
      return row!.id;
    },
    /** Stores messages at their times, without a turn; gives their ids, in this order. */
    async say(said: readonly Said[]): Promise<string[]> {
      const rows = await sql<{ id: string }[]>`
        insert into messages (id, conversation_id, direction, kind, body, provider_id)
        select overlay(id_at(date_trunc('minute', now()) - make_interval(mins => minutes))::text
            placing substr(gen_random_uuid()::text, 15) from 15)::uuid,
          conversation, coalesce(direction, 'in'), case when direction = 'out' then 'reply' else 'text' end,
          coalesce(body, 'hello'), provider
        from json_to_recordset(${JSON.stringify(
          said.map(({ providerId, ...each }) => ({ ...each, provider: providerId })),
        )}::text::json) s (conversation uuid, minutes int, body text, direction text, provider text)
        returning id`;
      return rows.map((row) => row.id);
    },
    /** What the job does, in blocks so small that a test fills some. */
    index: (block = 4) => indexMessages(db.pools.worker, undefined, block),
  };
}
