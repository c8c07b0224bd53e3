// The conversations of a filter, newest first, kept up to date by the stream.
import { useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Conversation, ConversationDetail, ConversationPage } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { listenLive } from '../../live.ts';
import { useFailure } from '../../parts/failure.ts';
import { queryClient, refreshSoon } from '../../refresh.ts';
import type { Filter } from './filter.ts';
import { type Paged, withHead, withItem, withOlder } from './paged.ts';

type List = Paged<Conversation> & { readonly searchedBackTo: string | null };

const PAGE = 50;
/** Rows below the head that are read one by one, at a time: a browser has six connections, and the head must not wait. */
const SINGLE_READS = 2;
const ACCESS = {
  id: (conversation: Conversation) => conversation.id,
  order: (conversation: Conversation) => conversation.last_message?.id ?? '',
};

/** `filter` must stay the same object while it means the same. */
export function useConversationList(filter: Filter) {
  const key = useMemo(() => ['conversations', filter] as const, [filter]);
  const [olderError, setOlderError] = useState<unknown>(null);
  const [isLoadingOlder, setLoadingOlder] = useState(false);
  const query = useQuery({
    queryKey: key,
    // Only the list that is shown hears of changes: one that somebody comes back to is old, however short they were away.
    staleTime: 0,
    queryFn: async ({ signal }): Promise<List> => {
      const head = await get<ConversationPage>('/v1/conversations', { ...filter, limit: PAGE }, signal);
      const old = queryClient.getQueryData<List>(key);
      const merged = withHead(old, head, ACCESS);
      return {
        ...merged,
        searchedBackTo: merged.cursor === head.next_cursor ? head.searched_back_to : (old?.searchedBackTo ?? null),
      };
    },
  });

  const loadOlder = useCallback(async () => {
    const old = queryClient.getQueryData<List>(key);
    if (!old?.cursor) return;
    setLoadingOlder(true);
    setOlderError(null);
    try {
      const page = await get<ConversationPage>('/v1/conversations', { ...filter, limit: PAGE, cursor: old.cursor });
      queryClient.setQueryData<List>(
        key,
        (now) => now && { ...withOlder(now, page, ACCESS), searchedBackTo: page.searched_back_to },
      );
    } catch (error) {
      setOlderError(error);
    } finally {
      setLoadingOlder(false);
    }
  }, [key, filter]);

  const { changed, allChanged, setDrawn } = useRowsBelow(key);
  useEffect(() => {
    // While it was not shown nobody was told what changed.
    allChanged();
    return listenLive({
      change: ({ conversation_id }) => {
        refreshSoon(key);
        changed(conversation_id);
      },
      reset: allChanged,
    });
  }, [key, changed, allChanged]);

  const failure = useFailure(query);
  return {
    items: query.data?.items ?? [],
    hasOlder: query.data?.cursor != null,
    searchedBackTo: query.data?.searchedBackTo ?? null,
    isLoading: query.data === undefined && failure === null,
    /** The list could not be read at all. */
    error: failure,
    /** It was read, and could not be read again. */
    staleError: query.data ? query.error : null,
    retry: () => query.refetch(),
    loadOlder,
    isLoadingOlder,
    olderError,
    /** Which conversations can be seen. */
    setDrawn,
  };
}

/** Below the head, which is read as a whole, rows that may have changed are read when somebody sees them. */
function useRowsBelow(key: readonly ['conversations', Filter]) {
  const old = useRef(new Set<string>());
  const drawn = useRef<readonly string[]>([]);
  const reading = useRef(0);
  const idsBelow = useCallback(
    () => (queryClient.getQueryData<List>(key)?.items ?? []).slice(PAGE).map(({ id }) => id),
    [key],
  );
  const readSeen = useCallback(() => {
    const below = new Set(old.current.size === 0 ? [] : idsBelow());
    for (const id of drawn.current) {
      if (reading.current >= SINGLE_READS) return;
      // What the head has now is read with it.
      if (!below.has(id) || !old.current.delete(id)) continue;
      reading.current++;
      void get<ConversationDetail>(`/v1/conversations/${id}`).then(
        (item) => {
          reading.current--;
          queryClient.setQueryData<List>(key, (now) => now && { ...now, ...withItem(now, item, ACCESS) });
          readSeen();
        },
        () => {
          reading.current--;
          // Read again when something changes or somebody scrolls, not at once: what failed may fail for a while.
          old.current.add(id);
        },
      );
    }
  }, [key, idsBelow]);
  const changed = useCallback(
    (id: string) => {
      if (!queryClient.getQueryData<List>(key)?.items.some((item) => item.id === id)) return;
      old.current.add(id);
      readSeen();
    },
    [key, readSeen],
  );
  const allChanged = useCallback(() => {
    old.current = new Set(idsBelow());
    readSeen();
  }, [idsBelow, readSeen]);
  const setDrawn = useCallback(
    (ids: readonly string[]) => {
      drawn.current = ids;
      readSeen();
    },
    [readSeen],
  );
  return { changed, allChanged, setDrawn };
}
