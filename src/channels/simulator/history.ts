// What went over the wire, in the order in which the carrier saw it: for tests that compare it with what we believe.

type Common = {
  /** Position from 1, without gaps; the order is that of the carrier. */
  readonly n: number;
  readonly atMs: number;
};

export type HistoryEntry = Common &
  (
    | {
        /** A person sent a text. */
        readonly kind: 'text';
        readonly sid: string;
        readonly from: string;
        readonly to: string;
        readonly body: string;
      }
    | {
        /** One attempt to post a text to us ended; `atMs` is the end. */
        readonly kind: 'webhook';
        readonly sid: string;
        readonly startedAtMs: number;
        readonly url: 'primary' | 'fallback';
        /** 0 for the webhook itself, 1… for its duplicates. */
        readonly copy: number;
        /** 1 for the first attempt of a copy, 2… for its retries. */
        readonly attempt: number;
        /** The I-Twilio-Idempotency-Token. */
        readonly token: string;
        /** HTTP status; 0 when there was no answer. */
        readonly status: number;
        readonly problem: string | null;
      }
    | {
        /** A request to create a message was decided. */
        readonly kind: 'create';
        /** Of the message that was accepted; null when none was. */
        readonly sid: string | null;
        readonly from: string;
        readonly to: string;
        readonly body: string;
        /** `part` in the query of its StatusCallback. */
        readonly partId: string | null;
        /** Twilio's code when it was refused. */
        readonly code: number | null;
        /** HTTP status of the whole answer; null when the client did not get one, or not yet. */
        answered: number | null;
        /** The fault that happened to it. */
        readonly fault: string | null;
      }
    | {
        /** A message came to an end of its own: it reached the phone, or failed. `reply` are those of the carrier and of TwiML. */
        readonly kind: 'end';
        readonly sid: string;
        readonly from: string;
        readonly to: string;
        readonly status: string;
        readonly errorCode: number | null;
        readonly reply: boolean;
      }
    | {
        /** A status callback was posted and answered; `atMs` is the end. */
        readonly kind: 'callback';
        /** As it was posted: a stranger's when `fault` says so. */
        readonly sid: string;
        readonly partId: string | null;
        readonly state: string;
        readonly startedAtMs: number;
        readonly status: number;
        readonly problem: string | null;
        readonly fault: 'unknownCallbacks' | 'foreignCallbacks' | null;
      }
  );

type Unnumbered<Entry> = Entry extends unknown ? Omit<Entry, 'n' | 'atMs'> : never;

export type History = {
  /** Oldest first; the oldest are forgotten beyond the limit. */
  entries(): readonly HistoryEntry[];
  /** Entries of this kind, oldest first. */
  of<Kind extends HistoryEntry['kind']>(kind: Kind): readonly Extract<HistoryEntry, { kind: Kind }>[];
  /** How many were forgotten: a checker has to know that it does not see everything. */
  readonly forgotten: number;
};

export type HistoryRecorder = History & {
  add<Entry extends Unnumbered<HistoryEntry>>(entry: Entry): Entry & Common;
};

export function createHistory(limit: number): HistoryRecorder {
  const ring: HistoryEntry[] = [];
  let count = 0;
  const entries = (): HistoryEntry[] => {
    const start = count > limit ? count % limit : 0;
    return [...ring.slice(start), ...ring.slice(0, start)];
  };
  return {
    entries,
    of: <Kind extends HistoryEntry['kind']>(kind: Kind) =>
      entries().filter((entry): entry is Extract<HistoryEntry, { kind: Kind }> => entry.kind === kind),
    get forgotten() {
      return Math.max(0, count - limit);
    },
    add(entry) {
      const numbered = Object.assign(entry, { n: count + 1, atMs: Date.now() });
      ring[count % limit] = numbered as HistoryEntry;
      count += 1;
      return numbered;
    },
  };
}
