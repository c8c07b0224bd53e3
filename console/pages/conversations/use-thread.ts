// One conversation: what it is, and its messages, newest first, kept up to date by the stream (refresh.ts reads everything
// under ['conversation', id] again when something happens in it).
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import type { ConversationDetail, Message, MessagePage } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { useFailure } from '../../parts/failure.ts';
import { queryClient } from '../../refresh.ts';
import { type Paged, withHead, withOlder } from './paged.ts';

const PAGE = 50;
/** On the way back to one that somebody wants to see. */
const LONG_PAGE = 200;
/** So many are read by themselves on that way: all of them are drawn. */
const LOOK_BACK = 1_000;
const ACCESS = { id: (message: Message) => message.id, order: (message: Message) => message.id };

export function useConversation(id: string) {
  return useQuery({
    queryKey: ['conversation', id],
    queryFn: ({ signal }) => get<ConversationDetail>(`/v1/conversations/${id}`, {}, signal),
  });
}

/** `wanted`: the message that somebody wants to see. What lies between it and the newest is read too. */
export function useThread(id: string, wanted: string | null) {
  const key = ['conversation', id, 'messages'] as const;
  const path = `/v1/conversations/${id}/messages`;
  const [older, setOlder] = useState<{ isLoading: boolean; error: unknown }>({ isLoading: false, error: null });
  const isReading = useRef(false);
  const [most, setMost] = useState(LOOK_BACK);
  const query = useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<Paged<Message>> => {
      const head = await get<MessagePage>(path, { limit: PAGE }, signal);
      return withHead(queryClient.getQueryData<Paged<Message>>(key), head, ACCESS);
    },
  });

  /** One more page, or pages until it `isEnough`: drawn together, because each is drawn with all that was read before. */
  async function loadOlder(limit = PAGE, isEnough: (read: Paged<Message>) => boolean = () => true): Promise<void> {
    const from = queryClient.getQueryData<Paged<Message>>(key)?.cursor;
    if (!from || isReading.current) return;
    isReading.current = true;
    setOlder({ isLoading: true, error: null });
    let error: unknown = null;
    try {
      let read: Paged<Message> = { items: [], cursor: from };
      do {
        read = withOlder(read, await get<MessagePage>(path, { limit, cursor: read.cursor! }), ACCESS);
      } while (read.cursor !== null && !isEnough(read));
      const page = { data: read.items, next_cursor: read.cursor };
      queryClient.setQueryData<Paged<Message>>(key, (now) =>
        // Unless only the head is left by now: there may be more in between.
        now?.cursor === from ? withOlder(now, page, ACCESS) : now,
      );
    } catch (thrown) {
      error = thrown;
    }
    isReading.current = false;
    setOlder({ isLoading: false, error });
  }

  const failure = useFailure(query);
  const messages = query.data?.items ?? [];
  const oldest = messages.at(-1)?.id;
  const hasOlder = query.data?.cursor != null;
  // Ids sort by time.
  const isFurtherBack = wanted !== null && oldest !== undefined && wanted < oldest && hasOlder;
  const isTooOld = isFurtherBack && messages.length >= most;
  useEffect(() => {
    if (!isFurtherBack || isTooOld || older.error !== null) return;
    void loadOlder(LONG_PAGE, ({ items }) => items.at(-1)!.id <= wanted || messages.length + items.length >= most);
  });

  return {
    messages,
    hasOlder,
    isLoading: query.data === undefined && failure === null,
    error: failure,
    staleError: query.data ? query.error : null,
    retry: () => query.refetch(),
    loadOlder: () => loadOlder(),
    isLoadingOlder: older.isLoading,
    olderError: older.error,
    /** The wanted one has not been reached. */
    isFurtherBack,
    /** Nor is it looked for any more. */
    isTooOld,
    lookFurther: () => setMost(messages.length + LOOK_BACK),
  };
}
