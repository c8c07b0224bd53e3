// One conversation: what it is, and its messages, newest first, kept up to date by the stream (refresh.ts reads everything
// under ['conversation', id] again when something happens in it).
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { ConversationDetail, Message, MessagePage } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { useFailure } from '../../parts/failure.ts';
import { queryClient } from '../../refresh.ts';
import { type Paged, withHead, withOlder } from './paged.ts';

const PAGE = 50;
const ACCESS = { id: (message: Message) => message.id, order: (message: Message) => message.id };

export function useConversation(id: string) {
  return useQuery({
    queryKey: ['conversation', id],
    queryFn: ({ signal }) => get<ConversationDetail>(`/v1/conversations/${id}`, {}, signal),
  });
}

export function useThread(id: string) {
  const key = ['conversation', id, 'messages'] as const;
  const path = `/v1/conversations/${id}/messages`;
  const [older, setOlder] = useState<{ isLoading: boolean; error: unknown }>({ isLoading: false, error: null });
  const query = useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<Paged<Message>> => {
      const head = await get<MessagePage>(path, { limit: PAGE }, signal);
      return withHead(queryClient.getQueryData<Paged<Message>>(key), head, ACCESS);
    },
  });

  async function loadOlder(): Promise<void> {
    const cursor = queryClient.getQueryData<Paged<Message>>(key)?.cursor;
    if (!cursor || older.isLoading) return;
    setOlder({ isLoading: true, error: null });
    try {
      const page = await get<MessagePage>(path, { limit: PAGE, cursor });
      queryClient.setQueryData<Paged<Message>>(key, (now) => now && withOlder(now, page, ACCESS));
      setOlder({ isLoading: false, error: null });
    } catch (error) {
      setOlder({ isLoading: false, error });
    }
  }

  const failure = useFailure(query);
  return {
    messages: query.data?.items ?? [],
    hasOlder: query.data?.cursor != null,
    isLoading: query.data === undefined && failure === null,
    error: failure,
    staleError: query.data ? query.error : null,
    retry: () => query.refetch(),
    loadOlder,
    isLoadingOlder: older.isLoading,
    olderError: older.error,
  };
}
