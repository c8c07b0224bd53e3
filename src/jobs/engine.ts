// graphile-worker runs everything that happens later. Two pools a process: turns wait for agents and may fill their slots
// for minutes; sends and housekeeping must never stand behind them.
import { EventEmitter } from 'node:events';
import { Logger as JobLogger, parseCrontab, type Runner, run, type TaskList, type WorkerPool } from 'graphile-worker';
import pg from 'pg';
import type { Connection } from '../database/connection.ts';
import { openSql, pgConfig } from '../database/pools.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import { startLiveness } from './liveness.ts';

export type EngineDeps = {
  readonly connection: Connection;
  readonly logger: Logger;
  /** Turns held at once. */
  readonly concurrency: number;
  readonly tasks: { readonly turns: TaskList; readonly work: TaskList; readonly crontab: string };
  readonly onDeadPool: () => void;
};

export type Engine = {
  /** Takes no new job, waits for the running ones; after `graceMs` calls `giveUp` so that they give their work back. */
  stop(graceMs: number, giveUp: () => void): Promise<void>;
};

/** Sends under way at once: a carrier request takes 100–200 ms, so this is far above any sender's pace. */
const WORK_SLOTS = 200;
/** Jobs fetched at once. They are locked from then on, so a small number leaves work to other machines. */
const FETCH = 100;
/** Delayed jobs start on this tick; new ones are signalled. */
const POLL_MS = 200;
/** Finished jobs are deleted in batches; a crash before that only makes a stale job. */
const COMPLETE_DELAY_MS = 5;

/**
 * Taking and ending jobs does not wait for the disk: it would be one more flush in each hop of a text. What our handlers
 * write does wait, and a flush takes everything before it along; a lock or an end that a crash of the server undoes is a
 * job that runs once more and finds its token stale or its part gone.
 */
const JOB_COMMITS = '-c synchronous_commit=off';

/** Starts both pools and says that this process lives. */
export async function startEngine(deps: EngineDeps): Promise<Engine> {
  const { logger } = deps;
  const lockSql = openSql(deps.connection, { role: 'darkspere_worker', max: 1 });
  const liveness = await startLiveness({ sql: lockSql, logger, onDeadPool: deps.onDeadPool }).catch(async (error) => {
    await lockSql.end({ timeout: 1 });
    throw error;
  });
  const config = pgConfig(deps.connection, 'darkspere_worker');
  const pool = new pg.Pool({ ...config, options: `${config.options} ${JOB_COMMITS}`, max: 10 });
  pool.on('error', (error) => logger.warn({ error: error.message }, 'a job connection broke'));
  pool.on('connect', (client) => {
    client.on('error', () => {});
  });
  const pools: WorkerPool[] = [];
  const start = async (taskList: TaskList, slots: number, crontab?: string): Promise<Runner> => {
    const events = new EventEmitter();
    events.on('pool:create', ({ workerPool }: { workerPool: WorkerPool }) => pools.push(workerPool));
    const runner = await run({
      pgPool: pool,
      taskList,
      events,
      noHandleSignals: true,
      logger: jobLogger(logger),
      parsedCronItems: crontab === undefined ? [] : parseCrontab(crontab),
      preset: {
        worker: {
          concurrentJobs: slots,
          pollInterval: POLL_MS,
          localQueue: { size: Math.min(FETCH, slots) },
          completeJobBatchDelay: COMPLETE_DELAY_MS,
          failJobBatchDelay: COMPLETE_DELAY_MS,
        },
      },
    });
    await liveness.watch(pools.map((each) => each.id));
    return runner;
  };
  const runners = [
    await start(deps.tasks.turns, deps.concurrency),
    await start(deps.tasks.work, WORK_SLOTS, deps.tasks.crontab),
  ];

  return {
    async stop(graceMs, giveUp) {
      const timer = setTimeout(giveUp, graceMs);
      for (const runner of runners) {
        await runner
          .stop()
          .catch((error) => logger.warn({ error: messageOf(error) }, 'a job pool did not stop cleanly'));
      }
      clearTimeout(timer);
      await liveness
        .leave()
        .catch((error) => logger.warn({ error: messageOf(error) }, 'could not leave the list of pools'));
      await Promise.all([pool.end(), lockSql.end({ timeout: 1 })]);
    },
  };
}

/**
 * The library's own lines. Its "completed task" per job is noise at our rates, and its warnings are advice on pool and
 * batch sizes that were chosen on purpose; what matters of a lost database the heartbeat says.
 */
function jobLogger(logger: Logger): JobLogger {
  return new JobLogger(() => (level, message) => {
    if (level === 'error') logger.error({ source: 'jobs' }, message);
    else if (level === 'warning') logger.debug({ source: 'jobs' }, message);
  });
}
