// The agents of a filter, oldest first, and how many there are of each kind.
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';
import type { AgentDetail, AgentList } from '../../../src/http/contract.ts';
import { get, queryString } from '../../api.ts';
import { useLiveState } from '../../live.ts';

const NAMES = ['status', 'type', 'protocol', 'name'] as const;
export type Filter = { readonly [Name in (typeof NAMES)[number]]?: string };
const PAGE = 50;
/** Heartbeats and calls that begin are told by nobody. */
const READ_AGAIN_MS = 15_000;

/** What is in the URL, and how it is changed there; typing leaves one step in the history. */
export function useFilter(): [filter: Filter, set: (part: Filter) => void] {
  const search = useSearch();
  const [location, navigate] = useLocation();
  const filter = useMemo(() => {
    const given = new URLSearchParams(search);
    return Object.fromEntries(NAMES.flatMap((name) => (given.get(name) ? [[name, given.get(name)]] : []))) as Filter;
  }, [search]);
  return [filter, (part) => navigate(location + queryString({ ...filter, ...part }), { replace: 'name' in part })];
}

/** How often what nobody tells of is read again; not while the page is paused. */
export function useReadAgain(): number | false {
  return useLiveState() === 'paused' ? false : READ_AGAIN_MS;
}

export function useAgents(filter: Filter) {
  const refetchInterval = useReadAgain();
  return useInfiniteQuery({
    queryKey: ['agents', 'list', filter],
    queryFn: ({ pageParam, signal }) =>
      get<AgentList>('/v1/agents', { ...filter, limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval,
  });
}

export function useAgent(id: string) {
  const refetchInterval = useReadAgain();
  return useQuery({
    queryKey: ['agent', id],
    queryFn: ({ signal }) => get<AgentDetail>(`/v1/agents/${id}`, {}, signal),
    refetchInterval,
  });
}
