// Reads again what changed, at most a few times a second however much happens, and never throws away an answer that is on its
// way.
import type { QueryKey } from '@tanstack/react-query';
import { QueryClient } from '@tanstack/react-query';
import { ApiError } from './api.ts';
import { isPaused } from './paused.ts';

/** Between two readings of the same thing. Half of the 500 ms in which a text must be on the screen. */
const APART_MS = 200;
const TRIES = 2;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      // What the gateway refused it will refuse again; what it did not answer may pass.
      retry: (failures, error) =>
        failures < TRIES && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      // Whoever paused wants to find what they looked at when they come back to the window.
      refetchOnWindowFocus: () => !isPaused(),
      refetchOnReconnect: () => !isPaused(),
      retryDelay: (failures) => 400 * 2 ** failures,
    },
  },
});

/** When what a query shows changed last. */
const changed = new Map<string, { atMs: number }>();

/**
 * Reads a query again, soon and not too often, until what was read is sure to hold the last change. The gateway may answer with
 * what was so `oldMs` ago.
 */
export function refreshSoon(queryKey: QueryKey, oldMs = 0): void {
  const name = JSON.stringify(queryKey);
  const known = changed.get(name);
  if (known) {
    known.atMs = performance.now();
    return;
  }
  const last = { atMs: performance.now() };
  changed.set(name, last);
  void (async () => {
    let askedMs: number;
    let isUnderWay: boolean;
    do {
      askedMs = performance.now();
      // Somebody else asked before us, perhaps before the change: that answer counts for nothing.
      isUnderWay = queryClient.isFetching({ queryKey }) > 0;
      await queryClient.invalidateQueries({ queryKey }, { cancelRefetch: false }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, Math.max(APART_MS, oldMs)));
    } while (isUnderWay || last.atMs > askedMs - oldMs);
    changed.delete(name);
  })();
}
