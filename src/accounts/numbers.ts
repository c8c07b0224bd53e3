// Our own numbers. The environment names the first ones; the table is the truth from then on.
import type { Outage } from '../database/outage.ts';
import type { Sql } from '../database/pools.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';

export type OurNumbers = {
  /** Active numbers, E.164, as of the last look. */
  current(): ReadonlySet<string>;
  /** How people choose an agent at a number, as of the last look: whether by name, and the number's own words. */
  choosing(address: string): AgentChoosing;
  /** False while the table was never read: a number that is missing may be ours all the same. */
  areKnown(): boolean;
  read(): Promise<void>;
  close(): void;
};

/** Bare word → what it leads to: any agent of a type, or the agent of a name. */
export type NumberWords = Readonly<Record<string, { readonly type: string } | { readonly agent: string }>>;

export type AgentChoosing = {
  /** Whether AGENTS and USE mean anything. */
  readonly isOffered: boolean;
  readonly words: NumberWords;
};

const NO_CHOICE: AgentChoosing = { isOffered: false, words: {} };

const REFRESH_MS = 5_000;

/** Puts the numbers of the environment into the table; those already there keep their settings. */
export async function keepNumbers(sql: Sql, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    await sql`
      insert into phone_numbers (address, segments_per_second) values (${address}, ${segmentsPerSecond(address)})
      on conflict (address) do update set is_active = true`;
  }
}

/**
 * What carriers take from a sender, segments per second (Twilio: 1 for a US long code, 3 toll-free, 100 short code).
 * A 10DLC campaign may allow more: `darkspere numbers set … --mps`.
 */
export function segmentsPerSecond(address: string): number {
  if (/^\+1(800|833|844|855|866|877|888)\d{7}$/.test(address)) return 3;
  return /^\d{3,8}$/.test(address) ? 100 : 1;
}

/**
 * Opens a snapshot of the active numbers that follows the table. Until the table was read it holds `configured`; call
 * `read` as soon as that is possible, and at once where nothing works without it.
 */
export function openNumbers(
  sql: Sql,
  { configured, logger, outage }: { configured: readonly string[]; logger: Logger; outage: Outage },
): OurNumbers {
  let numbers: ReadonlySet<string> = new Set(configured);
  let choosing: ReadonlyMap<string, AgentChoosing> = new Map();
  let isRead = false;
  const read = async () => {
    const rows = await sql<{ address: string; agent_choice: boolean; keywords: NumberWords }[]>`
      select address, agent_choice, keywords from phone_numbers where is_active`;
    numbers = new Set(rows.map((row) => row.address));
    choosing = new Map(rows.map((row) => [row.address, { isOffered: row.agent_choice, words: row.keywords }]));
    isRead = true;
    outage.over();
  };
  const timer = setInterval(() => {
    if (!isRead) return;
    read().catch((error) => {
      if (!outage.noticed(error)) logger.warn({ error: messageOf(error) }, 'could not read the phone numbers');
    });
  }, REFRESH_MS);
  timer.unref();
  return {
    current: () => numbers,
    choosing: (address) => choosing.get(address) ?? NO_CHOICE,
    areKnown: () => isRead,
    read,
    close: () => clearInterval(timer),
  };
}
