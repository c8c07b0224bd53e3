// The open sessions of an agent: whom it answers.
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { AgentSessionPage } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { useFailure } from '../../parts/failure.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { sessionMoves } from '../../parts/session-moves.ts';
import { Ago } from '../../parts/time.tsx';

const PAGE = 10;
/** The id of the heading, which others on the page lead to. */
export const SESSIONS_TITLE = 'sessions-title';

export function SessionList({ agentId }: { agentId: string }) {
  const sessions = useInfiniteQuery({
    queryKey: ['agent', agentId, 'sessions'],
    queryFn: ({ pageParam, signal }) =>
      get<AgentSessionPage>(`/v1/agents/${agentId}/sessions`, { limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
  });
  const failure = useFailure(sessions);
  const retry = () => sessions.refetch();
  const items = sessions.data?.pages.flatMap(({ data }) => data) ?? [];
  return (
    <section aria-labelledby={SESSIONS_TITLE} className="border-b border-line px-4 pt-4 pb-4 @xl:px-6">
      <h2 id={SESSIONS_TITLE} className="mb-1 text-large font-semibold">
        Sessions
      </h2>
      {failure ? (
        <PanelError error={failure} retry={retry} />
      ) : !sessions.data ? (
        <PanelLoading what="its sessions" className="h-24" />
      ) : (
        <>
          {sessions.error && <StaleNote error={sessions.error} retry={retry} />}
          {items.length === 0 && <p className="py-2 text-ink-2">It answers nobody at the moment.</p>}
          <ul aria-label="Sessions">
            {items.map((session) => (
              <li key={session.id} className="flex items-baseline justify-between gap-3 py-1">
                <Link
                  href={`/conversations/${session.conversation_id}`}
                  className="figures min-w-0 truncate underline-offset-2 hover:underline"
                >
                  {formatAddress(session.their_address)}
                </Link>
                <span className="shrink-0 text-small text-ink-3">
                  {session.failovers > 0 && `${sessionMoves(session)} · `}
                  <Ago at={session.last_active_at} />
                </span>
              </li>
            ))}
          </ul>
          {sessions.hasNextPage && (
            <Button
              className="mt-2"
              disabled={sessions.isFetchingNextPage}
              onClick={() => void sessions.fetchNextPage()}
            >
              {sessions.isFetchingNextPage ? 'Reading …' : 'Older sessions'}
            </Button>
          )}
        </>
      )}
    </section>
  );
}
