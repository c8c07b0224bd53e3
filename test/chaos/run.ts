// One run: people text while everything breaks, then all is put right, all work comes to its end, and the history is checked.
import { setTimeout as pause } from 'node:timers/promises';
import { check, leftAfterStop, type Violation } from './checker.ts';
import { startCrowd } from './crowd.ts';
import { acceptedFrom, type History, wordsIn } from './history.ts';
import { partsSentLate } from './late-requests.ts';
import { unleash } from './nemesis.ts';
import { OUR_NUMBERS, openPlace, type Place } from './place.ts';
import { openJobs, type Rows, readRows } from './rows.ts';
import { type FaultName, type Step, scheduleOf } from './schedule.ts';

export type RunOptions = {
  readonly seed: number;
  readonly people: number;
  readonly texts: number;
  readonly durationMs: number;
  /** Time between faults, on average. */
  readonly everyMs: number;
  readonly gateways: number;
  readonly workers: number;
  /** Keep on disk what the database cannot take. In order with one gateway only: two do not know of each other's. */
  readonly spool: boolean;
  /** Parts reserve their times. */
  readonly pacing: boolean;
  /**
   * An unknown part is given up at the carrier after a minute. With `short`, that minute passes at once as soon as no request
   * can be under way any more.
   */
  readonly grace: 'real' | 'short';
  /** How long everything may take to come to an end after the last fault. */
  readonly settleMs: number;
  readonly say: (line: string) => void;
  /** Told how to take everything down before the end. */
  readonly opened?: (close: () => Promise<void>) => void;
};

export type Figures = {
  readonly texts: number;
  readonly acked: number;
  /** Webhooks posted: repeats and duplicates included. */
  readonly posts: number;
  readonly answered: number;
  readonly fellBack: number;
  /** Why turns found nobody who could answer, how many of each reason, and when, seconds since the first text: nobody should have to guess. */
  readonly fellBackWhy: Readonly<Record<string, { turns: number; firstAtS: number; lastAtS: number }>>;
  /** Got neither: a STOP cancelled them, they came after one, or their answer was not to leave any more. */
  readonly stopped: number;
  /** Taken by the carrier after the 200 to a STOP: a worker had claimed them before it. */
  readonly onTheWire: number;
  /** Parts sent twice because a request was on its way to the carrier for more than a minute. */
  readonly sentLate: number;
  readonly sent: number;
  readonly agentCalls: number;
  /** Late answers and texts of agents' own that were taken. */
  readonly agentPosts: number;
  /** Parts of which nobody knew the end for a while. */
  readonly unknown: number;
  readonly restarts: number;
  /** Deaths of processes that nobody asked for, each with its last words. */
  readonly surprises: readonly string[];
  /** Conversations that only the net below the mailbox found. */
  readonly rescues: number;
  readonly faults: Readonly<Partial<Record<FaultName, number>>>;
  /** From the 200 to the carrier, milliseconds. */
  readonly answerMs: { readonly p50: number; readonly p99: number };
};

export type RunResult = {
  readonly schedule: readonly Step[];
  readonly history: History;
  readonly rows: Rows;
  readonly violations: readonly Violation[];
  readonly figures: Figures;
};

/** Makes one run. Everything it starts is gone afterwards. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, say } = options;
  const place = await openPlace(options);
  options.opened?.(place.close);
  try {
    const schedule = scheduleOf(seed, place.targets, options.durationMs, options.everyMs);
    const crowd = startCrowd({
      ...options,
      numbers: OUR_NUMBERS,
      webhookUrl: place.webhookUrl,
      account: place.account,
    });
    const progress = setInterval(() => say(`  ${crowd.acked} of ${crowd.planned} texts taken`), 10_000);
    try {
      await unleash(place, schedule, say).done;
      await crowd.done;
    } finally {
      clearInterval(progress);
    }
    say('everything is put right; waiting for the end of all work');
    const unknown = await settle(place, options);
    for (const one of place.processes) await one.stop('SIGTERM');
    const history: History = {
      texts: crowd.texts,
      calls: place.calls,
      posts: place.posts,
      accepted: acceptedFrom(place.simulator.messages()),
    };
    const rows = await readRows(place.sql);
    const figures = figuresOf(place, history, rows, schedule, unknown);
    return { schedule, history, rows, violations: check(history, rows), figures };
  } finally {
    await place.close();
  }
}

const LOOK_MS = 250;
/** When the carrier took nothing for this long after all wires were put right, no request to it is on any of them. */
const UNDER_WAY_MS = 7_000;

/** Waits until nothing is open any more, or the time is over: what is open then is a violation. Gives the unknown parts seen. */
async function settle({ sql, simulator, posts }: Place, { settleMs, grace, say }: RunOptions): Promise<number> {
  const startedMs = performance.now();
  const unknown = new Set<string>();
  let quietSince = performance.now();
  let textsOut = simulator.counts.textsOut;
  let last: readonly { what: string; id: string }[] = [];
  while (performance.now() - startedMs < settleMs) {
    const open = await sql<{ what: string; id: string }[]>`
      select 'waiting' as what, id::text from conversations where last_seq > done_seq or running_turn is not null
      union all select state, id::text from outbound_parts where state in ('queued', 'sending', 'unknown')
      union all select state, id::text from turns where state = 'deferred'
      union all select concat_ws(' ', 'job', task, key, state), id from (${openJobs(sql)}) jobs`.catch(() => null);
    last = open ?? last;
    for (const row of open ?? []) if (row.what === 'unknown') unknown.add(row.id);
    if (open?.length === 0 && posts.every(({ end }) => end !== 'open')) return unknown.size;
    if (textsOut !== simulator.counts.textsOut) {
      textsOut = simulator.counts.textsOut;
      quietSince = performance.now();
    }
    if (grace === 'short' && performance.now() - quietSince > UNDER_WAY_MS) {
      await sql`
        update outbound_parts set sending_at = sending_at - interval '2 minutes'
        where state = 'unknown' and sending_at > now() - interval '1 minute'`;
      // Where the carrier refused the account the next try is a minute away as well.
      await sql`
        update graphile_worker._private_jobs set run_at = now()
        where locked_at is null and (key like 'settle:%' or key in (
          select 'send:' || id from outbound_parts where state = 'queued' and attempts > 0))`;
    }
    await pause(LOOK_MS);
  }
  // Now, with everybody alive: a process that is stopped gives back what it has, and the rows look another way.
  for (const { what, id } of last.slice(0, 20)) say(`still open: ${what} ${id}`);
  return unknown.size;
}

function whyFellBack(history: History, rows: Rows): Figures['fellBackWhy'] {
  const startedMs = Math.min(...history.texts.flatMap(({ ackedAtMs }) => ackedAtMs ?? []));
  const turns = rows.turns.filter((turn) => turn.state === 'fell_back');
  return Object.fromEntries(
    [...Map.groupBy(turns, ({ error_code }) => error_code ?? 'no reason')].map(([code, all]) => {
      const at = all.flatMap(({ ended_at }) => (ended_at ? Math.round((ended_at.getTime() - startedMs) / 1000) : []));
      return [code, { turns: all.length, firstAtS: Math.min(...at), lastAtS: Math.max(...at) }];
    }),
  );
}

function figuresOf(place: Place, history: History, rows: Rows, schedule: readonly Step[], unknown: number): Figures {
  const texts = history.texts.filter((text) => text.kind === 'text');
  const answeredAt = new Map<string, number>();
  for (const { body, atMs } of history.accepted)
    for (const word of wordsIn(body)) if (!answeredAt.has(word)) answeredAt.set(word, atMs);
  const took = texts
    .flatMap(({ body, ackedAtMs }) => {
      const at = answeredAt.get(body);
      return at === undefined || ackedAtMs === null ? [] : [Math.max(0, at - ackedAtMs)];
    })
    .sort((a, b) => a - b);
  const quantile = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  const textsOf = (state: string) =>
    rows.turns.filter((turn) => turn.state === state).reduce((sum, turn) => sum + turn.to_seq - turn.from_seq + 1, 0);
  const fellBack = textsOf('fell_back');
  const silent = texts.filter((text) => text.ackedAtMs !== null && !answeredAt.has(text.body)).length;
  const faults: Partial<Record<FaultName, number>> = {};
  for (const { fault } of schedule) faults[fault] = (faults[fault] ?? 0) + 1;
  const sum = (of: (one: Place['processes'][number]) => number) =>
    place.processes.reduce((total, one) => total + of(one), 0);
  return {
    texts: texts.length,
    acked: texts.filter((text) => text.ackedAtMs !== null).length,
    posts: history.texts.reduce((total, text) => total + text.posts, 0),
    answered: texts.filter((text) => answeredAt.has(text.body)).length,
    fellBack,
    fellBackWhy: whyFellBack(history, rows),
    stopped: silent - fellBack,
    onTheWire: leftAfterStop(history, rows),
    sentLate: partsSentLate(history, rows).size,
    sent: history.accepted.length,
    agentCalls: history.calls.length,
    agentPosts: history.posts.filter(({ end }) => end === 'taken').length,
    unknown,
    restarts: sum((one) => one.restarts - 1),
    surprises: place.processes.flatMap((one) => one.surprises()),
    rescues: sum((one) => one.output().split('texts waited without a job').length - 1),
    faults,
    answerMs: { p50: quantile(0.5), p99: quantile(0.99) },
  };
}
