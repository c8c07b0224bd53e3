// The way of an accepted message to the phone: queued → sent → delivered (→ read), paced per sender, each state reported.
import { type CallbackParts, createReporter, type Reporter } from './callbacks.ts';
import type { Subject } from './faults.ts';
import type { Message, Status } from './message.ts';
import type { Pacing } from './pacing.ts';
import { failedState } from './refusals.ts';
import { isWhatsApp, type Windows } from './whatsapp.ts';

export type JourneyParts = CallbackParts & {
  /** Mean time from leaving the queue to `sent`, and from there to `delivered`, ms. */
  readonly statusDelaysMs: { readonly sent: number; readonly delivered: number };
  /** Spreads every delay by ±30 %. */
  readonly jitter: boolean;
  readonly pacing: Pacing;
  readonly windows: Windows;
  /** Looks at what the message carries; null or the code of what is wrong with it. */
  fetchMedia(message: Message): Promise<number | null>;
};

export type Journeys = {
  /**
   * Starts the way of a message; `validityMs` is how long it may wait in the sender's queue. Resolves when its end was
   * reported. Starts one that is scheduled at its time, unless it was canceled until then.
   */
  start(message: Message, validityMs: number, subject: Subject): Promise<void>;
  /** Takes a scheduled message back; false when it is not scheduled (any more). */
  cancel(message: Message): boolean;
};

export function createJourneys(parts: JourneyParts): Journeys {
  const { events, faults, fetchMedia, history, pacing, statusDelaysMs, timers, windows } = parts;
  const scheduled = new Map<Message, Reporter>();
  const delay = (ms: number): number => (parts.jitter ? ms * (0.7 + 0.6 * parts.random.fraction()) : ms);

  const move = (message: Message, status: Status, errorCode: number | null, reporter: Reporter): void => {
    message.status = status;
    message.errorCode = errorCode;
    message.updatedAtMs = Date.now();
    if (status === 'sent') message.sentAtMs = message.updatedAtMs;
    if (status === 'delivered') events.counts.delivered += 1;
    if (status !== 'queued' && status !== 'sent' && status !== 'read') {
      const { sid, from, to } = message;
      history.add({ kind: 'end', sid, from, to, status, errorCode, reply: message.direction === 'outbound-reply' });
    }
    events.emit('status', message);
    reporter.report(status);
  };

  /** Why this message cannot arrive; null when it can. */
  const troubleOf = (message: Message, subject: Subject): number | null => {
    if (message.direction === 'outbound-api') {
      const asked = faults.take('failWith', subject);
      if (asked !== null) return asked.code;
    }
    const isFreeform = isWhatsApp(message.to) && message.contentSid === null;
    return isFreeform && !windows.isOpen(message.from, message.to, Date.now()) ? 63_016 : null;
  };

  const travel = (message: Message, waitMs: number, failure: number | null, reporter: Reporter): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (status: Status, code: number | null): void => {
      move(message, status, code, reporter);
      resolve(reporter.settled());
    };
    if (failure !== null && failedState(failure) === 'failed') {
      timers.after(waitMs, () => end('failed', failure));
      return promise;
    }
    timers.after(waitMs + delay(statusDelaysMs.sent), () => {
      move(message, 'sent', null, reporter);
      timers.after(delay(statusDelaysMs.delivered), () => {
        if (failure !== null) return end('undelivered', failure);
        if (!isWhatsApp(message.to)) return end('delivered', null);
        move(message, 'delivered', null, reporter);
        timers.after(delay(statusDelaysMs.delivered), () => end('read', null));
      });
    });
    return promise;
  };

  const begin = (message: Message, validityMs: number, subject: Subject, reporter: Reporter): Promise<void> => {
    reporter.report('queued');
    const failure = troubleOf(message, subject);
    // A service takes what its sender cannot send for ten hours, and fails it; a sender of its own is refused (21611).
    if (pacing.isFull(message.from, Date.now())) return travel(message, 0, 30_001, reporter);
    const waitMs = pacing.reserve(message.from, message.segments, Date.now(), validityMs);
    if (waitMs === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      timers.after(validityMs, () => {
        move(message, 'failed', 30_036, reporter);
        resolve(reporter.settled());
      });
      return promise;
    }
    if (failure !== null || message.mediaUrls.length === 0) return travel(message, waitMs, failure, reporter);
    return fetchMedia(message).then((code) => travel(message, waitMs, code, reporter));
  };

  return {
    start(message, validityMs, subject) {
      events.counts.textsOut += 1;
      events.emit('text-out', message);
      const reporter = createReporter(message, subject, parts);
      if (message.sendAtMs === null) return begin(message, validityMs, subject, reporter);
      scheduled.set(message, reporter);
      timers.after(Math.max(1, message.sendAtMs - Date.now()), () => {
        if (!scheduled.delete(message)) return;
        message.status = 'queued';
        void begin(message, validityMs, subject, reporter);
      });
      return Promise.resolve();
    },
    cancel(message) {
      const reporter = scheduled.get(message);
      if (reporter === undefined) return false;
      scheduled.delete(message);
      move(message, 'canceled', null, reporter);
      return true;
    },
  };
}
