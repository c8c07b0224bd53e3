// What of the conversations is shown; all of it lives in the URL, so that it can be sent to somebody and the back button works.

import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useLocation, useSearch } from 'wouter';
import type { Agent } from '../../../src/http/contract.ts';
import { get, queryString } from '../../api.ts';
import { Choice, SearchField } from '../../parts/filter-fields.tsx';
import { formatAddress } from '../../parts/format-address.ts';
import { useInstance } from '../../parts/shell.tsx';
import { utc } from '../../parts/time.tsx';
import type { Filter } from './use-list.ts';

const STATES = [
  { value: '', label: 'Any state' },
  { value: 'waiting', label: 'Waiting' },
  { value: 'failed', label: 'Failed' },
  { value: 'fell_back', label: 'No answer' },
  { value: 'undelivered', label: 'Not delivered' },
  { value: 'unknown', label: 'Unknown' },
  { value: 'taken_over', label: 'By hand' },
  { value: 'held', label: 'Held' },
  { value: 'opted_out', label: 'Opted out' },
] as const;
const TIMES: readonly { value: string; label: string }[] = [
  { value: '', label: 'Any time' },
  { value: '1h', label: 'Last hour' },
  { value: '24h', label: 'Last 24 hours' },
  { value: '7d', label: 'Last 7 days' },
];

export function useFilter(): Filter {
  const search = useSearch();
  return useMemo(() => {
    const given = new URLSearchParams(search);
    const filter: Record<string, string> = {};
    for (const name of ['state', 'since', 'number', 'agent', 'phone']) {
      const value = given.get(name);
      if (value) filter[name] = value;
    }
    return filter;
  }, [search]);
}

/** Changes part of the filter; the conversation that is open stays open. */
function useSetFilter(filter: Filter) {
  const [location, navigate] = useLocation();
  return (part: Partial<Record<keyof Filter, string>>) => {
    navigate(location + queryString({ ...filter, ...part }), { replace: 'phone' in part });
  };
}

export function Filters({ filter }: { filter: Filter }) {
  const set = useSetFilter(filter);
  const instance = useInstance();
  const agents = useQuery({
    queryKey: ['agents'],
    queryFn: ({ signal }) => get<{ data: Agent[] }>('/v1/agents', { limit: '200' }, signal),
  });
  const numbers = instance.data?.numbers ?? [];
  const agentNames = agents.data?.data ?? [];
  return (
    <div className="flex flex-col gap-2 border-b border-line px-3 pt-2.5 pb-2">
      <SearchField
        label="Find a number"
        group="Conversations"
        clear="Show all numbers"
        inputMode="tel"
        value={filter.phone ?? ''}
        onChange={(phone) => set({ phone })}
      />
      <div className="flex flex-wrap items-center gap-1">
        <Choice label="State" value={filter.state ?? ''} options={STATES} onChange={(state) => set({ state })} />
        <Choice
          label="Time"
          value={filter.since ?? ''}
          options={timesWith(filter.since)}
          onChange={(since) => set({ since })}
        />
        {(numbers.length > 1 || filter.number !== undefined) && (
          <Choice
            label="Number"
            value={filter.number ?? ''}
            options={[
              { value: '', label: 'All numbers' },
              ...numbers.map(({ address }) => ({ value: address, label: formatAddress(address) })),
            ]}
            onChange={(number) => set({ number })}
          />
        )}
        {(agentNames.length > 1 || filter.agent !== undefined) && (
          <Choice
            label="Agent"
            value={filter.agent ?? ''}
            options={[
              { value: '', label: 'All agents' },
              ...agentNames.map(({ id, name }) => ({ value: id, label: name })),
            ]}
            onChange={(agent) => set({ agent })}
          />
        )}
      </div>
    </div>
  );
}

/** A link may bring any time. */
function timesWith(since: string | undefined): typeof TIMES {
  if (since === undefined || TIMES.some(({ value }) => value === since)) return TIMES;
  const isMoment = !Number.isNaN(Date.parse(since));
  return [...TIMES, { value: since, label: isMoment ? `Since ${utc(since)}` : `Last ${since}` }];
}
