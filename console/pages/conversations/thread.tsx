// One conversation, oldest at the top as on a phone, with what its person sees on the left and what we sent on the right.
import { ArrowDown, ArrowLeft } from 'lucide-react';
import { type UIEvent, useLayoutEffect, useMemo, useRef } from 'react';
import { Link, useLocation } from 'wouter';
import type { ConversationDetail, Message } from '../../../src/http/contract.ts';
import { ApiError } from '../../api.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { useFailure } from '../../parts/failure.ts';
import { PanelEmpty, PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { Address } from '../../parts/phone-number.tsx';
import { sessionMoves } from '../../parts/session-moves.ts';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { CONVERSATION_LOOKS, StateLabel } from '../../parts/state-label.tsx';
import { useStayAtEnd } from '../../parts/stay-at-end.ts';
import { Bubble } from './bubble.tsx';
import { Desk } from './desk.tsx';
import { useConversation, useThread } from './use-thread.ts';

/** So near to the top older ones are read. */
const NEAR_TOP_PX = 400;
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', month: 'long', day: 'numeric' });

export function Thread({ id, messageId, suffix }: { id: string; messageId: string | null; suffix: string }) {
  const conversation = useConversation(id);
  const failure = useFailure(conversation);
  if (failure) {
    const isGone = failure instanceof ApiError && failure.status === 404;
    if (!isGone) return <PanelError error={failure} retry={() => conversation.refetch()} className="h-full" />;
    return (
      <PanelEmpty
        title="There is no such conversation"
        className="h-full"
        action={
          <Link href={`/conversations${suffix}`} className="text-accent underline underline-offset-2">
            All conversations
          </Link>
        }
      >
        Its id may be mistyped, or from another installation.
      </PanelEmpty>
    );
  }
  if (!conversation.data) return <PanelLoading what="the conversation" className="h-full" />;
  return (
    <>
      <Head conversation={conversation.data} back={`/conversations${suffix}`} />
      {conversation.error && <StaleNote error={conversation.error} retry={() => conversation.refetch()} />}
      <Messages id={id} messageId={messageId} suffix={suffix} />
      <Desk conversation={conversation.data} />
    </>
  );
}

function Head({ conversation, back }: { conversation: ConversationDetail; back: string }) {
  const { session, agent, state } = conversation;
  return (
    <header className="flex min-h-12 items-center gap-3 border-b border-line bg-panel px-3 py-1.5 lg:px-4">
      <Link
        href={back}
        aria-label="All conversations"
        className="-ml-1 rounded-md p-1.5 text-ink-2 hover:bg-hover lg:hidden"
      >
        <ArrowLeft size={17} aria-hidden />
      </Link>
      <div className="min-w-0 flex-1">
        <h1 className="flex items-center gap-1 text-large font-semibold">
          <Address address={conversation.their_address} className="truncate" />
          <CopyButton text={conversation.their_address} label="Copy the number" />
        </h1>
        <p className="truncate text-small text-ink-3">
          {conversation.channel === 'whatsapp' ? 'WhatsApp to ' : 'texts '}
          <Address address={conversation.our_address} />
          {agent && (
            <>
              {' '}
              · {session?.is_active ? 'with' : 'last with'}{' '}
              <Link href={`/agents/${agent.id}`} className="underline-offset-2 hover:text-ink hover:underline">
                {agent.name}
              </Link>
            </>
          )}
          {session && session.failovers > 0 && <> · {sessionMoves(session)}</>}
        </p>
      </div>
      <StateLabel look={CONVERSATION_LOOKS[state]} className="text-small font-medium" />
    </header>
  );
}

function Messages({ id, messageId, suffix }: { id: string; messageId: string | null; suffix: string }) {
  const thread = useThread(id, messageId);
  const [, navigate] = useLocation();
  const oldestFirst = useMemo(() => thread.messages.toReversed(), [thread.messages]);
  const scroll = useStayAtEnd(useMemo(() => oldestFirst.map(({ id }) => id), [oldestFirst]));
  const onScroll = (event: UIEvent<HTMLElement>) => {
    scroll.onScroll();
    if (event.currentTarget.scrollTop < NEAR_TOP_PX) void thread.loadOlder();
  };
  const openMessage = (message: Message) => navigate(`/conversations/${id}/messages/${message.id}${suffix}`);
  const step = (by: number) => {
    const at = oldestFirst.findIndex((message) => message.id === messageId);
    const next = oldestFirst[at < 0 ? oldestFirst.length - 1 : at + by];
    if (next) openMessage(next);
  };
  useInView(messageId, scroll.show);
  const group = 'Conversation';
  useShortcut({ keys: 'Enter', label: 'Open the newest message', group }, () => step(0), messageId === null);
  useShortcut({ keys: 'ArrowUp', label: 'Message before', group }, () => step(-1), messageId !== null);
  useShortcut({ keys: 'ArrowDown', label: 'Message after', group }, () => step(1), messageId !== null);

  if (thread.isLoading) return <PanelLoading what="messages" className="flex-1" />;
  if (thread.error) return <PanelError error={thread.error} retry={thread.retry} className="flex-1" />;
  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      {thread.staleError !== null && <StaleNote error={thread.staleError} retry={thread.retry} />}
      {thread.isFurtherBack && <FurtherBack thread={thread} />}
      <div ref={scroll.ref} className="scroll-y min-h-0 flex-1 [overflow-anchor:none]" onScroll={onScroll}>
        <div className="mx-auto flex min-h-full max-w-3xl flex-col justify-end px-3 py-4 lg:px-5">
          {thread.olderError ? (
            <PanelError error={thread.olderError} retry={() => void thread.loadOlder()} className="p-4" />
          ) : thread.hasOlder ? (
            <button
              type="button"
              onClick={() => void thread.loadOlder()}
              className="self-center p-2 text-small text-accent"
            >
              {thread.isLoadingOlder ? 'Reading older ones …' : 'Older ones'}
            </button>
          ) : (
            <p className="self-center p-2 text-small text-ink-3">The beginning of this conversation</p>
          )}
          <ol className="flex flex-col" aria-label="Messages">
            {oldestFirst.map((message, n) => (
              <Entry
                key={message.id}
                message={message}
                before={oldestFirst[n - 1] ?? null}
                first={firstOfTurn(oldestFirst, n)}
                isOpen={message.id === messageId}
                open={openMessage}
              />
            ))}
          </ol>
        </div>
      </div>
      {scroll.unseen > 0 && (
        <button
          type="button"
          onClick={scroll.toEnd}
          className="animate-appear absolute bottom-3 left-1/2 flex h-7 -translate-x-1/2 items-center gap-1.5 rounded-full bg-ink px-3 text-small font-medium text-on-ink shadow-float"
        >
          {scroll.unseen} new
          <ArrowDown size={13} aria-hidden />
        </button>
      )}
    </div>
  );
}

/**
 * Scrolls to the message whose path was opened, wherever from, as soon as it is there: once, because then somebody reads. Where the
 * path has the whole screen that is when it is closed.
 */
function useInView(messageId: string | null, show: (item: Element) => boolean): void {
  const opened = useRef<string | null>(null);
  const unseen = useRef<string | null>(null);
  useLayoutEffect(() => {
    if (messageId !== null && messageId !== opened.current) unseen.current = messageId;
    opened.current = messageId;
    const item = unseen.current === null ? null : document.getElementById(`message-${unseen.current}`);
    if (item && show(item)) unseen.current = null;
  });
}

/** The message whose path is open has not been reached: it is on the way, or nobody looks for it any more. */
function FurtherBack({ thread }: { thread: ReturnType<typeof useThread> }) {
  const { messages, isTooOld, olderError } = thread;
  if (!isTooOld && olderError === null)
    return (
      <p
        role="status"
        className="absolute inset-x-0 top-0 z-10 animate-[appear_300ms_400ms_both] border-b border-line bg-panel px-3 py-1.5 text-ink-2 lg:px-4"
      >
        Reading back to this message …
      </p>
    );
  const words = isTooOld
    ? `This message is further back than the newest ${messages.length.toLocaleString('en')}.`
    : 'The texts before it could not be read.';
  return (
    <div role="status" className="flex items-center gap-3 border-b border-line bg-sunk px-3 py-1.5 text-ink-2 lg:px-4">
      <span className="min-w-0 flex-1">{words}</span>
      <button
        type="button"
        onClick={isTooOld ? thread.lookFurther : () => void thread.loadOlder()}
        className="shrink-0 font-medium text-accent underline underline-offset-2"
      >
        {isTooOld ? 'Look further' : 'Try again'}
      </button>
    </div>
  );
}

function Entry({
  message,
  before,
  first,
  isOpen,
  open,
}: {
  message: Message;
  before: Message | null;
  first: Message | null;
  isOpen: boolean;
  open: (message: Message) => void;
}) {
  const isNewDay = before === null || new Date(before.at).toDateString() !== new Date(message.at).toDateString();
  const isNewSide = before === null || before.direction !== message.direction || isNewDay;
  return (
    <li id={`message-${message.id}`} className={`${isNewSide ? 'pt-3' : 'pt-1'} px-1`}>
      {isNewDay && (
        <p className="pt-2 pb-3 text-center text-small text-ink-3">{dayFormat.format(new Date(message.at))}</p>
      )}
      <Bubble message={message} first={first} isOpen={isOpen} open={open} />
    </li>
  );
}

/** The first text of the burst that a reply answers, when it is loaded: from there on the person waited. */
function firstOfTurn(messages: readonly Message[], at: number): Message | null {
  const reply = messages[at]!;
  if (reply.direction !== 'out' || reply.turn === null) return null;
  let first: Message | null = null;
  for (let n = at - 1; n >= 0 && n > at - 100; n--) {
    const message = messages[n]!;
    if (message.direction === 'in' && message.turn?.id === reply.turn.id) first = message;
    else if (first) break;
  }
  return first;
}
