// A map that forgets: what is older than a while, and the oldest when there is too much of it.

export type Recent<V> = {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
  readonly size: number;
};

/** `keepMs` counts from the last `set`; `now` in milliseconds, for tests. */
export function createRecent<V>(limits: { keepMs: number; most: number }, now: () => number = Date.now): Recent<V> {
  // Oldest first: a key that is set again goes to the end.
  const entries = new Map<string, { readonly value: V; readonly untilMs: number }>();
  const sweep = () => {
    const nowMs = now();
    for (const [key, { untilMs }] of entries) {
      if (untilMs > nowMs && entries.size <= limits.most) break;
      entries.delete(key);
    }
  };
  return {
    get(key) {
      const entry = entries.get(key);
      return entry !== undefined && entry.untilMs > now() ? entry.value : undefined;
    },
    set(key, value) {
      entries.delete(key);
      entries.set(key, { value, untilMs: now() + limits.keepMs });
      sweep();
    },
    delete(key) {
      entries.delete(key);
    },
    get size() {
      sweep();
      return entries.size;
    },
  };
}
