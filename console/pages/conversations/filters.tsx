// What of the conversations is shown: what is looked for, and what the list is narrowed down to.
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useLocation } from 'wouter';
import { useHistoryState } from 'wouter/use-browser-location';
import type { Agent } from '../../../src/http/contract.ts';
import { get, queryString } from '../../api.ts';
import { useFailure } from '../../parts/failure.ts';
import { Choice, SearchField, wantsSearch } from '../../parts/filter-fields.tsx';
import { formatAddress, isNumber } from '../../parts/format-address.ts';
import { useInstance } from '../../parts/shell.tsx';
import { duration } from '../../parts/time.tsx';
import { type Params, textsOf } from './filter.ts';
import { OWN_TIMES, OwnTimes, timesOf } from './own-times.tsx';

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

type Set = (part: Params, options?: { readonly replace: boolean }) => void;

/** Changes part of what is shown; the conversation that is open stays open. */
function useSet(params: Params): Set {
  const [location, navigate] = useLocation();
  return (part, options) => navigate(location + queryString({ ...params, ...part }), options);
}

export function Filters({ params }: { params: Params }) {
  const set = useSet(params);
  const isWanted = wantsSearch(useHistoryState());
  const { q = '' } = params;
  return (
    <div className="flex flex-col gap-2 border-b border-line px-3 pt-2.5 pb-2">
      <SearchField
        label="Find a number, words, an id"
        group="Conversations"
        clear="Show all conversations"
        isWanted={isWanted}
        value={q}
        // Typing is one step in the history: the one from the list to what was found.
        onChange={(next) => set({ q: next, in: '' }, { replace: q !== '' && next !== '' })}
      />
      {textsOf(params) === null ? (
        <ListFilters params={params} set={set} />
      ) : (
        isNumber(q) && <Instead onClick={() => set({ in: '' })}>Numbers with {q} instead</Instead>
      )}
      {textsOf(params) === null && q.length > 1 && (
        <Instead onClick={() => set({ in: 'texts' })}>Texts and error codes with {q} instead</Instead>
      )}
      {q.length === 1 && !isNumber(q) && <p className="text-small text-ink-3">One more character finds texts.</p>}
    </div>
  );
}

function Instead({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="max-w-full self-start truncate text-small text-accent underline decoration-1 underline-offset-2"
    >
      {children}
    </button>
  );
}

function ListFilters({ params, set }: { params: Params; set: Set }) {
  const { since, until, slower_than } = params;
  const [isOwn, setOwn] = useState(false);
  const showsTimes = isOwn || until !== undefined;
  return (
    <>
      <div className="flex flex-wrap items-center gap-1">
        <Choice label="State" value={params.state ?? ''} options={STATES} onChange={(state) => set({ state })} />
        <Choice
          label="Time"
          value={showsTimes ? OWN_TIMES : (since ?? '')}
          options={timesOf(since)}
          onChange={(time) => {
            setOwn(time === OWN_TIMES);
            if (time !== OWN_TIMES) set({ since: time, until: '' });
          }}
        />
        {slower_than !== undefined && (
          <Choice
            label="Time to answer"
            value={slower_than}
            options={[
              { value: '', label: 'Any time to answer' },
              { value: slower_than, label: `Slower than ${duration(Number(slower_than))}` },
            ]}
            onChange={(slower) => set({ slower_than: slower })}
          />
        )}
        <NumberFilter params={params} set={set} />
        <AgentFilter params={params} set={set} />
      </div>
      {showsTimes && <OwnTimes since={since} until={until} onChange={(times) => set(times, { replace: true })} />}
    </>
  );
}

function NumberFilter({ params: { number }, set }: { params: Params; set: Set }) {
  const instance = useInstance();
  const numbers = instance.data?.numbers ?? [];
  if (useFailure(instance)) return <Unread what="Our numbers" retry={() => instance.refetch()} />;
  if (numbers.length < 2 && number === undefined) return null;
  return (
    <Choice
      label="Number"
      value={number ?? ''}
      options={[
        { value: '', label: 'All numbers' },
        ...numbers.map(({ address }) => ({ value: address, label: formatAddress(address) })),
      ]}
      onChange={(next) => set({ number: next })}
    />
  );
}

function AgentFilter({ params: { agent }, set }: { params: Params; set: Set }) {
  const agents = useQuery({
    queryKey: ['agents'],
    queryFn: ({ signal }) => get<{ data: Agent[] }>('/v1/agents', { limit: '200' }, signal),
  });
  const names = agents.data?.data ?? [];
  if (useFailure(agents)) return <Unread what="The agents" retry={() => agents.refetch()} />;
  if (names.length < 2 && agent === undefined) return null;
  return (
    <Choice
      label="Agent"
      value={agent ?? ''}
      options={[{ value: '', label: 'All agents' }, ...names.map(({ id, name }) => ({ value: id, label: name }))]}
      onChange={(next) => set({ agent: next })}
    />
  );
}

/** In the place of a filter whose choices could not be read. */
function Unread({ what, retry }: { what: string; retry: () => unknown }) {
  return (
    <span role="alert" className="flex h-6 items-center gap-1 text-small text-warn">
      {what} could not be read.
      <button type="button" onClick={() => void retry()} className="font-medium underline underline-offset-2">
        Try again
      </button>
    </span>
  );
}
