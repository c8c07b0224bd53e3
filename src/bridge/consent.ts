// Keywords come before any agent: STOP, START, HELP, RESET and MORE, and those that choose an agent; each one transaction.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentChoosing } from '../accounts/numbers.ts';
import type { Inbound } from '../channels/channel.ts';
import { retryRollbacks } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { choose } from './choice.ts';
import { choiceOf, isYes, type Keyword, keywordOf } from './keywords.ts';
import { NOTICES, packNotice, packText } from './reply.ts';

export type ConsentDeps = {
  readonly sql: Sql;
  readonly optOutScope: string | null;
  readonly pacing: boolean;
  readonly maxSegments: number;
  /** How people may choose an agent at one of our numbers. */
  choosing(ours: string): AgentChoosing;
  /** How long a STOP waits for the record of sends that were under way, milliseconds. */
  readonly lastSendsMs?: number;
};

export type Consent = {
  /** Handles a text that is a keyword; false when it is a text for the agent. Durable when it resolves. */
  handle(text: Inbound): Promise<boolean>;
  /** Whether `handle` would do more than say no. */
  concerns(text: Inbound): boolean;
  /** Names whom an opt-out concerns: texts with the same name must be handled in order. */
  scopeOf(text: Inbound): string;
  /** Whether it is an opt-out, which counts from when the workers can know it. */
  isStop(text: Inbound): boolean;
};

/** The webhook has 0.9 s, which what a dead worker left behind must not use up. Longer than a claim holds (outbound.ts). */
const LAST_SENDS_MS = 700;
/** From its commit on a STOP waits this long at least, however long the commit took: then the last claim before it holds no more. */
const CLAIM_OVER_MS = 550;
const LOOK_AGAIN_MS = 20;

const HANDLED: Readonly<Record<'STOP' | 'START' | 'HELP', Keyword>> = { STOP: 'stop', START: 'start', HELP: 'help' };

export function createConsent(deps: ConsentDeps): Consent {
  return {
    async handle(text) {
      const keyword = keywordFor(text);
      if (keyword === 'more') return sendMore(deps, text);
      if (keyword) return apply(deps, text, keyword);
      if (isYes(text.text) && (await state(deps, text)).opted_out) return apply(deps, text, 'start');
      const choice = text.optOutHandled ? null : choiceOf(text.text, deps.choosing(text.to));
      return choice !== null && choose(deps, text, choice);
    },
    concerns: (text) =>
      keywordFor(text) !== null || isYes(text.text) || choiceOf(text.text, deps.choosing(text.to)) !== null,
    scopeOf: (text) => `${text.channel} ${deps.optOutScope ?? text.to} ${text.from}`,
    isStop: (text) => keywordFor(text) === 'stop',
  };
}

function keywordFor(text: Inbound): Keyword | null {
  return text.optOutHandled ? HANDLED[text.optOutHandled] : keywordOf(text.text);
}

async function apply(deps: ConsentDeps, text: Inbound, keyword: Exclude<Keyword, 'more'>): Promise<true> {
  // Where the carrier has already confirmed, a second confirmation would be one too many.
  const notice = text.optOutHandled ? null : packNotice(NOTICES[keyword]);
  const startedMs = performance.now();
  await write(deps, text, keyword, notice);
  if (keyword === 'stop') {
    const waitMs = Math.max((deps.lastSendsMs ?? LAST_SENDS_MS) - (performance.now() - startedMs), CLAIM_OVER_MS);
    await lastSends(deps, text, waitMs);
  }
  return true;
}

/**
 * From the commit of a STOP on no part is claimed. One that was claimed before has left, or its worker hears of the STOP and
 * withholds it: waits until that is written down, so that nothing leaves after the STOP is acknowledged.
 */
async function lastSends({ sql, optOutScope }: ConsentDeps, text: Inbound, waitMs: number): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while (performance.now() < untilMs) {
    const [row] = await sql<{ some: boolean }[]>`
      select has_sends_under_way(${text.channel}, ${text.to}, ${text.from}, ${optOutScope}) as some`;
    if (!row?.some) return;
    await sleep(LOOK_AGAIN_MS);
  }
}

async function sendMore(deps: ConsentDeps, text: Inbound): Promise<boolean> {
  for (;;) {
    const { more, max_segments } = await state(deps, text);
    if (more === null) return false;
    const packed = packText(more, max_segments ?? deps.maxSegments);
    // Another MORE, or a new answer, was quicker: what is left now is something else.
    if (await write(deps, text, 'more', packed, { sent: more, rest: packed.more })) return true;
  }
}

type State = { readonly more: string | null; readonly opted_out: boolean; readonly max_segments: number | null };

async function state(deps: ConsentDeps, text: Inbound): Promise<State> {
  const [row] = await deps.sql<State[]>`
    select k.*, n.max_segments from keyword_state(
      ${text.channel}, ${text.to}, ${text.from}, ${deps.optOutScope}, ${text.receivedAt ?? null}) k
    left join phone_numbers n on n.address = ${text.to}`;
  return row ?? { more: null, opted_out: false, max_segments: null };
}

/** False when nothing was written, because `more.sent` is not what is left. */
async function write(
  deps: ConsentDeps,
  text: Inbound,
  keyword: Keyword,
  notice: { body: string; parts: readonly unknown[] } | null,
  more: { sent: string; rest: string | null } | null = null,
): Promise<boolean> {
  const rows = await retryRollbacks(
    () => deps.sql<{ message_id: string | null }[]>`
    select message_id from apply_keyword(${text.channel}, ${text.providerId}, ${text.to}, ${text.from}, ${text.text}, ${keyword},
      ${deps.optOutScope}, ${notice?.body ?? null}, ${notice ? JSON.stringify(notice.parts) : null}::text::json, ${more?.rest ?? null},
      ${deps.pacing}, ${text.receivedAt ?? null}, ${more?.sent ?? null})`,
  );
  return rows[0]?.message_id !== null;
}
