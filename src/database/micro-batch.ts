// Many callers, one statement. Each caller waits for the commit of its own item; whoever arrives while the flights are
// busy rides with the next one. A batch leaves on the next turn of the event loop when a flight is free, so an idle system
// pays nothing and a busy one writes up to maxSize rows per commit (bench/ingest measures it). Only work that nobody waits
// for lingers for company.

import { retryRollbacks } from './faults.ts';

export type MicroBatch<Item, Result> = {
  /** Resolves with the item's own result after the commit of its batch. */
  add(item: Item): Promise<Result>;
  /** Items that wait or are in flight. */
  readonly size: number;
};

export type MicroBatchOptions<Item, Result> = {
  readonly maxSize: number;
  /** Batches under way at once. */
  readonly flights: number;
  /** More waiting items than this are refused at once: a database that is away must not fill the memory. */
  readonly maxWaiting: number;
  /** How long a batch waits for more items, milliseconds; default 0. */
  readonly lingerMs?: number;
  /** One commit; results in the order of the items. Done again when the server rolls it back for the others' sake. */
  flush(items: readonly Item[]): Promise<readonly Result[]>;
  /** Items with the same name are done in the order in which they came: one waits for a flight that has another on board. */
  nameOf?(item: Item): string;
  /** True for an error that one bad item can cause for its whole batch; the items are then tried one by one. */
  isItemFault?(error: unknown): boolean;
  refuse(): Error;
};

type Waiting<Item, Result> = {
  readonly item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
};

export function microBatch<Item, Result>(options: MicroBatchOptions<Item, Result>): MicroBatch<Item, Result> {
  let queue: Waiting<Item, Result>[] = [];
  const aloft = new Set<string>();
  let flying = 0;
  let inFlight = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || flying >= options.flights || queue.length === 0) return;
    scheduled = true;
    const leave = () => {
      scheduled = false;
      while (flying < options.flights) {
        const batch = board();
        if (batch.length === 0) return;
        void fly(batch);
      }
    };
    if (options.lingerMs && queue.length < options.maxSize) setTimeout(leave, options.lingerMs);
    else setImmediate(leave);
  }

  /** The next batch: the first that wait, but for those who have to wait on. */
  function board(): Waiting<Item, Result>[] {
    const { nameOf, maxSize } = options;
    if (nameOf === undefined || aloft.size === 0) return queue.splice(0, maxSize);
    const batch: Waiting<Item, Result>[] = [];
    const stay: Waiting<Item, Result>[] = [];
    for (const waiting of queue)
      (batch.length < maxSize && !aloft.has(nameOf(waiting.item)) ? batch : stay).push(waiting);
    queue = stay;
    return batch;
  }

  async function fly(batch: Waiting<Item, Result>[]): Promise<void> {
    const names = options.nameOf ? batch.map(({ item }) => options.nameOf!(item)) : [];
    for (const name of names) aloft.add(name);
    flying++;
    inFlight += batch.length;
    try {
      await settle(batch);
    } finally {
      for (const name of names) aloft.delete(name);
      flying--;
      inFlight -= batch.length;
      schedule();
    }
  }

  async function settle(batch: Waiting<Item, Result>[]): Promise<void> {
    try {
      const items = batch.map((waiting) => waiting.item);
      const results = await retryRollbacks(() => options.flush(items));
      batch.forEach((waiting, i) => {
        waiting.resolve(results[i] as Result);
      });
    } catch (error) {
      if (batch.length > 1 && options.isItemFault?.(error)) {
        for (const waiting of batch) await settle([waiting]);
      } else {
        for (const waiting of batch) waiting.reject(error);
      }
    }
  }

  return {
    get size() {
      return queue.length + inFlight;
    },
    add(item) {
      if (queue.length >= options.maxWaiting) return Promise.reject(options.refuse());
      return new Promise<Result>((resolve, reject) => {
        queue.push({ item, resolve, reject });
        schedule();
      });
    },
  };
}
