// What happened in each minute, counted once and kept: a day of a million messages cannot be read every few seconds. A process
// that nobody asks keeps nothing.
import { type Reader, rowsOf } from './reader.ts';

export type Minute = {
  texts_in: number;
  texts_out: number;
  replied: number;
  fell_back: number;
  other: number;
  delivered: number;
  failed: number;
  unknown: number;
  /** How many answers took how long: bucket → count. */
  readonly answers: Map<number, number>;
};

export const MINUTE_MS = 60_000;
/** Minutes are read in chunks of so many. */
const CHUNK_MS = 15 * MINUTE_MS;
/** An older chunk is read again after this time: a part may be delivered or fail hours later. */
const STALE_MS = 10 * MINUTE_MS;
/** Chunks of one statement, when many are missing. */
const MOST_CHUNKS = 16;

export type Minutes = {
  /** Every minute from one moment to another, by its beginning; one in which nothing happened is not there. */
  read(fromMs: number, toMs: number): Promise<ReadonlyMap<number, Minute>>;
};

type Chunk = { readAtMs: number; minutes: Map<number, Minute> };

/** `reader` carries no signal: what one asks for, others get too. */
export function createMinutes(reader: Reader): Minutes {
  const chunks = new Map<number, Chunk>();

  async function load(fromMs: number, toMs: number): Promise<void> {
    const readAtMs = performance.now();
    const minutes = await readMinutes(reader, fromMs, toMs);
    for (let at = fromMs; at < toMs; at += CHUNK_MS) chunks.set(at, { readAtMs, minutes: new Map() });
    for (const [at, minute] of minutes) chunks.get(at - (at % CHUNK_MS))?.minutes.set(at, minute);
  }

  return {
    async read(fromMs, toMs) {
      const first = fromMs - (fromMs % CHUNK_MS);
      for (const at of chunks.keys()) if (at < first) chunks.delete(at);
      const due = chunksDue(chunks, first, toMs);
      for (const [start, end] of due) await load(start, end);
      const all = new Map<number, Minute>();
      for (const { minutes } of chunks.values()) {
        for (const [at, minute] of minutes) if (at >= fromMs && at < toMs) all.set(at, minute);
      }
      return all;
    },
  };
}

/** What has to be read: the newest two chunks, those that are missing, and the one that was read longest ago if that is long. */
function chunksDue(chunks: ReadonlyMap<number, Chunk>, first: number, toMs: number): [number, number][] {
  const nowMs = performance.now();
  let stalest = Number.NaN;
  const due: number[] = [];
  for (let at = first; at < toMs; at += CHUNK_MS) {
    const known = chunks.get(at);
    if (known === undefined || at + 2 * CHUNK_MS > toMs) due.push(at);
    else if (nowMs - known.readAtMs > STALE_MS && !(known.readAtMs >= (chunks.get(stalest)?.readAtMs ?? nowMs)))
      stalest = at;
  }
  if (!Number.isNaN(stalest)) due.push(stalest);
  const ranges: [number, number][] = [];
  for (const at of due.sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] === at && at - last[0] < MOST_CHUNKS * CHUNK_MS) last[1] = at + CHUNK_MS;
    else ranges.push([at, at + CHUNK_MS]);
  }
  return ranges;
}

type Counts = { readonly minute: number } & Partial<Omit<Minute, 'answers'>>;

async function readMinutes(reader: Reader, fromMs: number, toMs: number): Promise<Map<number, Minute>> {
  const { sql } = reader;
  const [from, to] = [new Date(fromMs), new Date(toMs)];
  const within = (id: string) =>
    sql`${sql.unsafe(id)} >= id_at(${from}::timestamptz) and ${sql.unsafe(id)} < id_at(${to}::timestamptz)`;
  const minuteOf = (at: string) =>
    sql`floor(extract(epoch from ${sql.unsafe(at)} - ${from}::timestamptz) / 60)::int as minute`;
  const texts = await rowsOf(
    reader,
    sql<Counts[]>`
      select ${minuteOf('id_time(m.id)')}, count(*) filter (where m.direction = 'in')::int as texts_in,
        count(*) filter (where m.direction = 'out')::int as texts_out
      from messages m where ${within('m.id')} group by 1`,
  );
  const ended = await rowsOf(
    reader,
    sql<(Counts & { bucket: number | null; n: number })[]>`select * from ended_turns(${from}, ${to}, ${GROWTH})`,
  );
  const sent = await rowsOf(
    reader,
    sql<Counts[]>`
      select ${minuteOf('p.created_at')}, count(*) filter (where p.state in ('delivered', 'read'))::int as delivered,
        count(*) filter (where p.state in ('failed', 'undelivered') or p.error_code = 'expired')::int as failed,
        count(*) filter (where p.state = 'unknown')::int as unknown
      from outbound_parts p where ${within('p.id')} group by 1`,
  );
  const minutes = new Map<number, Minute>();
  const add = ({ minute, ...counts }: Counts): Minute => {
    const at = fromMs + minute * MINUTE_MS;
    const sum = minutes.get(at) ?? emptyMinute();
    minutes.set(at, sum);
    addCounts(sum, counts);
    return sum;
  };
  for (const row of [...texts, ...sent]) add(row);
  for (const { bucket, n, ...counts } of ended) {
    const { answers } = add(counts);
    if (bucket !== null) answers.set(bucket, (answers.get(bucket) ?? 0) + n);
  }
  return minutes;
}

export const emptyMinute = (): Minute => ({
  texts_in: 0,
  texts_out: 0,
  replied: 0,
  fell_back: 0,
  other: 0,
  delivered: 0,
  failed: 0,
  unknown: 0,
  answers: new Map(),
});

const COUNTED = ['texts_in', 'texts_out', 'replied', 'fell_back', 'other', 'delivered', 'failed', 'unknown'] as const;

function addCounts(sum: Minute, counts: Partial<Omit<Minute, 'answers'>>): void {
  for (const key of COUNTED) sum[key] += counts[key] ?? 0;
}

/** Several minutes as one. */
export function together(minutes: Iterable<Minute>): Minute {
  const sum = emptyMinute();
  for (const minute of minutes) {
    addCounts(sum, minute);
    for (const [bucket, n] of minute.answers) sum.answers.set(bucket, (sum.answers.get(bucket) ?? 0) + n);
  }
  return sum;
}

/** Each bucket is 4 % wider than the one before: a percentile is right to 2 %. */
const GROWTH = 1.04;

/** The time below which `share` of the answers took, milliseconds; null when there was none. */
export function quantile(answers: ReadonlyMap<number, number>, share: number): number | null {
  const total = [...answers.values()].reduce((sum, n) => sum + n, 0);
  let left = Math.max(1, Math.ceil(total * share));
  for (const [bucket, n] of [...answers].sort(([a], [b]) => a - b)) {
    left -= n;
    if (left <= 0) return Math.round(GROWTH ** (bucket - 0.5) * 10) / 10;
  }
  return null;
}
