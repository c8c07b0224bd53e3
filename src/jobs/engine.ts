// graphile-worker runs everything that happens later. Two pools a process: turns wait for agents and may fill their slots
// for minutes; sends and housekeeping must never stand behind them.
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Job,
  Logger as JobLogger,
  parseCrontab,
  type Runner,
  run,
  type TaskList,
  type WorkerPool,
} from 'graphile-worker';
import type { Connection } from '../database/connection.ts';
import { openJobPool } from '../database/job-pool.ts';
import type { Outage } from '../database/outage.ts';
import { openSql } from '../database/pools.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import { startLiveness } from './liveness.ts';

export type EngineDeps = {
  readonly connection: Connection;
  /** Under this name the process says that it lives. */
  readonly poolId: string;
  readonly logger: Logger;
  readonly outage: Outage;
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
/**
 * What was fetched and finds no slot goes back after this: another worker may have one. The library looks again as soon as
 * a slot is free.
 */
const RETURN_MS = 500;
/** Delayed turns start on this tick; new ones are signalled. */
const TURN_POLL_MS = 200;
/** Sends start on this one: twenty looks a second cost less than one for every new job. */
const WORK_POLL_MS = 50;
/** Finished jobs are deleted in batches; a crash before that only makes a stale job. */
const COMPLETE_DELAY_MS = 5;
/** One listens, one looks for jobs, one ends them, and one to spare. */
const JOB_CONNECTIONS = 4;
/** What still does not end this long after it was told to is left behind: its jobs are taken over. */
const LEAVE_MS = 5_000;
/** A heartbeat that gets no answer begins anew on another connection before others take this process for dead. */
const BEAT_SILENCE_MS = 6_000;
/** Between tries to start a pool again. */
const REPLACE_MS = 200;

/**
 * Taking and ending jobs does not wait for the disk: it would be one more flush in each hop of a text. What our handlers
 * write does wait, and a flush takes everything before it along; a lock or an end that a crash of the server undoes is a
 * job that runs once more and finds its token stale or its part gone.
 */
const JOB_COMMITS = '-c synchronous_commit=off';

/** Starts both pools and says that this process lives. */
export async function startEngine(deps: EngineDeps): Promise<Engine> {
  const { logger, outage, poolId, onDeadPool } = deps;
  /** Pools that hold jobs, by their runner: what they are called, and what they were given and have not ended or returned. */
  const running = new Map<Runner, { readonly id: string; readonly jobs: ReadonlySet<string> }>();
  const lockSql = openSql(deps.connection, { role: 'darkspere_worker', max: 1, silenceMs: BEAT_SILENCE_MS });
  const held = () => [...running.values()].flatMap(({ jobs }) => [...jobs]);
  const liveness = await startLiveness({ sql: lockSql, logger, outage, poolId, held, onDeadPool }).catch(
    async (error) => {
      await lockSql.end({ timeout: 1 });
      throw error;
    },
  );
  /** All there ever were: one that gave up may still write down the end of its last jobs. */
  const workerIds: string[] = [];
  const pool = openJobPool(deps.connection, {
    role: 'darkspere_worker',
    max: JOB_CONNECTIONS,
    settings: JOB_COMMITS,
    workerIds: () => workerIds,
    onFailure: (error) => {
      if (!outage.noticed(error)) logger.warn({ error: messageOf(error) }, 'a job connection broke');
    },
  });
  let stopping = false;
  /** Pools that are taking the place of others. */
  const replacing = new Set<Promise<void>>();

  async function start(spec: PoolSpec): Promise<void> {
    const events = new EventEmitter();
    let workerPoolId = '';
    const jobs = new Set<string>();
    events.on('localQueue:getJobs:complete', ({ jobs: taken }: { jobs: readonly Job[] }) => {
      for (const { id } of taken) jobs.add(id);
    });
    events.on('localQueue:returnJobs', ({ jobs: returned }: { jobs: readonly Job[] }) => {
      for (const { id } of returned) jobs.delete(id);
    });
    events.on('job:complete', ({ job }: { job: Job }) => void jobs.delete(job.id));
    events.on('pool:create', ({ workerPool }: { workerPool: WorkerPool }) => {
      workerPoolId = workerPool.id;
      workerIds.push(workerPoolId);
      // The library wakes every pool at every new job, and each look costs the database as much as a step of a text.
      if (!spec.isWoken) workerPool.nudge = () => {};
    });
    // A pool that cannot write down the end of a job, as when its connection breaks over it, shuts itself down (graphile-worker
    // 0.18 gives up after one try). Its running jobs may take a minute: another pool starts meanwhile.
    let runner: Runner | undefined;
    let isReplaced = false;
    const giveUp = (error: unknown) => {
      if (isReplaced || stopping) return;
      isReplaced = true;
      if (!outage.noticed(error))
        logger.warn({ error: messageOf(error) }, 'a job pool gave up; another takes its place');
      const started = replace(spec).finally(() => replacing.delete(started));
      replacing.add(started);
    };
    events.once('pool:fatalError', ({ error }: { error: unknown }) => giveUp(error));
    events.once('pool:gracefulShutdown', ({ message }: { message: string }) => giveUp(new Error(message)));
    // What it may run it asks once. When that question fails it keeps the failure for an answer and never takes a job, so a pool
    // in trouble before its first look is none.
    let hasLooked = false;
    events.once('localQueue:getJobs:complete', () => {
      hasLooked = true;
    });
    const troubled = (error: unknown) => {
      liveness.suspect();
      if (hasLooked || runner === undefined) return;
      giveUp(error);
      void runner.stop().catch(() => {});
    };
    runner = await run({
      pgPool: pool,
      taskList: spec.tasks,
      events,
      noHandleSignals: true,
      logger: jobLogger(logger, outage, troubled),
      parsedCronItems: parseCrontab(spec.crontab),
      preset: {
        worker: {
          concurrentJobs: spec.slots,
          pollInterval: spec.pollMs,
          localQueue: { size: Math.min(FETCH, spec.slots), ttl: RETURN_MS },
          completeJobBatchDelay: COMPLETE_DELAY_MS,
          failJobBatchDelay: COMPLETE_DELAY_MS,
        },
      },
    });
    if (stopping) return void (await runner.stop().catch(() => {}));
    running.set(runner, { id: workerPoolId, jobs });
    // What an ended pool still has locked belongs to nobody once it is off this list, and is given back.
    runner.promise
      .then(() => giveUp(new Error('a job pool ended by itself')), giveUp)
      .finally(() => {
        running.delete(runner);
        if (!stopping) void liveness.watch(workersOf(running));
      });
    await liveness.watch(workersOf(running));
  }

  async function replace(spec: PoolSpec): Promise<void> {
    while (!stopping) {
      try {
        return await start(spec);
      } catch (error) {
        if (!outage.noticed(error))
          logger.warn({ error: messageOf(error) }, 'a job pool could not start; trying again');
        await sleep(REPLACE_MS);
      }
    }
  }

  await start({ tasks: deps.tasks.turns, slots: deps.concurrency, crontab: '', isWoken: true, pollMs: TURN_POLL_MS });
  // What is due at once was sent by the process that wrote it; what comes this way may wait for the tick.
  await start({
    tasks: deps.tasks.work,
    slots: WORK_SLOTS,
    crontab: deps.tasks.crontab,
    isWoken: false,
    pollMs: WORK_POLL_MS,
  });

  return {
    async stop(graceMs, giveUp) {
      stopping = true;
      const timer = setTimeout(giveUp, graceMs);
      const ended = Promise.all([
        ...[...running.keys()].map((runner) =>
          runner.stop().catch((error) => logger.warn({ error: messageOf(error) }, 'a job pool did not stop cleanly')),
        ),
        ...replacing,
      ]);
      const late = sleep(graceMs + LEAVE_MS, 'late', { ref: false });
      if ((await Promise.race([ended, late])) === 'late')
        logger.warn('jobs did not end in time; they will be taken over');
      clearTimeout(timer);
      const left = liveness
        .leave()
        .catch((error) => logger.warn({ error: messageOf(error) }, 'could not leave the list of pools'));
      await Promise.race([left, sleep(LEAVE_MS, undefined, { ref: false })]);
      const closed = Promise.all([pool.end(), lockSql.end({ timeout: 1 })]);
      await Promise.race([closed, sleep(LEAVE_MS, undefined, { ref: false })]);
    },
  };
}

function workersOf(running: ReadonlyMap<Runner, { readonly id: string }>): string[] {
  return [...running.values()].map(({ id }) => id);
}

type PoolSpec = {
  readonly tasks: TaskList;
  readonly slots: number;
  readonly crontab: string;
  /** Looks for jobs when one is added; otherwise only on the tick. */
  readonly isWoken: boolean;
  readonly pollMs: number;
};

/**
 * The library's own lines. Its "completed task" per job is noise at our rates, its warnings are advice on pool and batch sizes
 * that were chosen on purpose, and what it says of a database that is away, for every look and every job, is said once.
 */
function jobLogger(logger: Logger, outage: Outage, troubled: (error: unknown) => void): JobLogger {
  return new JobLogger(() => (level, message, meta) => {
    if (level === 'error') {
      troubled(meta?.error ?? new Error(message));
      if (!outage.noticed(meta?.error)) logger.error({ source: 'jobs' }, message);
    } else if (level === 'warning') logger.debug({ source: 'jobs' }, message);
  });
}
