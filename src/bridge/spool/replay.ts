// From spooled records to commits: in order for each person, together across all of them.
import type { Inbound } from '../../channels/channel.ts';
import { isItemFault } from '../../database/faults.ts';
import type { Consent } from '../consent.ts';
import type { Delivery } from '../delivery.ts';
import type { Ingest } from '../ingest.ts';
import type { Found } from './record.ts';

export type ReplayDeps = { readonly consent: Consent; readonly ingest: Ingest; readonly delivery: Delivery };

type FoundText = Found & { readonly entry: { readonly kind: 'text' } };

/** Keywords and callbacks under way at once: one transaction each. */
const ALONE = 8;

/**
 * Brings records to the database and gives those that it refuses for what is in them. Rejects when it cannot be reached;
 * then all of them may be replayed again: what is there already is a duplicate and changes nothing.
 */
export async function replay(records: readonly Found[], deps: ReplayDeps): Promise<Found[]> {
  const refused: Found[] = [];
  for (let rest = records; rest.length > 0; ) {
    const { together, alone, later } = nextWave(rest, deps.consent);
    const queue = alone.values();
    const lane = async () => {
      for (const record of queue) if (!(await passes(() => applyAlone(record, deps)))) refused.push(record);
    };
    const work = [storeTogether(together, deps, refused), ...Array.from({ length: ALONE }, lane)];
    // All have ended before anything is tried again.
    const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    rest = later;
  }
  return refused;
}

type Wave = { together: FoundText[]; alone: Found[]; later: Found[] };

/** Of each person the texts up to the next keyword, or that keyword. */
function nextWave(records: readonly Found[], consent: Consent): Wave {
  const wave: Wave = { together: [], alone: [], later: [] };
  const seen = new Map<string, 'texts' | 'closed'>();
  for (const record of records) {
    if (record.entry.kind === 'status') {
      wave.alone.push(record);
      continue;
    }
    const { text } = record.entry;
    const key = consent.scopeOf(text);
    const isKeyword = consent.concerns(text);
    if (seen.get(key) === 'closed' || (isKeyword && seen.has(key))) {
      seen.set(key, 'closed');
      wave.later.push(record);
    } else if (isKeyword) {
      seen.set(key, 'closed');
      wave.alone.push(record);
    } else {
      seen.set(key, 'texts');
      wave.together.push(record as FoundText);
    }
  }
  return wave;
}

async function storeTogether(records: readonly FoundText[], deps: ReplayDeps, refused: Found[]): Promise<void> {
  if (records.length === 0) return;
  if (await passes(() => deps.ingest.takeAll(records.map(textOf)))) return;
  // One of them broke the statement for all.
  for (const record of records) {
    if (!(await passes(() => deps.ingest.takeAll([textOf(record)])))) refused.push(record);
  }
}

async function applyAlone({ entry }: Found, deps: ReplayDeps): Promise<void> {
  if (entry.kind === 'status') await deps.delivery.apply(entry.report);
  else if (!(await deps.consent.handle(entry.text))) await deps.ingest.takeAll([entry.text]);
}

function textOf({ entry }: FoundText): Inbound {
  return (entry as Extract<Found['entry'], { kind: 'text' }>).text;
}

/** False for data that the database refuses; anything else that goes wrong is thrown. */
async function passes(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!isItemFault(error)) throw error;
    return false;
  }
}
