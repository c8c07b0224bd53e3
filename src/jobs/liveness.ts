// Who is alive. graphile-worker keeps the jobs of a dead worker locked for four hours (issues #198, #400 of its repository),
// so every process says that it lives, twice: a session lock that PostgreSQL drops with the connection, and a heartbeat for
// the case that a whole host goes away silently. Whoever sees a pool gone gives its jobs back.
import { hostname } from 'node:os';
import type { Outage } from '../database/outage.ts';
import type { Sql } from '../database/pools.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';

export type Liveness = {
  /** Names the graphile-worker pools of this process: their locks fall with it. */
  watch(workerIds: readonly string[]): Promise<void>;
  /** Something went wrong between the library and the database: what was locked then may be known to nobody. */
  suspect(): void;
  /** Gives back whatever this process still has locked and takes it off the list. */
  leave(): Promise<void>;
};

const BEAT_MS = 500;
/** First key of the advisory locks: any constant. */
const LOCK_CLASS = 7_358_003;
/** No lock and no beat for this long: dead. A living pool has its lock back long before, also after a database restart. */
const LOCKLESS_SECONDS = 2;
/** Lock still there but no beat: the host is gone, PostgreSQL has not noticed yet. */
const SILENT_SECONDS = 10;
/** Beats further apart than this, or a clock that moves otherwise than ours, and we have not heard the others either. */
const UNSTEADY_MS = 2_000;
/** A beat this far in the future means that the clock was set back; less than that passes by itself. */
const STEP_SECONDS = 2;
/** Every how many beats locks that nobody knows of are looked for. */
const STRAY_EVERY = 20;
/** How long after a suspicion: by then nothing that was under way comes to its end any more. */
const SUSPECT_BEATS = 8;
/** A job of ours that was locked this long ago has reached us, or never will. */
const LOST_SECONDS = 3;

/** `sql` must be a pool of one connection: it holds the session lock. */
export async function startLiveness(deps: {
  readonly poolId: string;
  readonly sql: Sql;
  readonly logger: Logger;
  readonly outage: Outage;
  /** The jobs that this process knows to be its own. */
  readonly held: () => Iterable<string>;
  readonly onDeadPool: () => void;
}): Promise<Liveness> {
  const { sql, logger, outage, poolId } = deps;
  const lockKey = Math.floor(Math.random() * 2 ** 31);
  let workerIds: readonly string[] = [];
  /** Pools of ours that ended: what they could not give back belongs to nobody. */
  let ended: readonly string[] = [];
  let beats = 0;
  let lookAtBeat = STRAY_EVERY;
  /** The beat before this one, by our clock and by the database's. */
  let last: { readonly monotonicMs: number; readonly databaseMs: number } | null = null;
  /** Since when we have seen every beat of the others, had there been one. */
  let steadySinceMs = 0;
  let current: Promise<void> = Promise.resolve();
  let isOneWaiting = false;

  async function beat(): Promise<void> {
    // The lock first: a row without a lock looks dead.
    await sql`
      select pg_try_advisory_lock(${LOCK_CLASS}, ${lockKey})
      where not exists (
        select 1 from pg_locks
        where locktype = 'advisory' and classid = ${LOCK_CLASS} and objid = ${lockKey} and pid = pg_backend_pid())`;
    await absorbClockStep();
    const [row] = await sql<{ now: Date }[]>`
      insert into worker_pools (pool_id, worker_ids, lock_key, host, pid)
      values (${poolId}, ${workerIds as string[]}, ${lockKey}, ${hostname()}, ${process.pid})
      on conflict (pool_id) do update set heartbeat_at = clock_timestamp(), worker_ids = excluded.worker_ids
      returning clock_timestamp() as now`;
    noteBeat(row!.now.getTime());
    if (ended.length > 0) {
      const freed = ended;
      await sql`select graphile_worker.force_unlock_workers(${freed as string[]})`;
      ended = ended.filter((id) => !freed.includes(id));
    }
    await buryDead();
    outage.over();
    beats += 1;
    if (beats < lookAtBeat) return;
    await freeStrays();
    await freeLost();
    lookAtBeat = beats + STRAY_EVERY;
  }

  /**
   * After an outage everybody's beat is old, and after a jump of the database's clock it looks so. Whoever is back first must not
   * bury the others: silence counts from when we can hear.
   */
  function noteBeat(databaseMs: number): void {
    const monotonicMs = performance.now();
    const gapMs = last === null ? Number.POSITIVE_INFINITY : monotonicMs - last.monotonicMs;
    const jumpMs = last === null ? 0 : databaseMs - last.databaseMs - gapMs;
    if (gapMs > UNSTEADY_MS || Math.abs(jumpMs) > UNSTEADY_MS) steadySinceMs = monotonicMs;
    last = { monotonicMs, databaseMs };
  }

  /** The database's clock was set back: what it had promised for later would wait for the old time. */
  async function absorbClockStep(): Promise<void> {
    // Whoever is second waits for these rows and finds them mended.
    const [row] = await sql<{ seconds: number }[]>`
      with ahead as (
        select pool_id, heartbeat_at from worker_pools
        where heartbeat_at > clock_timestamp() + ${STEP_SECONDS} * interval '1 second'
        order by pool_id
        for update
      ), mended as (
        update worker_pools p set heartbeat_at = clock_timestamp() from ahead where p.pool_id = ahead.pool_id
        returning extract(epoch from ahead.heartbeat_at - clock_timestamp())::float8 as step
      )
      select max(step) as seconds, shift_times(max(step)) from mended having count(*) > 0`;
    if (row) logger.warn({ ms: Math.round(row.seconds * 1000) }, 'the clock of the database was set back');
  }

  async function buryDead(): Promise<void> {
    const steadySeconds = (performance.now() - steadySinceMs) / 1000;
    const dead = await sql<{ pool_id: string }[]>`
      with dead as (
        delete from worker_pools
        where pool_id <> ${poolId} and (
          (${steadySeconds >= SILENT_SECONDS} and heartbeat_at < clock_timestamp() - ${SILENT_SECONDS} * interval '1 second')
          or (${steadySeconds >= LOCKLESS_SECONDS} and heartbeat_at < clock_timestamp() - ${LOCKLESS_SECONDS} * interval '1 second'
            and pg_try_advisory_xact_lock(${LOCK_CLASS}, lock_key)))
        returning pool_id, worker_ids
      )
      select pool_id from dead, lateral (select graphile_worker.force_unlock_workers(worker_ids)) freed`;
    for (const { pool_id } of dead) {
      deps.onDeadPool();
      logger.warn({ pool: pool_id }, 'a worker pool died; its jobs were given back');
    }
  }

  /** Locks whose worker is on no list: it died between taking jobs and its first beat. */
  async function freeStrays(): Promise<void> {
    await sql`
      select graphile_worker.force_unlock_workers(array_agg(distinct locked_by))
      from graphile_worker.jobs
      where locked_at < clock_timestamp() - ${SILENT_SECONDS} * interval '1 second'
        and not exists (select 1 from worker_pools where locked_by = any (worker_ids))
      having count(*) > 0`;
  }

  /**
   * Locks of our own that we do not know of. The library takes jobs in one statement; when the connection breaks between its commit
   * and its answer, they are locked for a living pool that never heard of them, and would be until it ends. One that comes
   * to us after this is run twice, and all but one of the runs find their token stale or their part gone.
   */
  async function freeLost(): Promise<void> {
    const held = [...deps.held()];
    const freed = await sql<{ id: string }[]>`
      update graphile_worker._private_jobs set locked_at = null, locked_by = null
      where locked_by = any (${workerIds as string[]}::text[]) and id <> all (${held}::bigint[])
        and locked_at < clock_timestamp() - ${LOST_SECONDS} * interval '1 second'
      returning id`;
    if (freed.length > 0)
      logger.warn({ source: 'jobs', jobs: freed.length }, 'jobs whose taking got no answer were given back');
  }

  /** One beat at a time, and one that waits for it: over a database that is silent they would pile up, and all come at once. */
  function tick(): void {
    if (isOneWaiting) return;
    isOneWaiting = true;
    current = current
      .then(() => {
        isOneWaiting = false;
        return beat();
      })
      .catch((error) => {
        if (!outage.noticed(error)) logger.warn({ error: messageOf(error) }, 'no heartbeat');
      });
  }

  await beat();
  const timer = setInterval(tick, BEAT_MS);
  return {
    async watch(ids) {
      ended = [...ended, ...workerIds.filter((id) => !ids.includes(id))];
      workerIds = ids;
      tick();
      await current;
    },
    suspect() {
      lookAtBeat = Math.min(lookAtBeat, beats + SUSPECT_BEATS);
    },
    async leave() {
      clearInterval(timer);
      await current;
      await sql`select graphile_worker.force_unlock_workers(${[...workerIds, ...ended]})`;
      await sql`delete from worker_pools where pool_id = ${poolId}`;
    },
  };
}
