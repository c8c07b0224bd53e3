export type Gate = { pass<T>(name: string, work: () => Promise<T>): Promise<T> };

/** Lets at most `width` works of one name run at a time; the others wait in their order. */
export function createGate(width: number): Gate {
  const busy = new Map<string, { running: number; readonly waiting: (() => void)[] }>();
  return {
    async pass(name, work) {
      let place = busy.get(name);
      if (place === undefined) {
        place = { running: 0, waiting: [] };
        busy.set(name, place);
      }
      const { waiting } = place;
      if (place.running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
      else place.running += 1;
      try {
        return await work();
      } finally {
        // The place passes to whoever waits longest, so that nobody who comes now overtakes them.
        const next = waiting.shift();
        if (next !== undefined) next();
        else place.running -= 1;
      }
    },
  };
}
