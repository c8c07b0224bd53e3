// The files that this process writes: records go to the end of one file, durable before anybody hears of it. A file that was
// ended is never written again; draining reads only those.
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A record on its way into a file. */
export type Line = {
  readonly bytes: Buffer;
  /** Where the counts of waiting conversations have its own; null for what belongs to none. */
  readonly slot: number | null;
};

/** A file that nobody writes any more. */
export type Segment = {
  readonly path: string;
  readonly bytes: number;
  readonly records: number;
  readonly slots: readonly (number | null)[];
};

export type Journal = {
  /** Durable, in a file that is surely ours, when it resolves. A failure leaves nothing of these lines in the way. */
  append(lines: readonly Line[]): Promise<void>;
  /** Ends the file that is being written, if there is one. */
  roll(): Promise<void>;
  /** Files that are made from now on have names above this number. */
  follow(name: number): void;
};

export type JournalDeps = {
  /** Our folder; made anew when the last one was taken over or removed. */
  folder(renew: boolean): Promise<string>;
  /** A file was ended and waits to be drained. */
  onEnded(segment: Segment): void;
  /** A file was taken over by another process, which drains it. */
  onTaken(segment: Segment): void;
};

/** What a kill in the middle of draining does again, and what is read at once. */
const ROLL_BYTES = 1024 * 1024;

type Writing = {
  readonly path: string;
  readonly handle: FileHandle;
  readonly ino: number;
  readonly dev: number;
  readonly slots: (number | null)[];
  size: number;
};

export function createJournal(deps: JournalDeps): Journal {
  let writing: Writing | null = null;
  let lastName = 0;
  let turn: Promise<unknown> = Promise.resolve();

  /** One at a time: a file is not ended under an append. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  }

  async function append(lines: readonly Line[]): Promise<void> {
    const bytes = Buffer.concat(lines.map((line) => line.bytes));
    for (let renew = false; ; renew = true) {
      writing ??= await create(renew);
      if (await write(writing, bytes)) break;
      const taken = writing;
      writing = null;
      await close(taken);
      deps.onTaken(segmentOf(taken));
      if (renew) throw new Error('The spool file was taken away while it was written.');
    }
    writing.size += bytes.length;
    for (const { slot } of lines) writing.slots.push(slot);
    if (writing.size >= ROLL_BYTES) await end();
  }

  /** Names follow each other, so that the files of a process are drained in their order. */
  async function create(renew: boolean): Promise<Writing> {
    lastName = Math.max(lastName + 1, Date.now());
    const path = join(await deps.folder(renew), `${lastName}.spool`);
    const handle = await open(path, 'wx', 0o600).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' || renew) throw error;
      return null;
    });
    if (handle === null) return create(true);
    await syncFolder(dirname(path));
    const { ino, dev } = await handle.stat();
    return { path, handle, ino, dev, slots: [], size: 0 };
  }

  /** False when another process has the file. */
  async function write(file: Writing, bytes: Buffer): Promise<boolean> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.handle.write(bytes, done, bytes.length - done, file.size + done);
        if (bytesWritten === 0) throw new Error('The disk took nothing.');
        done += bytesWritten;
      }
      await file.handle.datasync();
      // A process that was suspended may have been taken for dead and its file taken over. What was written before that is
      // read there; what came later perhaps is not, so it counts only while the file still has its name.
      return await isOurs(file);
    } catch (error) {
      // Half a record must not stand before the next one; and after a sync that failed nobody knows what the disk has, so
      // this file is not written again.
      await file.handle.truncate(file.size).catch(() => {});
      await end().catch(() => {});
      throw error;
    }
  }

  async function end(): Promise<void> {
    const file = writing;
    if (file === null) return;
    writing = null;
    await close(file);
    if (file.slots.length > 0) deps.onEnded(segmentOf(file));
    else await unlink(file.path).catch(() => {});
  }

  return {
    append: (lines) => inTurn(() => append(lines)),
    roll: () => inTurn(end),
    follow(name) {
      lastName = Math.max(lastName, name);
    },
  };
}

/** Throws when the disk does not say. */
async function isOurs({ path, ino, dev }: Writing): Promise<boolean> {
  const there = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return null;
  });
  return there !== null && there.ino === ino && there.dev === dev;
}

/** What is in the file is durable already; that it cannot be closed changes nothing. */
async function close(file: Writing): Promise<void> {
  await file.handle.close().catch(() => {});
}

function segmentOf({ path, size, slots }: Writing): Segment {
  return { path, bytes: size, records: slots.length, slots };
}

/** Without this a power cut may forget that there is such a file. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
