// A limit to what is done at once; the rest waits its turn.

export type Slots = {
  /** Runs `work` when a slot is free. Rejects with SlotsClosed when `close` came first. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Work that waits is refused from now on; what runs goes on. */
  close(): void;
};

export class SlotsClosed extends Error {
  override readonly name = 'SlotsClosed';
}

export function createSlots(size: number): Slots {
  const waiting: PromiseWithResolvers<void>[] = [];
  let taken = 0;
  let closed = false;

  async function take(): Promise<void> {
    if (closed) throw new SlotsClosed('no more work is begun');
    if (taken < size) {
      taken += 1;
      return;
    }
    const turn = Promise.withResolvers<void>();
    waiting.push(turn);
    await turn.promise;
  }

  /** Hands the slot to the next in line, if there is one. */
  function leave(): void {
    const next = waiting.shift();
    if (next) next.resolve();
    else taken -= 1;
  }

  return {
    async run(work) {
      await take();
      try {
        return await work();
      } finally {
        leave();
      }
    },
    close() {
      closed = true;
      for (const turn of waiting.splice(0)) turn.reject(new SlotsClosed('no more work is begun'));
    },
  };
}
