// Every job there is: name → payload → handler → schedule. Payloads are ours (only our SQL functions add jobs).
import { setTimeout as sleep } from 'node:timers/promises';
import type { Task, TaskList } from 'graphile-worker';
import type { HealthRecorder } from '../agents/health-recorder.ts';
import type { ProbePayload, Prober } from '../agents/prober.ts';
import type { SessionEvents, SessionEventsPayload } from '../agents/session-events.ts';
import { probeNow, type StagedProbePayload } from '../agents/staged-probe/request.ts';
import type { Mailbox, TurnPayload } from '../bridge/mailbox.ts';
import type { Outbound, SendPayload } from '../bridge/outbound.ts';
import { closeDeferred, findDeferral } from '../bridge/posts.ts';
import { isCancelled, mayPass } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import type { ChatPayload, Chats } from '../inbox/agent-chat.ts';
import { indexMessages } from '../inbox/index-messages.ts';
import type { Replayer, ReplayPayload } from '../inbox/replay.ts';
import { endTakeover } from '../inbox/takeover.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';

export type CatalogueDeps = {
  readonly sql: Sql;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'turns'>;
  readonly mailbox: Mailbox;
  readonly replays: Replayer;
  readonly chats: Chats;
  readonly stagedProbes: Parameters<typeof probeNow>[0];
  readonly outbound: Outbound;
  readonly settle: (payload: SendPayload) => Promise<void>;
  readonly health: Pick<HealthRecorder, 'recordSuccess' | 'recordFailure'>;
  /** Null: agents are not probed. */
  readonly prober: Prober | null;
  readonly sessionEvents: SessionEvents;
  readonly pacing: boolean;
};

/** UTC. Missed runs are not caught up: each of these looks at the whole state. Those that come again soon are tried once. */
const CRONTAB = `
* * * * * index-messages ?max=1
* * * * * ensure-probes ?max=1
*/5 * * * * end-idle-sessions ?max=1
*/5 * * * * rescue-conversations ?max=1
*/5 * * * * prune-health ?max=1
13 * * * * prune-receipts
43 * * * * prune-jobs
27 3 * * * rotate-partitions
`;

export function jobCatalogue(deps: CatalogueDeps): { turns: TaskList; work: TaskList; crontab: string } {
  const {
    sql,
    logger,
    metrics,
    mailbox,
    replays,
    chats,
    stagedProbes,
    outbound,
    settle,
    health,
    prober,
    sessionEvents,
    pacing,
  } = deps;
  return {
    crontab: CRONTAB,
    turns: {
      // Answers a conversation's waiting texts. Retried by the mailbox itself.
      turn: task<TurnPayload>((payload) => mailbox.run(payload)),
      // Asks an agent a turn again, for an operator. It waits for agents like a turn, and behind those.
      replay: task<ReplayPayload>((payload) => replays.run(payload)),
      // Asks an agent what an operator has written to it, to try it.
      'agent-chat': task<ChatPayload>((payload) => chats.run(payload)),
      // Looks at an agent stage by stage, for an operator who waits for it.
      'staged-probe': task<StagedProbePayload>(async (payload, signal) => {
        await probeNow(stagedProbes, payload, signal);
      }),
    },
    work: {
      // Hands one part to the carrier at its reserved time.
      send: task<SendPayload>((payload) => outbound.send(payload)),
      // Finds out what became of a part whose send has no known end.
      settle: task<SendPayload>((payload) => settle(payload)),
      // An agent said 202: its time is over.
      'close-deferred': task<{ turn: string }>(async ({ turn }) => {
        if (await closeDeferred(sql, turn, pacing)) {
          // It was counted as deferred; that nobody answered its person is known only now.
          metrics.turns.inc({ state: 'fell_back' });
          logger.warn({ turn }, 'an agent deferred its answer and never gave it');
          const deferral = await findDeferral(sql, turn);
          // From its beginning: a restart of an agent that loses a hundred promises is one failure.
          if (deferral !== null) health.recordFailure(deferral.agentId, 'timeout', deferral.startedAt);
        }
      }),
      // The answer that an agent had promised with 202 has come: only now has its call succeeded.
      'deferred-answered': task<{ turn: string }>(async ({ turn }) => {
        const deferral = await findDeferral(sql, turn);
        if (deferral !== null) health.recordSuccess(deferral.agentId, deferral.ms);
      }),
      // An operator has done nothing for a while with a conversation that they had taken over.
      'end-takeover': task<{ c: string }>(async ({ c }) => {
        if (await endTakeover(sql, c))
          logger.info({ conversation: c }, 'the time of an operator is over; the agent answers again');
      }),
      // Looks how an agent is when no call has said so.
      probe: task<ProbePayload>(async (payload) => {
        await prober?.run(payload);
      }),
      // Tells an agent that asked for it of a session that has become its own or is over.
      'session-events': task<SessionEventsPayload>((payload) => sessionEvents.run(payload)),
      'ensure-probes': chore(async () => {
        await prober?.ensure();
      }),
      'prune-health': chore(async () => {
        await sql`select keep_health_history()`;
        await sql`select prune_health(), prune_chats()`;
      }),
      // What the console finds texts with is made here, behind the text path.
      'index-messages': chore(async (_payload, signal) => {
        await indexMessages(sql, signal);
      }),
      'end-idle-sessions': chore(async () => {
        await sql`select end_idle_sessions()`;
      }),
      'rescue-conversations': chore(async () => {
        const [texts] = await sql<{ n: number }[]>`select rescue_conversations('5 minutes') as n`;
        if (texts!.n > 0) logger.error({ conversations: texts!.n }, 'texts waited without a job; they have one now');
        const [parts] = await sql<{ n: number }[]>`select rescue_parts('5 minutes') as n`;
        if (parts!.n > 0) logger.error({ jobs: parts!.n }, 'parts waited without a job; they have one now');
      }),
      'prune-receipts': chore(async () => {
        for (let pruned = 1; pruned > 0; ) {
          const [row] = await sql<{ n: number }[]>`select prune_receipts() as n`;
          pruned = row!.n;
        }
      }),
      // A job that was tried a thousand times is dead: the library keeps it for ever, and its conversation seems to have one.
      'prune-jobs': chore(async () => {
        const dead = await sql<{ failed: boolean }[]>`
          delete from graphile_worker._private_jobs where attempts >= max_attempts and locked_at is null
          returning last_error is not null and max_attempts > 1 as failed`;
        // The others were replaced while they ran, or come again soon anyway.
        const jobs = dead.filter(({ failed }) => failed).length;
        if (jobs > 0) logger.error({ source: 'jobs', jobs }, 'jobs that never succeeded were removed');
      }),
      'rotate-partitions': chore(async () => {
        await sql`select ensure_partitions(), drop_old_partitions(), prune_replays()`;
      }),
    },
  };
}

const LOOK_AGAIN_MS = 250;

/**
 * A job that meets a database that is away waits for it: the library would try again after e^attempts seconds, long after it is
 * back. All of these may be begun anew; the one that ends with the process is taken over like any other.
 */
function task<P>(
  handler: (payload: P, signal: AbortSignal | undefined) => Promise<void>,
  isWaitedFor: (error: unknown) => boolean = mayPass,
): Task {
  return async (payload, { abortSignal }) => {
    for (;;) {
      try {
        return await handler(payload as P, abortSignal);
      } catch (error) {
        if (!isWaitedFor(error) || abortSignal?.aborted) throw error;
        await sleep(LOOK_AGAIN_MS);
      }
    }
  };
}

/** One that looks at all there is: where that takes longer than a statement may, it would again at once. The library tries later, if at all. */
function chore(handler: (payload: unknown, signal: AbortSignal | undefined) => Promise<void>): Task {
  return task(handler, (error) => mayPass(error) && !isCancelled(error));
}
