// Jobs that the library gave up. It keeps them for ever, and the net under the mailbox takes each for a job that is still to run.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { jobCatalogue } from '../../src/jobs/catalogue.ts';
import { type Bridge, bridgeOf, somebody } from '../support/bridge.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';

describe('jobs that never succeeded', () => {
  let db: TestDatabase;
  let bridge: Bridge;
  const log: string[] = [];

  before(async () => {
    db = await freshDatabase();
    bridge = bridgeOf(db);
  });
  after(() => db.drop());

  /** Runs a job of the housekeeping as a worker would. */
  async function run(name: 'prune-jobs' | 'rescue-conversations'): Promise<void> {
    const nobody = {} as never;
    const { work } = jobCatalogue({
      sql: db.pools.worker,
      logger: pino({ base: null }, { write: (line: string) => void log.push(line) }),
      metrics: nobody,
      mailbox: nobody,
      replays: nobody,
      chats: nobody,
      stagedProbes: nobody,
      outbound: nobody,
      settle: nobody,
      health: nobody,
      prober: null,
      sessionEvents: nobody,
      pacing: false,
    });
    await work[name]!({}, {} as never);
  }

  const jobsOf = (conversation: string) => db.admin<{ id: string; attempts: number }[]>`
    select id, attempts from graphile_worker._private_jobs where payload ->> 'c' = ${conversation}`;

  /** A text that has waited for ten minutes, with another one just now, and how its job stands. */
  async function waiting(attempts: number, lockedBy: string | null): Promise<string> {
    const { conversationId } = (await bridge.arrive(somebody(), 'is anybody there?'))!;
    await db.admin`
      update graphile_worker._private_jobs set attempts = ${attempts}, locked_by = ${lockedBy},
        locked_at = case when ${lockedBy}::text is not null then now() end
      where payload ->> 'c' = ${conversationId}`;
    await db.admin`
      update conversations set first_pending_at = first_pending_at - interval '10 minutes' where id = ${conversationId}`;
    return conversationId;
  }

  test('are removed, those that may still run are not, and the texts behind them get a job again', async () => {
    const dead = await waiting(1_000, null);
    const tired = await waiting(999, null);
    const inTheLastTry = await waiting(1_000, 'a pool');
    await run('rescue-conversations');
    assert.equal((await jobsOf(dead))[0]?.attempts, 1_000, 'the net sees a dead job');
    await run('prune-jobs');
    assert.deepEqual((await jobsOf(dead)).length, 0);
    for (const conversation of [tired, inTheLastTry]) assert.equal((await jobsOf(conversation)).length, 1);
    assert.match(log.at(-1)!, /"level":50.*"jobs":1.*never succeeded/);
    await run('rescue-conversations');
    assert.deepEqual(
      (await jobsOf(dead)).map(({ attempts }) => attempts),
      [0],
    );
    assert.equal((await bridge.start(dead))?.texts[0]?.body, 'is anybody there?');
    assert.match(log.at(-1)!, /"level":50.*"conversations":1/);
  });
});
