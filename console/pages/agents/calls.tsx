// What an agent was asked and what it said, newest first; each call leads to the message that it was about.
import { useInfiniteQuery } from '@tanstack/react-query';
import { Ban, Check, ChevronRight, CircleAlert, Clock } from 'lucide-react';
import { useState } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import type { AgentExchange, AgentExchangePage } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { duration } from '../../parts/duration.ts';
import { ExchangeView } from '../../parts/exchange-view.tsx';
import { useFailure } from '../../parts/failure.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { Ago, utc } from '../../parts/time.tsx';

const PAGE = 20;
const VIEWS = [
  { value: '', label: 'All calls' },
  { value: 'failed', label: 'Failures' },
] as const;

export function CallList({ agentId }: { agentId: string }) {
  const [location, navigate] = useLocation();
  const search = new URLSearchParams(useSearch());
  const outcome = search.get('calls') === 'failed' ? 'failed' : '';
  const show = (value: string) => {
    if (value === '') search.delete('calls');
    else search.set('calls', value);
    navigate(search.size === 0 ? location : `${location}?${search}`);
  };
  return (
    <section aria-labelledby="calls-title" className="min-w-0 px-4 pt-4 pb-8 @xl:px-6">
      <div className="mb-1 flex items-baseline justify-between gap-3">
        <h2 id="calls-title" className="text-large font-semibold">
          Calls
        </h2>
        <fieldset aria-label="Which calls" className="flex gap-0.5">
          {VIEWS.map(({ value, label }) => (
            <button
              key={value}
              type="button"
              aria-pressed={outcome === value}
              onClick={() => show(value)}
              className={`h-6 rounded-sm px-2 text-small font-medium pointer-coarse:h-9 ${outcome === value ? 'bg-selected text-ink' : 'text-ink-3 hover:text-ink'}`}
            >
              {label}
            </button>
          ))}
        </fieldset>
      </div>
      <Calls key={outcome} agentId={agentId} outcome={outcome} />
    </section>
  );
}

function Calls({ agentId, outcome }: { agentId: string; outcome: '' | 'failed' }) {
  const calls = useInfiniteQuery({
    queryKey: ['agent', agentId, 'exchanges', outcome],
    queryFn: ({ pageParam, signal }) =>
      get<AgentExchangePage>(`/v1/agents/${agentId}/exchanges`, { outcome, limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
  });
  const failure = useFailure(calls);
  const retry = () => calls.refetch();
  if (failure) return <PanelError error={failure} retry={retry} />;
  if (!calls.data) return <PanelLoading what="its calls" className="h-24" />;
  const items = calls.data.pages.flatMap(({ data }) => data);
  const backTo = calls.data.pages.at(-1)?.searched_back_to ?? null;
  return (
    <>
      {calls.error && <StaleNote error={calls.error} retry={retry} />}
      {items.length === 0 && (
        <p className="py-4 text-ink-2">
          {outcome === 'failed' ? 'None of the calls that are kept has failed' : 'No call for a text is kept'}
          {backTo === null ? '.' : `, as far back as ${utc(backTo)}.`}
          {outcome === '' && ' What programs ask it over the MCP adapter is never kept.'}
        </p>
      )}
      {items.length > 0 && (
        <ol aria-label={outcome === 'failed' ? 'Calls that failed' : 'Calls'} className="border-t border-line">
          {items.map((call) => (
            <Call key={call.exchange.id} call={call} />
          ))}
        </ol>
      )}
      {calls.hasNextPage && (
        <div className="flex items-center gap-3 pt-3">
          <Button disabled={calls.isFetchingNextPage} onClick={() => void calls.fetchNextPage()}>
            {calls.isFetchingNextPage ? 'Reading …' : backTo === null ? 'Older calls' : 'Look further back'}
          </Button>
          {backTo !== null && <span className="text-small text-ink-3">Looked back to {utc(backTo)}.</span>}
        </div>
      )}
    </>
  );
}

function Call({ call }: { call: AgentExchange }) {
  const [isOpen, setOpen] = useState(false);
  const { exchange } = call;
  const { Sign, tone, word } = lookOf(exchange);
  return (
    <li className="border-b border-line">
      <div className="flex items-center gap-1.5 py-1">
        <button
          type="button"
          aria-expanded={isOpen}
          aria-label={`${isOpen ? 'Hide' : 'Show'} the call of ${utc(call.started_at)}`}
          onClick={() => setOpen(!isOpen)}
          className="-ml-1.5 flex size-6 shrink-0 items-center justify-center rounded-sm text-ink-3 hover:bg-hover hover:text-ink pointer-coarse:-ml-3 pointer-coarse:size-9"
        >
          <ChevronRight size={13} aria-hidden className={isOpen ? 'rotate-90' : ''} />
        </button>
        <Sign size={13} strokeWidth={2.2} aria-hidden className={`shrink-0 ${tone ?? 'text-good'}`} />
        <span className={`min-w-0 truncate ${tone ?? ''}`}>{word}</span>
        <span className="figures shrink-0 text-small text-ink-3">{duration(call.duration_ms)}</span>
        {exchange.attempt > 1 && <span className="shrink-0 text-small text-ink-3">try {exchange.attempt}</span>}
        <span className="ml-auto flex min-w-0 shrink-0 items-center gap-1.5 @xl:gap-3">
          {call.is_replay ? <span className="text-small text-ink-3">a replay</span> : <MessageLink call={call} />}
          <Ago at={call.started_at} className="w-12 shrink-0 text-right text-small text-ink-3" />
        </span>
      </div>
      {isOpen && <ExchangeView exchange={exchange} />}
    </li>
  );
}

function lookOf({ outcome, error_code }: AgentExchange['exchange']) {
  if (outcome === 'deferred') return { Sign: Clock, word: 'answers later' };
  if (outcome !== 'failed') return { Sign: Check, word: 'answered' };
  // By STOP, a text that interrupts, or a person who took over: nothing that the agent did.
  if (error_code === 'agent_cancelled') return { Sign: Ban, tone: 'text-ink-3', word: 'cut off by us' };
  return { Sign: CircleAlert, tone: 'text-bad', word: error_code };
}

function MessageLink({ call: { conversation_id, message_id, their_address } }: { call: AgentExchange }) {
  const path = `/conversations/${conversation_id}`;
  return (
    <Link
      href={message_id === null ? path : `${path}/messages/${message_id}`}
      className="figures truncate text-ink-2 underline-offset-2 hover:text-ink hover:underline"
    >
      {formatAddress(their_address)}
    </Link>
  );
}
