// What of the conversations is shown; all of it lives in the URL, so that it can be sent to somebody and the back button works.

import { useQuery } from '@tanstack/react-query';
import { ChevronDown, Search, X } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useLocation, useSearch } from 'wouter';
import type { Agent } from '../../../src/http/contract.ts';
import { get, queryString } from '../../api.ts';
import { Menu, MenuChoice } from '../../parts/menu.tsx';
import { formatAddress } from '../../parts/phone-number.tsx';
import { useInstance } from '../../parts/shell.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import type { Filter } from './use-list.ts';

const STATES = [
  { value: '', label: 'Any state' },
  { value: 'waiting', label: 'Waiting' },
  { value: 'failed', label: 'Failed' },
  { value: 'taken_over', label: 'By hand' },
  { value: 'held', label: 'Held' },
  { value: 'opted_out', label: 'Opted out' },
] as const;
const TYPING_MS = 250;

export function useFilter(): Filter {
  const search = useSearch();
  return useMemo(() => {
    const given = new URLSearchParams(search);
    const filter: Record<string, string> = {};
    for (const name of ['state', 'number', 'agent', 'phone']) {
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
    queryFn: ({ signal }) => get<{ data: Agent[] }>('/v1/agents', {}, signal),
  });
  const numbers = instance.data?.numbers ?? [];
  const agentNames = agents.data?.data ?? [];
  return (
    <div className="flex flex-col gap-2 border-b border-line px-3 pt-2.5 pb-2">
      <PhoneField value={filter.phone ?? ''} onChange={(phone) => set({ phone })} />
      <div className="flex flex-wrap items-center gap-1">
        <Choice label="State" value={filter.state ?? ''} options={STATES} onChange={(state) => set({ state })} />
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

function PhoneField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const ref = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => setText(value), [value]);
  useShortcut({ keys: '/', label: 'Find a number', group: 'Conversations' }, () => ref.current?.focus());
  const type = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(next.trim()), TYPING_MS);
  };
  return (
    <div className="relative">
      <Search size={14} aria-hidden className="pointer-events-none absolute top-2 left-2.5 text-ink-3" />
      <input
        ref={ref}
        type="search"
        inputMode="tel"
        aria-label="Find a number"
        placeholder="Find a number"
        value={text}
        onChange={(event) => type(event.target.value)}
        onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
        className="h-[30px] w-full rounded-md border border-line bg-page pr-7 pl-8 hover:border-line-strong [&::-webkit-search-cancel-button]:hidden"
      />
      {text !== '' && (
        <button
          type="button"
          aria-label="Show all numbers"
          onClick={() => type('')}
          className="absolute top-1 right-1 flex size-[22px] items-center justify-center rounded-sm text-ink-3 hover:bg-hover hover:text-ink"
        >
          <X size={13} aria-hidden />
        </button>
      )}
    </div>
  );
}

function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string;
  options: readonly { readonly value: T; readonly label: string }[];
  onChange: (value: T) => void;
}) {
  const chosen = options.find((option) => option.value === value);
  const isSet = value !== '';
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          className={`flex h-6 items-center gap-1 rounded-full border px-2.5 text-small font-medium pointer-coarse:h-8 ${isSet ? 'border-transparent bg-selected text-ink' : 'border-line text-ink-2 hover:border-line-strong'}`}
        >
          <span className="sr-only">{label}: </span>
          {chosen?.label ?? label}
          <ChevronDown size={12} aria-hidden className="text-ink-3" />
        </button>
      }
    >
      <MenuChoice value={value as T} options={options} onChange={onChange} />
    </Menu>
  );
}
