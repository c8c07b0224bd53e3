/** The newest of a sequence that has no end, each with its number: 1, 2, 3 … */
export type Ring<T> = {
  /** Gives its number. */
  push(item: T): number;
  /** The number of the newest; 0 before there is one. */
  readonly last: number;
  /** All with a higher number, in order; null when some of them are gone, or the number was never given. */
  after(n: number): [number, T][] | null;
  /** Numbers begin anew. */
  clear(): void;
};

export function createRing<T>(size: number): Ring<T> {
  let items: T[] = [];
  let last = 0;
  return {
    get last() {
      return last;
    },
    push(item) {
      items[last % size] = item;
      last += 1;
      return last;
    },
    after(n) {
      if (n > last || n < last - size) return null;
      return Array.from({ length: last - n }, (_, k) => [n + k + 1, items[(n + k) % size]!]);
    },
    clear() {
      items = [];
      last = 0;
    },
  };
}
