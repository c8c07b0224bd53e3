// Decides when a text has been answered, from the events of the phone alone.
import type { PhoneEvent } from './phone-line.ts';

export type Outcome =
  | { readonly kind: 'answered' }
  /** Replies were sent, none reached the phone. */
  | { readonly kind: 'undelivered' }
  | { readonly kind: 'silent' }
  /** Our text was not taken by the webhook. */
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'lost' };

export type ReplyWatch = {
  see(event: PhoneEvent): void;
  /** The simulator went away. */
  lose(): void;
  readonly outcome: Promise<Outcome>;
};

const ENDS = new Set(['delivered', 'undelivered', 'failed']);

/**
 * Answered means: at least one reply was delivered, none is on its way, and for `settleMs` no further part came.
 * Silent means: nothing happened on the phone for `waitMs`.
 */
export function watchForReply(phone: string, waitMs: number, settleMs: number): ReplyWatch {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const onTheirWay = new Set<string>();
  let sent = 0;
  let delivered = 0;
  let timer: NodeJS.Timeout | undefined;
  const end = (outcome: Outcome): void => {
    clearTimeout(timer);
    resolve(outcome);
  };
  const arm = (ms: number, outcome: Outcome): void => {
    clearTimeout(timer);
    timer = setTimeout(end, ms, outcome);
  };
  arm(waitMs, { kind: 'silent' });
  return {
    outcome: promise,
    lose: () => end({ kind: 'lost' }),
    see(event) {
      if (event.from === phone) {
        if (event.status === 'failed') end({ kind: 'refused', detail: event.detail ?? 'no answer' });
        return;
      }
      if (event.type === 'text-out') {
        sent += 1;
        onTheirWay.add(event.sid);
      }
      if (event.type === 'status' && ENDS.has(event.status) && onTheirWay.delete(event.sid)) {
        delivered += event.status === 'delivered' ? 1 : 0;
      }
      // What becomes of a reply to an earlier text says nothing of this one.
      if (sent === 0) return;
      if (onTheirWay.size > 0) arm(waitMs, { kind: delivered > 0 ? 'answered' : 'silent' });
      else arm(settleMs, { kind: delivered > 0 ? 'answered' : 'undelivered' });
    },
  };
}
