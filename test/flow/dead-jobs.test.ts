// Jobs that the library gave up. It keeps them for ever, and the net under the mailbox takes each for a job that is still to run.
// What has no job at all, the net finds.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import type { Sql } from '../../src/database/pools.ts';
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
  async function run(
    name: 'prune-jobs' | 'rescue-conversations' | 'prune-receipts' | 'end-takeover',
    sql: Sql = db.pools.worker,
  ): Promise<void> {
    const nobody = {} as never;
    const { work } = jobCatalogue({
      sql,
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
      update graphile_worker._private_jobs set attempts = ${attempts}, last_error = 'it broke', locked_by = ${lockedBy},
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

  test('the net gives a part a job that has none, and leaves those alone that have one or whose time has not come', async () => {
    const parts = [];
    for (const state of ['queued', 'sending', 'unknown', 'accepted', 'queued later', 'queued with a job']) {
      const [part] = await bridge.parts(await bridge.answered(somebody(), [state]));
      await db.admin`update outbound_parts set state = ${state.split(' ')[0]!} where id = ${part!.id}`;
      if (state.endsWith('later'))
        await db.admin`update outbound_parts set send_at = now() + interval '1 minute' where id = ${part!.id}`;
      if (!state.endsWith('job'))
        await db.admin`delete from graphile_worker._private_jobs where key = ${`send:${part!.id}`}`;
      parts.push(part!);
    }
    const [queued, sending, unknown, , , withJob] = parts;
    const rescue = async () => (await db.pools.worker`select rescue_parts('0 seconds') as n`)[0]!.n;
    assert.equal(await rescue(), 3);
    const jobs = await db.admin<{ key: string }[]>`
      select key from graphile_worker._private_jobs where key ~ '^(send|settle):'`;
    assert.deepEqual(
      jobs.map(({ key }) => key).toSorted(),
      [`send:${queued!.id}`, `send:${sending!.id}`, `send:${withJob!.id}`, `settle:${unknown!.id}`].toSorted(),
    );
    assert.equal(await rescue(), 0);

    const [next] = await bridge.parts(await bridge.answered(somebody(), ['whose turn nobody has noticed']));
    await db.admin`delete from graphile_worker._private_jobs where key = ${`send:${next!.id}`}`;
    await db.admin`update conversations set out_head = out_head - 1 where id = (
      select conversation_id from outbound_parts where id = ${next!.id})`;
    assert.equal(await rescue(), 1);
    assert.ok((await bridge.sendJobs()).has(next!.id));
    assert.equal(await rescue(), 0);
  });

  test('housekeeping that takes longer than a statement may is left to the library; what a text needs is tried at once', async () => {
    let tries = 0;
    /** As PostgreSQL says it at the first try: query_canceled. */
    const overdue = (async () => {
      tries += 1;
      if (tries === 1)
        throw Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' });
      return [];
    }) as unknown as Sql;
    await assert.rejects(run('prune-receipts', overdue), { code: '57014' });
    tries = 0;
    await run('end-takeover', overdue);
    assert.equal(tries, 2);
  });
});
