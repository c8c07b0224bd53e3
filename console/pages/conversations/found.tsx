// Texts that have the words that are looked for, or that an id or an error code leads to, newest first.
import { useInfiniteQuery } from '@tanstack/react-query';
import { ImageIcon, Send } from 'lucide-react';
import { useRef } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import type { FoundMessage, FoundMessagePage } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { useFailure } from '../../parts/failure.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { PanelEmpty, PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { MESSAGE_LOOKS, StateLabel } from '../../parts/state-label.tsx';
import { Ago, ClockTime, utc } from '../../parts/time.tsx';
import { snippetOf } from './snippet.ts';

const PAGE = 50;

export function Found({ q, messageId }: { q: string; messageId: string | null }) {
  const search = useSearch();
  const [, navigate] = useLocation();
  const list = useRef<HTMLUListElement>(null);
  const found = useInfiniteQuery({
    queryKey: ['found', q],
    queryFn: ({ pageParam, signal }) =>
      get<FoundMessagePage>('/v1/messages', { q, limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    refetchOnWindowFocus: false,
  });
  const failure = useFailure(found);
  const pages = found.data?.pages ?? [];
  const hits = pages.flatMap(({ data }) => data);
  const pathOf = ({ conversation_id, id }: FoundMessage) =>
    `/conversations/${conversation_id}/messages/${id}${search === '' ? '' : `?${search}`}`;
  const step = (by: number) => {
    const at = hits.findIndex(({ id }) => id === messageId);
    const index = at < 0 ? 0 : Math.min(hits.length - 1, Math.max(0, at + by));
    const next = hits[index];
    if (!next) return;
    navigate(pathOf(next));
    list.current?.children[index]?.scrollIntoView({ block: 'nearest' });
  };
  useShortcut({ keys: 'j', label: 'Next text that was found', group: 'Conversations' }, () => step(1));
  useShortcut({ keys: 'k', label: 'Previous text that was found', group: 'Conversations' }, () => step(-1));

  if (failure) return <PanelError error={failure} retry={() => found.refetch()} />;
  const last = pages.at(-1);
  if (!last) return <PanelLoading what="texts" className="h-40" />;
  if (hits.length === 0 && last.next_cursor === null) {
    return <PanelEmpty title="Nothing found">Looked through {listed(last.searched)}.</PanelEmpty>;
  }
  return (
    <div className="scroll-y min-h-0 flex-1">
      {found.isRefetchError && <StaleNote error={found.error} retry={() => found.refetch()} />}
      <p role="status" className="border-b border-line px-3 py-1.5 text-small text-ink-3">
        {hits.length.toLocaleString('en')}
        {last.next_cursor === null ? '' : ' or more'} found at{' '}
        <ClockTime at={new Date(found.dataUpdatedAt).toISOString()} seconds /> in {listed(last.searched)}.{' '}
        <button
          type="button"
          onClick={() => void found.refetch()}
          className="text-accent underline decoration-1 underline-offset-2"
        >
          Look again
        </button>
      </p>
      <ul aria-label="Texts that were found" ref={list}>
        {hits.map((message) => (
          <li key={message.id} className="[content-visibility:auto] [contain-intrinsic-size:auto_5rem]">
            <Hit message={message} q={q} href={pathOf(message)} isOpen={message.id === messageId} />
          </li>
        ))}
      </ul>
      {found.isFetchNextPageError ? (
        <PanelError error={found.error} retry={() => found.fetchNextPage()} className="p-4" />
      ) : last.next_cursor === null ? (
        <p className="p-3 text-center text-small text-ink-3">That is all.</p>
      ) : (
        <button
          type="button"
          disabled={found.isFetchingNextPage}
          onClick={() => void found.fetchNextPage()}
          className="w-full p-3 text-center text-small text-accent disabled:text-ink-3"
        >
          {found.isFetchingNextPage ? 'Looking …' : further(last)}
        </button>
      )}
    </div>
  );
}

function Hit({ message, q, href, isOpen }: { message: FoundMessage; q: string; href: string; isOpen: boolean }) {
  const { direction, body, media, state, at } = message;
  return (
    <Link
      href={href}
      aria-current={isOpen ? 'true' : undefined}
      className={`flex flex-col gap-0.5 border-b border-line px-3 py-2 -outline-offset-2 ${isOpen ? 'bg-selected' : 'hover:bg-hover'}`}
    >
      <span className="flex items-baseline justify-between gap-2">
        <span className="figures truncate font-medium">{formatAddress(message.their_address)}</span>
        <Ago at={at} className="shrink-0 text-small text-ink-3" />
      </span>
      <span className="line-clamp-2 break-words text-ink-2">
        {direction === 'out' && <Send size={11} className="mr-1 inline text-ink-3" aria-label="Sent:" />}
        {media.length > 0 && <ImageIcon size={12} className="mr-1 inline text-ink-3" aria-label="Picture" />}
        <bdi>
          {snippetOf(body, q).map(({ text, isFound, at }) =>
            isFound ? (
              <mark key={at} className="rounded-sm bg-warn-soft text-ink">
                {text}
              </mark>
            ) : (
              text
            ),
          )}
          {body === '' && 'A picture'}
        </bdi>
      </span>
      <StateLabel look={MESSAGE_LOOKS[state]} className="text-small" />
    </Link>
  );
}

function further({ searched_back_to }: FoundMessagePage): string {
  return searched_back_to === null ? 'Older ones' : `Looked back to ${utc(searched_back_to)}. Look further`;
}

function listed(what: readonly string[]): string {
  return [what.slice(0, -1).join(', '), what.at(-1)].filter(Boolean).join(' and ');
}
