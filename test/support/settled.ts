import type { Sql } from '../../src/database/pools.ts';
import { until } from './until.ts';

/**
 * Waits until every text is answered and every part has left, in whatever state the carrier has it. A part whose end is unknown
 * need not wait the minute in which the carrier may still come up with it.
 */
export async function allSettled(sql: Sql, timeoutMs = 40_000): Promise<void> {
  await until(
    async () => {
      await sql`
        update outbound_parts set sending_at = sending_at - interval '2 minutes'
        where state = 'unknown' and sending_at > now() - interval '1 minute'`;
      await sql`
        update graphile_worker._private_jobs set run_at = now() where key like 'settle:%' and locked_at is null`;
      const open = await sql`
        select 1 from conversations where last_seq > done_seq
        union all select 1 from outbound_parts where state in ('queued', 'sending', 'unknown')`;
      return open.length === 0;
    },
    { timeoutMs, intervalMs: 100, what: 'everything answered' },
  );
}
