/** Everything the carrier does later. `close` forgets the steps and ends the waits at once. */
export type Timers = {
  /** Zero runs at once, so that a carrier without delays costs no timer per message. */
  after(delayMs: number, step: () => void): void;
  /** Resolves after the delay, or when the carrier closes. */
  wait(delayMs: number): Promise<void>;
  close(): void;
};

/** The longest a timer of Node's can be set to; a scheduled message may wait 35 days. */
const LONGEST_MS = 2 ** 31 - 1;

export function createTimers(): Timers {
  const timers = new Map<NodeJS.Timeout, (() => void) | null>();
  let closed = false;

  const start = (delayMs: number, step: () => void, onClose: (() => void) | null): void => {
    const rest = delayMs - LONGEST_MS;
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        if (rest > 0) start(rest, step, onClose);
        else step();
      },
      Math.min(delayMs, LONGEST_MS),
    );
    timers.set(timer, onClose);
  };

  return {
    after(delayMs, step) {
      if (closed) return;
      if (delayMs === 0) step();
      else start(delayMs, step, null);
    },
    wait(delayMs) {
      if (closed || delayMs === 0) return Promise.resolve();
      return new Promise((resolve) => start(delayMs, resolve, resolve));
    },
    close() {
      closed = true;
      for (const [timer, onClose] of timers) {
        clearTimeout(timer);
        onClose?.();
      }
      timers.clear();
    },
  };
}
