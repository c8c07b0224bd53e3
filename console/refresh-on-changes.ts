// Between the stream and the queries.
import { listenLive } from './live.ts';
import { queryClient, refreshSoon } from './refresh.ts';

/** The gateway computes the overview at most that often: what it answers may not know of a change that is younger. */
const OVERVIEW_OLD_MS = 2_000;
/** So much later at most the calls of an agent are in its figures: workers write those of a moment together. */
const CALLS_OLD_MS = 2_000;

/** What each kind of change makes old. Pages that show more than this listen for themselves. */
export function refreshOnChanges(): () => void {
  return listenLive({
    change: ({ conversation_id }) => {
      refreshSoon(['conversation', conversation_id]);
      refreshSoon(['overview'], OVERVIEW_OLD_MS);
      // An agent was asked, perhaps.
      refreshSoon(['agents', 'list'], CALLS_OLD_MS);
      refreshSoon(['agent'], CALLS_OLD_MS);
    },
    agent: () => {
      refreshSoon(['agents']);
      refreshSoon(['agent']);
      refreshSoon(['overview'], OVERVIEW_OLD_MS);
    },
    reset: () => void queryClient.invalidateQueries(),
  });
}
