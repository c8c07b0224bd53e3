// Between the stream and the queries: reads again what changed, at most a few times a second however much happens, and never
// throws away an answer that is on its way.
import type { QueryKey } from '@tanstack/react-query';
import { QueryClient } from '@tanstack/react-query';
import { ApiError } from './api.ts';
import { listenLive } from './live.ts';

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
      retryDelay: (failures) => 400 * 2 ** failures,
    },
  },
});

type Pending = { running: boolean; again: boolean };
const pending = new Map<string, Pending>();

/** Reads a query again, soon and not too often. */
export function refreshSoon(queryKey: QueryKey): void {
  const name = JSON.stringify(queryKey);
  const known = pending.get(name);
  if (known) {
    known.again = true;
    return;
  }
  const entry: Pending = { running: true, again: false };
  pending.set(name, entry);
  void (async () => {
    do {
      entry.again = false;
      await queryClient.invalidateQueries({ queryKey }, { cancelRefetch: false }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, APART_MS));
    } while (entry.again);
    pending.delete(name);
  })();
}

/** What each kind of change makes old. Pages that show more than this listen for themselves. */
export function refreshOnChanges(): () => void {
  return listenLive({
    change: ({ conversation_id, what }) => {
      refreshSoon(['conversation', conversation_id]);
      if (what !== 'status' && what !== 'send') refreshSoon(['overview']);
    },
    reset: () => void queryClient.invalidateQueries(),
  });
}
