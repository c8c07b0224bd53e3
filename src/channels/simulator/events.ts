// What happens at the carrier, told to whoever listens, with the counters and the log of URLs that failed.
import type { Message, Status } from './message.ts';

/** `status` and `errorCode` are those of the event; for a person's text they say how the webhook went. */
export type CarrierEvent = {
  /** `text-in` is a person's text to us, `text-out` one of ours to a person. */
  readonly type: 'text-in' | 'text-out' | 'status';
  readonly message: Message;
  readonly status: Status;
  readonly errorCode: number | null;
  readonly detail: string | null;
};

export type Counts = {
  textsIn: number;
  textsOut: number;
  delivered: number;
  callbacks: number;
  webhookFailures: number;
  callbackFailures: number;
};

/** What Twilio's debugger shows: a URL of ours that failed (11200…), an answer that was no TwiML (12100, 12300), a loop. */
export type Problem = { readonly code: number; readonly sid: string; readonly detail: string; readonly at: string };

export type Events = {
  readonly counts: Counts;
  readonly problems: readonly Problem[];
  emit(type: CarrierEvent['type'], message: Message, outcome?: Partial<CarrierEvent>): void;
  noteProblem(sid: string, code: number, detail: string): void;
  /** Returns the function that ends the subscription. */
  subscribe(listener: (event: CarrierEvent) => void): () => void;
};

const PROBLEMS_KEPT = 1000;

export function createEvents(): Events {
  const listeners = new Set<(event: CarrierEvent) => void>();
  const problems: Problem[] = [];
  return {
    counts: { textsIn: 0, textsOut: 0, delivered: 0, callbacks: 0, webhookFailures: 0, callbackFailures: 0 },
    problems,
    emit(type, message, outcome) {
      if (listeners.size === 0) return;
      const event = { type, message, status: message.status, errorCode: message.errorCode, detail: null, ...outcome };
      for (const listener of listeners) listener(event);
    },
    noteProblem(sid, code, detail) {
      if (problems.length === PROBLEMS_KEPT) problems.shift();
      problems.push({ code, sid, detail, at: new Date().toISOString() });
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
