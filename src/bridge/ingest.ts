// A text comes in: judged, then stored with every other text of the moment in one commit. The webhook is answered after it.
import type { Inbound } from '../channels/channel.ts';
import { isItemFault, retryRollbacks } from '../database/faults.ts';
import { microBatch } from '../database/micro-batch.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { type ArrivingText, ingestTexts, type TakenText } from './store.ts';

/** Two batches under way: one is in the database while the next fills. */
const MAX_BATCH = 256;
const FLIGHTS = 2;
const MAX_WAITING = 20_000;

export type IngestDeps = {
  readonly sql: Sql;
  readonly quietMs: number;
  readonly optOutScope: string | null;
  ourNumbers(): ReadonlySet<string>;
};

export type Ingest = {
  /** Resolves when the text is durable; null for one that was already there. */
  take(text: Inbound): Promise<TakenText | null>;
  /** Stores texts in this order in one commit of their own. */
  takeAll(texts: readonly Inbound[]): Promise<void>;
};

export function createIngest(deps: IngestDeps): Ingest {
  const batch = microBatch<ArrivingText, TakenText | null>({
    maxSize: MAX_BATCH,
    flights: FLIGHTS,
    maxWaiting: MAX_WAITING,
    flush: (texts) => ingestTexts(deps.sql, texts, deps),
    // A batch that waits for a lock of somebody else's must not be overtaken by what one of its own people says next.
    nameOf: ({ channel, to, from }) => `${channel} ${to} ${from}`,
    isItemFault,
    refuse: () => new DarkspereError('storage_unavailable', 'Too many texts are waiting for the database.'),
  });
  const judged = (text: Inbound): ArrivingText => ({ ...text, refused: refusal(text, deps.ourNumbers()) });
  return {
    take: (text) => batch.add(judged(text)),
    async takeAll(texts) {
      await retryRollbacks(() => ingestTexts(deps.sql, texts.map(judged), deps));
    },
  };
}

/** Kept with the text; one from somebody who has opted out is refused as `opted_out`, by the database. */
export type Refusal = 'own_number' | 'short_code' | 'alphanumeric_sender';

/**
 * Why a sender gets no answer, or null. Answering our own numbers, short codes or alphanumeric senders would talk to
 * machines, in a circle and at our cost.
 */
function refusal(text: Inbound, ours: ReadonlySet<string>): Refusal | null {
  if (ours.has(text.from)) return 'own_number';
  if (text.channel !== 'sms') return null;
  // A country code and four or five digits are a person's whole number in the Falklands, on Niue or St Helena.
  if (/^\+\d{7,15}$/.test(text.from)) return null;
  return /^\+?\d{3,8}$/.test(text.from) ? 'short_code' : 'alphanumeric_sender';
}
