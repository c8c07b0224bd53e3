// Reports the states of one message to its StatusCallback: in order, each after the answer to the one before, unless a
// fault says otherwise.
import { randomUUID } from 'node:crypto';
import type { Events } from './events.ts';
import type { Faults, Subject } from './faults.ts';
import { statusFields } from './fields.ts';
import type { HistoryRecorder } from './history.ts';
import type { Message, Status } from './message.ts';
import type { Random } from './random.ts';
import type { Timers } from './timers.ts';
import type { Webhooks } from './webhooks.ts';

export type CallbackParts = {
  readonly accountSid: string;
  readonly events: Events;
  readonly faults: Faults;
  readonly history: HistoryRecorder;
  readonly random: Random;
  readonly timers: Timers;
  readonly webhooks: Webhooks;
};

export type Reporter = {
  report(status: Status): void;
  /** Resolves when everything reported so far is answered. */
  settled(): Promise<void>;
};

type Stranger = { readonly fault: 'unknownCallbacks' | 'foreignCallbacks' };

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi;
const LATE_MS = 1_000;

/** `part` in the query of a callback URL: our id for the message. */
export function partIdOf(statusCallback: string | null): string | null {
  return statusCallback === null ? null : (URL.parse(statusCallback)?.searchParams.get('part') ?? null);
}

export function createReporter(message: Message, subject: Subject, parts: CallbackParts): Reporter {
  const { accountSid, faults, random, timers } = parts;
  const url = message.statusCallback;
  if (url === null) return { report: () => {}, settled: () => Promise.resolve() };

  const missing = faults.take('missingCallbacks', subject);
  const isMissing = (status: Status) => missing !== null && (missing.state ?? status) === status;
  const times = faults.take('duplicateCallbacks', subject) === null ? 1 : 2;
  const reordered = faults.take('reorderedCallbacks', subject) !== null;
  const late = faults.take('lateCallbacks', subject);
  const lateMs = late === null ? 0 : (late.delayMs ?? LATE_MS);
  const hasUnknown = faults.take('unknownCallbacks', subject) !== null;
  const hasForeign = faults.take('foreignCallbacks', subject) !== null;
  let tail: Promise<void> = Promise.resolve();
  let held: Status | null = null;

  const then = (step: () => Promise<void>): void => {
    tail = tail.then(step);
  };
  const postTimes = (status: Status): void => {
    const { errorCode } = message;
    for (let copy = 0; copy < times; copy++) {
      then(() =>
        postCallback(parts, message, url, statusFields({ ...message, errorCode }, status, accountSid, Date.now())),
      );
    }
  };
  const postStranger = (stranger: Stranger, account: string, sid: string, callbackUrl: string): void => {
    const fields = statusFields({ ...message, sid }, 'sent', account, Date.now());
    then(() => postCallback(parts, message, callbackUrl, fields, stranger));
  };

  // Before the first report of its own, so that whoever believes a stranger has believed it when the truth comes.
  if (hasUnknown) {
    const sid = message.sid.slice(0, 2) + random.hex();
    // Another part's, too: with the id of a part of ours it would be a message that was sent.
    postStranger(
      { fault: 'unknownCallbacks' },
      accountSid,
      sid,
      url.replaceAll(UUID, () => randomUUID()),
    );
  }
  if (hasForeign) postStranger({ fault: 'foreignCallbacks' }, `AC${random.hex()}`, message.sid, url);

  const reportNow = (status: Status): void => {
    if (reordered && status === 'sent') {
      held = status;
      return;
    }
    if (!isMissing(status)) postTimes(status);
    if (held !== null && !isMissing(held)) postTimes(held);
    held = null;
  };

  return {
    report(status) {
      if (lateMs === 0) reportNow(status);
      else timers.after(lateMs, () => reportNow(status));
    },
    // A report may be added while this waits for those before it.
    async settled() {
      for (let seen: Promise<void> | null = null; seen !== tail; ) {
        seen = tail;
        await seen;
      }
    },
  };
}

async function postCallback(
  { events, history, webhooks }: CallbackParts,
  message: Message,
  url: string,
  fields: Record<string, string>,
  stranger: Stranger | null = null,
): Promise<void> {
  const startedAtMs = Date.now();
  const { status, problem, code } = await webhooks.post(url, fields);
  history.add({
    kind: 'callback',
    sid: fields.MessageSid ?? message.sid,
    partId: partIdOf(url),
    state: fields.MessageStatus ?? '',
    startedAtMs,
    status,
    problem,
    fault: stranger?.fault ?? null,
  });
  events.counts.callbacks += 1;
  if (problem === null) return;
  events.counts.callbackFailures += 1;
  events.noteProblem(message.sid, code ?? 11_200, `status callback: ${problem}`);
}
