// The path of one message through us: what took how long, what was waited for, who was asked, what they said.
import { useQuery } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { MessageKind, MessagePath, Span } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { IconButton } from '../../parts/button.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { ExchangeView } from '../../parts/exchange-view.tsx';
import { useFailure } from '../../parts/failure.ts';
import { PanelError, PanelLoading, StaleNote } from '../../parts/panel-states.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { MESSAGE_LOOKS, StateLabel } from '../../parts/state-label.tsx';
import { ClockTime, duration, utc } from '../../parts/time.tsx';
import { ReplayDesk } from './replay.tsx';
import { Waterfall } from './waterfall.tsx';

export function PathPanel({
  conversationId,
  messageId,
  back,
}: {
  conversationId: string;
  messageId: string;
  back: string;
}) {
  const [, navigate] = useLocation();
  const path = useQuery({
    queryKey: ['conversation', conversationId, 'path', messageId],
    queryFn: ({ signal }) => get<MessagePath>(`/v1/messages/${messageId}/path`, {}, signal),
  });
  const failure = useFailure(path);
  const close = () => navigate(back);
  useShortcut({ keys: 'Escape', label: 'Close the path', group: 'Conversation' }, close);
  if (failure) return <PanelError error={failure} retry={() => path.refetch()} className="h-full" />;
  if (!path.data) return <PanelLoading what="the path" className="h-full" />;
  return (
    <>
      <Head path={path.data} close={close} />
      {path.error && <StaleNote error={path.error} retry={() => path.refetch()} />}
      <div className="scroll-y flex-1">
        <Spans spans={path.data.spans} />
        <Ids path={path.data} />
        <ReplayDesk path={path.data} />
      </div>
    </>
  );
}

const TITLES: Readonly<Record<MessageKind, string>> = {
  text: 'A text and its answer',
  keyword: 'A keyword',
  reply: 'An answer',
  operator: 'An answer by hand',
  proactive: 'A text of the agent’s own',
  notice: 'An automatic text',
  holding: 'Told to wait',
  fallback: 'Told that nobody could answer',
};

function Head({ path, close }: { path: MessagePath; close: () => void }) {
  const { message, total_ms: totalMs } = path;
  return (
    <header className="border-b border-line px-4 pt-2 pb-2.5">
      <div className="flex items-center justify-between">
        <h2 className="text-large font-semibold">{TITLES[message.kind]}</h2>
        <IconButton icon={X} label="Close the path" keyHint="Esc" onClick={close} />
      </div>
      <p dir="auto" className="line-clamp-3 [unicode-bidi:isolate] text-ink-2">
        {message.body || 'A picture'}
      </p>
      <p className="mt-1.5 flex flex-wrap items-center gap-x-3 text-small text-ink-3">
        <StateLabel look={MESSAGE_LOOKS[message.state]} className="font-medium" />
        {message.turn?.agent && (
          <Link href={`/agents/${message.turn.agent.id}`} className="underline-offset-2 hover:text-ink hover:underline">
            {message.turn.agent.name}
          </Link>
        )}
        <span className="figures">{totalMs === null ? 'still going on' : `${duration(totalMs)} in all`}</span>
        <ClockTime at={message.at} seconds />
      </p>
    </header>
  );
}

function Spans({ spans }: { spans: readonly Span[] }) {
  // What went wrong is open at first: it is what somebody came to see.
  const [openId, setOpenId] = useState(
    () => spans.find((span) => span.outcome === 'failed' && (span.exchange || span.note))?.id ?? null,
  );
  const open = spans.find(({ id }) => id === openId) ?? null;
  if (spans.length === 0)
    return (
      <p className="p-4 text-ink-3">Nothing is known of how it went: its records were older than they are kept.</p>
    );
  return (
    <>
      <Waterfall spans={spans} openId={openId} onOpen={(id) => setOpenId(id === openId ? null : id)} />
      {open?.exchange && <ExchangeView key={open.id} exchange={open.exchange} />}
    </>
  );
}

function Ids({ path: { message, conversation } }: { path: MessagePath }) {
  const provider = message.provider_id ?? message.parts.find((part) => part.provider_id !== null)?.provider_id ?? null;
  const rows = [
    ['Message', message.id],
    ['Turn', message.turn?.id ?? null],
    ['Conversation', conversation.id],
    ['Carrier’s id', provider],
  ] as const;
  return (
    <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 border-t border-line px-4 py-2 text-small">
      {rows.map(
        ([name, value]) =>
          value !== null && (
            <div key={name} className="contents">
              <dt className="text-ink-3">{name}</dt>
              <dd className="flex min-w-0 items-center justify-between gap-2 font-mono text-ink-2">
                <span className="truncate">{value}</span>
                <CopyButton text={value} label={`Copy: ${name}`} />
              </dd>
            </div>
          ),
      )}
      <dt className="text-ink-3">Stored</dt>
      <dd className="figures py-1.5 text-ink-2">{utc(message.at)}</dd>
    </dl>
  );
}
