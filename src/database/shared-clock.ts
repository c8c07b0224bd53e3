import { follow } from '../clock.ts';
import type { Outage } from './outage.ts';
import type { Sql } from './pools.ts';

const LOOK_MS = 5_000;

/** Makes this process follow the database's clock, from now on. */
export async function shareClock(sql: Sql, outage: Outage): Promise<{ close(): void }> {
  const look = async () => {
    const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
    follow(row!.now);
  };
  await look();
  const timer = setInterval(() => {
    look().then(outage.over, outage.noticed);
  }, LOOK_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}
