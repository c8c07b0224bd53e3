// What the database could not take yet, on this machine's disk: an fsynced file that is drained in order once it is back.
import { mkdir, open, readdir, readFile, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Inbound } from '../../channels/channel.ts';
import { microBatch } from '../../database/micro-batch.ts';
import { DarkspereError, messageOf } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { createJournal, type Line, type Segment, syncFolder } from './journal.ts';
import { openOwnership } from './ownership.ts';
import { type Entry, encodeRecord, type Found, scanRecords } from './record.ts';

export type { Segment } from './journal.ts';
export type { Entry } from './record.ts';

export type Spool = {
  /** Durable when it resolves. Throws `storage_unavailable` when it is full or the disk does not take it. */
  keep(entry: Entry): Promise<void>;
  /** True when a text of the same conversation waits here, or when that is not known yet: a newer one has to follow it. */
  holds(text: Inbound): boolean;
  /** Waiting records and their bytes. */
  readonly records: number;
  readonly bytes: number;
  readonly isFull: boolean;
  /** Takes over what processes that are gone have left. */
  adopt(): Promise<void>;
  /** True once it is known of every process that has left something here whether it lives. */
  readonly isDecided: boolean;
  /** The oldest file to be drained, or null. A file in use is ended first. */
  next(): Promise<Segment | null>;
  /**
   * Its records in order, and the bytes they lie in. Puts aside what is damaged. Null when there is nothing to be drained: another
   * process has it now, or after some tries it still cannot be read and stays where it is.
   */
  read(segment: Segment, isFirst: boolean): Promise<{ found: readonly Found[]; file: Buffer } | null>;
  /** Keeps a record that the database refuses, out of the way of those behind it; on a full disk the whole file. */
  setAside(segment: Segment, record: Pick<Found, 'at' | 'end'>, file: Buffer): Promise<void>;
  /** Everything of it is in the database. */
  remove(segment: Segment): Promise<void>;
  close(): Promise<void>;
};

export type SpoolOptions = {
  readonly directory: string;
  readonly maxBytes: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
};

/** Records behind one fsync, and those that may wait for one: more would only fill the memory. */
const MAX_BATCH = 512;
const MAX_WAITING = 20_000;
/** A webhook is no larger than this. */
const LARGEST = 64 * 1024;
/**
 * Conversations are counted in so many slots by a hash. Two that share a slot only make a text wait that need not, and the
 * memory stays the same however much waits.
 */
const SLOTS = 65_536;
/** A disk may have a bad moment; what cannot be read after so many looks must not keep the rest from being drained. */
const READS = 20;
const UNREADABLE = 'a part of the spool cannot be read: the texts in it wait until it can be and this is started again';

/** Opens the spool; throws `spool_unusable` when the directory cannot be written. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { directory, maxBytes, logger, metrics } = options;
  const unusable = (cause: unknown): never => {
    throw new DarkspereError('spool_unusable', `The spool ${directory} (DARKSPERE_SPOOL_DIR): ${messageOf(cause)}`, {
      param: 'DARKSPERE_SPOOL_DIR',
      cause,
    });
  };
  const ownership = await openOwnership(directory).catch(unusable);
  const waiting = new Uint32Array(SLOTS);
  const segments: Segment[] = [];
  let records = 0;
  let bytes = 0;
  let isDecided = false;
  /** How often in vain each path was looked at. */
  const looks = new Map<string, number>();
  /** What was left to us and is not taken in yet, and how that is done. */
  const left = new Map<string, (path: string) => Promise<void>>();
  /** Looked at often enough: nothing waits for these any longer. */
  const givenUp = new Set<string>();
  /** Files of which something should have been put aside and could not. */
  const kept = new Set<Segment>();

  const journal = createJournal({
    folder: ownership.folder,
    onEnded: addSegment,
    onTaken: (segment) => {
      logger.warn({ records: segment.records }, 'a spool file was taken over by another process');
      forget(segment);
    },
  });
  const appends = microBatch<Line, void>({
    maxSize: MAX_BATCH,
    flights: 1,
    maxWaiting: MAX_WAITING,
    flush: async (lines) => {
      await journal.append(lines);
      return lines.map(() => undefined);
    },
    refuse: () => refusal('Too many texts are waiting for the disk.'),
  });

  function count(line: { bytes: number; records: number; slots: readonly (number | null)[] }, sign: 1 | -1): void {
    records += sign * line.records;
    bytes += sign * line.bytes;
    for (const slot of line.slots) if (slot !== null) waiting[slot]! += sign;
    metrics.spoolRecords.set(records);
    metrics.spoolBytes.set(bytes);
  }

  function forget(segment: Segment): void {
    count(segment, -1);
  }

  function drop(segment: Segment): void {
    segments.splice(segments.indexOf(segment), 1);
    kept.delete(segment);
    looks.delete(segment.path);
    forget(segment);
  }

  /** By age, whoever wrote it. */
  function addSegment(segment: Segment): void {
    segments.push(segment);
    segments.sort((a, b) => ageOf(a) - ageOf(b));
  }

  /** True when it is not there any more, or was looked at often enough. */
  function isLost(path: string, error: NodeJS.ErrnoException): boolean {
    const times = (looks.get(path) ?? 0) + 1;
    if (error.code !== 'ENOENT' && times < READS) {
      looks.set(path, times);
      return false;
    }
    looks.delete(path);
    if (error.code === 'ENOENT') return true;
    givenUp.add(path);
    logger.error({ error: `${path}: ${messageOf(error)}` }, UNREADABLE);
    return true;
  }

  /** Never throws: what cannot be taken in keeps neither the rest from that nor anything from being drained. */
  async function takeIn(path: string, how: (path: string) => Promise<void>): Promise<void> {
    left.delete(path);
    await how(path).catch((error) => {
      if (!isLost(path, error)) left.set(path, how);
    });
  }

  async function takeOver(folder: string): Promise<void> {
    const path = await ownership.take(folder);
    if (path !== null) await takeIn(path, adoptFolder);
  }

  async function adoptFolder(folder: string): Promise<void> {
    for (const name of await readdir(folder)) {
      if (name.endsWith('.spool')) await takeIn(join(folder, name), adoptFile);
    }
    const adopted = segments
      .filter(({ path }) => dirname(path) === folder)
      .reduce((sum, each) => sum + each.records, 0);
    if (adopted > 0) logger.warn({ records: adopted }, 'took over the spool of a gateway that is gone');
    // Fails when there is something in it.
    await rmdir(folder).catch(() => {});
  }

  async function adoptFile(path: string): Promise<void> {
    const segment = await segmentAt(path);
    count(segment, 1);
    addSegment(segment);
    // Drained by their names: what comes from now on is newer, whatever the clock says.
    journal.follow(ageOf(segment));
  }

  /** Never throws: a disk that does not take it must not keep what is whole from being drained. */
  async function tryAside(segment: Segment, piece: Pick<Found, 'at' | 'end'>, file: Buffer): Promise<boolean> {
    try {
      await putAside(segment, piece, file);
      return true;
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'a piece of a spool file could not be put aside');
      return false;
    }
  }

  async function putAside(segment: Segment, { at, end }: Pick<Found, 'at' | 'end'>, file: Buffer): Promise<void> {
    const folder = join(directory, 'aside');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // The name says which bytes it holds: putting them aside twice, as after a kill, makes one file.
    const name = `${ageOf(segment)}-${at}-${end - at}.spool`;
    const handle = await open(join(folder, name), 'w', 0o600);
    try {
      await handle.writeFile(file.subarray(at, end));
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await syncFolder(folder);
  }

  async function adopt(): Promise<void> {
    const found = await ownership.find();
    for (const folder of found.left) left.set(folder, takeOver);
    for (const [path, how] of [...left]) await takeIn(path, how);
    isDecided ||= !found.undecided && [...left.keys()].every((path) => givenUp.has(path));
  }

  await adopt().catch(unusable);
  return {
    get records() {
      return records;
    },
    get bytes() {
      return bytes;
    },
    get isDecided() {
      return isDecided;
    },
    get isFull() {
      return maxBytes - bytes < LARGEST;
    },
    holds: (text) => !isDecided || waiting[slotOf({ kind: 'text', text })!]! > 0,
    async keep(entry) {
      const record = encodeRecord(entry);
      const line = { bytes: record.length, records: 1, slots: [slotOf(entry)] };
      try {
        if (bytes + record.length > maxBytes) throw refusal('The spool is full.');
        // Counted from now on: a text that comes after this one must not overtake it while it is being written.
        count(line, 1);
        await appends.add({ bytes: record, slot: line.slots[0]! }).catch((error) => {
          count(line, -1);
          throw error instanceof DarkspereError ? error : refusal('The spool could not be written.', error);
        });
      } catch (error) {
        metrics.spoolRefused.inc();
        throw error;
      }
    },
    adopt,
    async next() {
      if (segments.length === 0 && records > 0) await journal.roll();
      return segments[0] ?? null;
    },
    async read(segment, isFirst) {
      const file = await readFile(segment.path).catch((error) => {
        if (!isLost(segment.path, error)) throw error;
        drop(segment);
        return null;
      });
      if (file === null) return null;
      const { found, damage } = scanRecords(file);
      for (const piece of isFirst ? damage : []) {
        const size = piece.end - piece.at;
        const isAside = await tryAside(segment, piece, file);
        // What was torn was never answered 200.
        if (!isAside && piece.reason !== 'torn') kept.add(segment);
        if (piece.reason === 'torn')
          logger.warn({ bytes: size }, 'a spool file ends within a record: a write was cut off');
        else logger.error({ bytes: size, reason: piece.reason }, 'a spool file is damaged: a part of it was put aside');
      }
      return { found, file };
    },
    async setAside(segment, record, file) {
      if (!(await tryAside(segment, record, file))) kept.add(segment);
      logger.error({ bytes: record.end - record.at }, 'the database refuses a spooled text: it was put aside');
    },
    async remove(segment) {
      const away = kept.has(segment) ? rename(segment.path, `${segment.path}.aside`) : unlink(segment.path);
      await away.catch((error: NodeJS.ErrnoException) => {
        // Taken over in the meantime: the other one drains it once more, and receipts make that one text.
        if (error.code !== 'ENOENT')
          logger.warn({ error: messageOf(error) }, 'a drained spool file could not be removed');
      });
      drop(segment);
    },
    async close() {
      await journal.roll();
      await ownership.close();
    },
  };
}

async function segmentAt(path: string): Promise<Segment> {
  const { found } = scanRecords(await readFile(path));
  const slots = found.map(({ entry }) => slotOf(entry));
  return { path, bytes: (await stat(path)).size, records: found.length, slots };
}

function refusal(message: string, cause?: unknown): DarkspereError {
  return new DarkspereError('storage_unavailable', message, { cause });
}

/** The name of a file begins with the time at which it was made. */
function ageOf({ path }: Segment): number {
  return Number.parseInt(path.slice(dirname(path).length + 1), 10);
}

/** FNV-1a over what names a conversation. */
function slotOf(entry: Entry): number | null {
  if (entry.kind !== 'text') return null;
  const { channel, to, from } = entry.text;
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${channel} ${to} ${from}`, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % SLOTS;
}
