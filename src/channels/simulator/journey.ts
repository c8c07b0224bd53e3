// The way of an accepted message to the phone: queued → sent → delivered, paced per sender, each state reported.
import type { Events } from './events.ts';
import type { Faults } from './faults.ts';
import { statusFields } from './fields.ts';
import type { Message, Status } from './message.ts';
import type { Pacing } from './pacing.ts';
import type { Random } from './random.ts';
import { failedState } from './refusals.ts';
import type { Webhooks } from './webhooks.ts';

export type JourneyParts = {
  readonly accountSid: string;
  /** Mean time from leaving the queue to `sent`, and from there to `delivered`, ms. */
  readonly statusDelaysMs: { readonly sent: number; readonly delivered: number };
  /** Spreads every delay by ±30 %. */
  readonly jitter: boolean;
  readonly events: Events;
  readonly faults: Faults;
  readonly pacing: Pacing;
  readonly random: Random;
  readonly webhooks: Webhooks;
};

export type Journeys = {
  /** Starts the way of a message; `validityMs` is how long it may wait in the sender's queue. */
  start(message: Message, validityMs: number): void;
  /** Stops every message where it is. */
  close(): void;
};

type Report = () => void;

/** Posts one message's callbacks in their order, each after the answer to the one before. */
function createReporter(message: Message, { accountSid, events, faults, webhooks }: JourneyParts): Report {
  const url = message.statusCallback;
  if (url === null || faults.take('missingCallbacks') !== null) return () => {};
  const times = faults.take('duplicateCallbacks') !== null ? 2 : 1;
  let tail: Promise<unknown> = Promise.resolve();
  const post = async (status: Status): Promise<void> => {
    const result = await webhooks.post(url, statusFields(message, status, accountSid, Date.now()));
    events.counts.callbacks += 1;
    if (result.problem === null) return;
    events.counts.callbackFailures += 1;
    events.noteProblem(message.sid, `status callback: ${result.problem}`);
  };
  return () => {
    const { status } = message;
    for (let copy = 0; copy < times; copy++) tail = tail.then(() => post(status));
  };
}

/** Delays are timers that `close` clears. */
function createTimers() {
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;
  return {
    /** Zero runs at once, so that a carrier without delays costs no timer per message. */
    after(delayMs: number, step: () => void): void {
      if (closed) return;
      if (delayMs === 0) {
        step();
        return;
      }
      const timer = setTimeout(() => {
        timers.delete(timer);
        step();
      }, delayMs);
      timers.add(timer);
    },
    close(): void {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

export function createJourneys(parts: JourneyParts): Journeys {
  const { events, faults, pacing, statusDelaysMs } = parts;
  const timers = createTimers();
  const delay = (ms: number): number => (parts.jitter ? ms * (0.7 + 0.6 * parts.random.fraction()) : ms);

  const move = (message: Message, status: Status, errorCode: number | null, report: Report): void => {
    message.status = status;
    message.errorCode = errorCode;
    message.updatedAtMs = Date.now();
    if (status === 'sent') message.sentAtMs = message.updatedAtMs;
    if (status === 'delivered') events.counts.delivered += 1;
    events.emit('status', message);
    report();
  };

  return {
    start(message, validityMs) {
      events.counts.textsOut += 1;
      events.emit('text-out', message);
      const report = createReporter(message, parts);
      report();
      const failure = message.direction === 'outbound-api' ? (faults.take('failWith')?.code ?? null) : null;
      const waitMs = pacing.reserve(message.from, message.segments, Date.now(), validityMs);
      if (waitMs === null) return timers.after(validityMs, () => move(message, 'failed', 30_036, report));
      if (failure !== null && failedState(failure) === 'failed') {
        return timers.after(waitMs, () => move(message, 'failed', failure, report));
      }
      timers.after(waitMs + delay(statusDelaysMs.sent), () => {
        move(message, 'sent', null, report);
        timers.after(delay(statusDelaysMs.delivered), () =>
          move(message, failure === null ? 'delivered' : 'undelivered', failure, report),
        );
      });
    },
    close: timers.close,
  };
}
