// The list: as many rows as there are conversations, as many in the page as fit on the screen.
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowUp, Hand, ImageIcon, Send } from 'lucide-react';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { Link, useLocation, useSearch } from 'wouter';
import type { Conversation } from '../../../src/http/contract.ts';
import { formatAddress } from '../../parts/format-address.ts';
import { PanelEmpty, PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { CONVERSATION_LOOKS, MESSAGE_LOOKS, StateLabel } from '../../parts/state-label.tsx';
import { Ago, utc } from '../../parts/time.tsx';
import type { Filter } from './filter.ts';
import { useConversationList } from './use-list.ts';

const ROW_PX = 58;
/** Rows drawn beyond the edges, so that fast scrolling shows no blanks. */
const OVERSCAN = 14;
/** The next page is read when this few rows are left below. */
const READ_AHEAD = 40;

type List = ReturnType<typeof useConversationList>;

export function ConversationList({ filter, openId }: { filter: Filter; openId: string | null }) {
  const list = useConversationList(filter);
  const { items, hasOlder, isLoadingOlder, olderError, loadOlder, setDrawn } = list;
  const scroller = useRef<HTMLDivElement>(null);
  const search = useSearch();
  const [, navigate] = useLocation();
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
    getItemKey: (index) => items[index]!.id,
  });
  const drawn = rows.getVirtualItems();
  const firstDrawn = drawn[0]?.index ?? 0;
  const lastDrawn = drawn.at(-1)?.index ?? 0;
  useEffect(
    () => setDrawn(items.slice(firstDrawn, lastDrawn + 1).map(({ id }) => id)),
    [items, firstDrawn, lastDrawn, setDrawn],
  );
  useEffect(() => {
    if (hasOlder && !isLoadingOlder && !olderError && lastDrawn > items.length - READ_AHEAD) void loadOlder();
  }, [hasOlder, isLoadingOlder, olderError, lastDrawn, items.length, loadOlder]);

  const pathOf = (id: string) => `/conversations/${id}${search === '' ? '' : `?${search}`}`;
  const step = (by: number) => {
    const at = items.findIndex(({ id }) => id === openId);
    const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + by))];
    if (!next) return;
    navigate(pathOf(next.id));
    rows.scrollToIndex(items.indexOf(next));
  };
  useShortcut({ keys: 'j', label: 'Next conversation', group: 'Conversations' }, () => step(1));
  useShortcut({ keys: 'k', label: 'Previous conversation', group: 'Conversations' }, () => step(-1));
  const newAbove = useNewAbove(items, scroller.current, ROW_PX);

  if (list.isLoading) return <PanelLoading what="conversations" className="h-40" />;
  if (list.error) return <PanelError error={list.error} retry={list.retry} />;
  if (items.length === 0) return <NothingHere filter={filter} searchedBackTo={list.searchedBackTo} />;
  return (
    <>
      {list.staleError !== null && <StaleNote error={list.staleError} retry={list.retry} />}
      <div className="relative min-h-0 flex-1">
        <div ref={scroller} className="scroll-y h-full [overflow-anchor:none]">
          <ul aria-label="Conversations" className="relative" style={{ height: rows.getTotalSize() }}>
            {drawn.map(({ index, key, start }) => (
              <li
                key={key}
                className="absolute inset-x-0 top-0"
                style={{ height: ROW_PX, transform: `translateY(${start}px)` }}
              >
                <Row
                  conversation={items[index]!}
                  href={pathOf(items[index]!.id)}
                  isOpen={items[index]!.id === openId}
                />
              </li>
            ))}
          </ul>
          <Foot list={list} />
        </div>
        {newAbove > 0 && (
          <button
            type="button"
            onClick={() => scroller.current?.scrollTo({ top: 0, behavior: 'smooth' })}
            className="animate-appear absolute top-2 left-1/2 flex h-7 -translate-x-1/2 items-center gap-1.5 rounded-full bg-ink px-3 text-small font-medium text-on-ink shadow-float"
          >
            <ArrowUp size={13} aria-hidden />
            {newAbove} new
          </button>
        )}
      </div>
    </>
  );
}

/** Keeps what is being read where it is while rows come in above it; gives how many came. */
function useNewAbove(items: readonly Conversation[], scroller: HTMLDivElement | null, rowPx: number): number {
  const before = useRef<readonly Conversation[]>(items);
  const [count, setCount] = useState(0);
  useLayoutEffect(() => {
    const old = before.current;
    before.current = items;
    if (!scroller || old === items || old.length === 0) return;
    if (scroller.scrollTop < rowPx) {
      setCount(0);
      return;
    }
    // The row at the top of what is seen, and how far it was moved down.
    const top = Math.floor(scroller.scrollTop / rowPx);
    const anchor = old[top];
    const now = anchor ? items.findIndex(({ id }) => id === anchor.id) : -1;
    if (now <= top) return;
    scroller.scrollTop += (now - top) * rowPx;
    setCount((known) => known + now - top);
  }, [items, scroller, rowPx]);
  useEffect(() => {
    if (!scroller) return;
    const onScroll = () => scroller.scrollTop < rowPx && setCount(0);
    scroller.addEventListener('scroll', onScroll, { passive: true });
    return () => scroller.removeEventListener('scroll', onScroll);
  }, [scroller, rowPx]);
  return count;
}

function Row({ conversation, href, isOpen }: { conversation: Conversation; href: string; isOpen: boolean }) {
  const { last_message: last, state, waiting } = conversation;
  const isFailed =
    last !== null && (last.state === 'failed' || last.state === 'undelivered' || last.state === 'fell_back');
  return (
    <Link
      href={href}
      aria-current={isOpen ? 'true' : undefined}
      className={`flex h-full flex-col justify-center gap-0.5 border-b border-line px-3 -outline-offset-2 ${isOpen ? 'bg-selected' : 'hover:bg-hover'}`}
    >
      <span className="flex items-baseline justify-between gap-2">
        <span className="figures truncate font-medium">{formatAddress(conversation.their_address)}</span>
        {last && <Ago at={last.at} className="shrink-0 text-small text-ink-3" />}
      </span>
      <span className="flex items-center gap-2 text-ink-2">
        <span className="flex min-w-0 flex-1 items-center gap-1">
          {last?.direction === 'out' &&
            (last.kind === 'operator' ? (
              <Hand size={11} className="shrink-0 text-hand" aria-label="By hand:" />
            ) : (
              <Send size={11} className="shrink-0 text-ink-3" aria-label="Sent:" />
            ))}
          {last !== null && last.media > 0 && (
            <ImageIcon size={12} className="shrink-0 text-ink-3" aria-label="Picture" />
          )}
          <span className="truncate">{last === null ? 'No texts yet' : last.preview || 'A picture'}</span>
        </span>
        {isFailed ? (
          <StateLabel look={MESSAGE_LOOKS[last.state]} className="text-small" />
        ) : (
          state !== 'idle' && <StateLabel look={CONVERSATION_LOOKS[state]} className="text-small" />
        )}
        {/* That one waits is what its state says, but for who has a person to answer them. */}
        {waiting > (state === 'taken_over' ? 0 : 1) && (
          <span
            className="figures rounded-full bg-warn-soft px-1.5 text-small text-warn"
            title={`${waiting} ${waiting === 1 ? 'text waits' : 'texts wait'}${state === 'taken_over' ? ' for the operator' : ''}`}
          >
            {waiting}
            <span className="sr-only"> {waiting === 1 ? 'waits' : 'wait'}</span>
          </span>
        )}
      </span>
    </Link>
  );
}

function Foot({ list }: { list: List }) {
  if (list.olderError)
    return <PanelError error={list.olderError} retry={() => void list.loadOlder()} className="p-4" />;
  if (list.isLoadingOlder) return <p className="p-3 text-center text-small text-ink-3">Reading older ones …</p>;
  if (list.hasOlder)
    return (
      <button
        type="button"
        onClick={() => void list.loadOlder()}
        className="w-full p-3 text-center text-small text-accent"
      >
        {list.searchedBackTo ? `Looked back to ${utc(list.searchedBackTo)}. Look further` : 'Older ones'}
      </button>
    );
  return <p className="p-3 text-center text-small text-ink-3">That is all.</p>;
}

function NothingHere({ filter, searchedBackTo }: { filter: Filter; searchedBackTo: string | null }) {
  if (Object.keys(filter).length === 0)
    return (
      <PanelEmpty
        title="No conversations yet"
        action={
          <Link href="/phone" className="font-medium text-accent underline underline-offset-2">
            Text from the phone
          </Link>
        }
      >
        The first text to one of your numbers begins one.
      </PanelEmpty>
    );
  return (
    <PanelEmpty
      title="None like that"
      action={
        <Link href="/conversations" className="font-medium text-accent underline underline-offset-2">
          Show all
        </Link>
      }
    >
      {searchedBackTo ? `Looked back to ${utc(searchedBackTo)}.` : 'No conversation fits this filter.'}
    </PanelEmpty>
  );
}
