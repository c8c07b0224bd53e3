// A conversation with one agent, to try it: the call that a text would make, with what it took and what went over the wire. It is
// no text: nothing is sent to anybody, and the agent's health does not depend on it.
import { ArrowLeft, CircleAlert, Clock, MessageSquarePlus, SendHorizontal } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { AgentChat, AgentDetail } from '../../../src/http/contract.ts';
import { agentLook } from '../../parts/agent-look.ts';
import { Button } from '../../parts/button.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { duration } from '../../parts/duration.ts';
import { ExchangeView } from '../../parts/exchange-view.tsx';
import { useFailure } from '../../parts/failure.ts';
import { PanelLoading } from '../../parts/panel-states.tsx';
import { useShortcut } from '../../parts/shortcuts.tsx';
import { StateLabel } from '../../parts/state-label.tsx';
import { useStayAtEnd } from '../../parts/stay-at-end.ts';
import { ClockTime } from '../../parts/time.tsx';
import { clearChat, type Exchange, say, useChat } from './chat-store.ts';
import { Missing } from './detail.tsx';
import { useAgent } from './use-agents.ts';

const MAX_LENGTH = 1_600;
const BEGINNINGS = ['Hello, who are you?', 'What can you do?', 'What did I ask before?'] as const;

export function AgentChatPage({ id }: { id: string }) {
  const agent = useAgent(id);
  const failure = useFailure(agent);
  if (failure) return <Missing error={failure} retry={() => agent.refetch()} />;
  if (!agent.data) return <PanelLoading what="the agent" className="h-full" />;
  return <Talk agent={agent.data} />;
}

function Talk({ agent }: { agent: AgentDetail }) {
  const [, navigate] = useLocation();
  const { exchanges } = useChat(agent.id);
  const scroll = useStayAtEnd(useMemo(() => exchanges.map(({ id }) => String(id)), [exchanges]));
  const isWaiting = exchanges.at(-1)?.end === null;
  useShortcut({ keys: 'Escape', label: 'Back to the agent', group: 'Agent' }, () => navigate(`/agents/${agent.id}`));
  return (
    <div className="flex h-full flex-col">
      <header className="flex min-h-12 items-center gap-3 border-b border-line bg-panel px-3 py-1.5 lg:px-4">
        <Link
          href={`/agents/${agent.id}`}
          aria-label={`Back to ${agent.name}`}
          className="-ml-1 rounded-md p-1.5 text-ink-2 hover:bg-hover"
        >
          <ArrowLeft size={17} aria-hidden />
        </Link>
        <div className="min-w-0 flex-1">
          <h1 className="truncate text-large font-semibold">Talk to {agent.name}</h1>
          <p className="flex items-center gap-2 truncate text-small text-ink-3">
            <StateLabel look={agentLook(agent)} />
            <span className="truncate">A test: no text is sent, and its health is not affected.</span>
          </p>
        </div>
        <Button
          look="quiet"
          icon={MessageSquarePlus}
          disabled={exchanges.length === 0}
          onClick={() => clearChat(agent.id)}
        >
          <span className="max-sm:sr-only">Start anew</span>
        </Button>
      </header>
      <section
        ref={scroll.ref}
        onScroll={scroll.onScroll}
        // What scrolls must be reachable with the keyboard.
        tabIndex={0}
        aria-label="What was said"
        className="scroll-y min-h-0 flex-1 [overflow-anchor:none]"
      >
        {/* Always there: what it is as tall as is watched. */}
        <div className="grid min-h-full">
          {exchanges.length === 0 ? (
            <Beginning agentId={agent.id} />
          ) : (
            <ol aria-live="polite" className="mx-auto flex w-full max-w-3xl flex-col gap-5 px-4 py-5">
              {exchanges.map((exchange) => (
                <Turn key={exchange.id} exchange={exchange} agent={agent} />
              ))}
            </ol>
          )}
        </div>
      </section>
      <Composer agent={agent} isWaiting={isWaiting} />
    </div>
  );
}

function Beginning({ agentId }: { agentId: string }) {
  return (
    <div className="flex flex-col items-center justify-center gap-1.5 p-8 text-center">
      <p className="text-large font-medium">Ask it something</p>
      <p className="max-w-sm text-ink-2">
        It is asked as a text would ask it, with what was said before, and you see what went over the wire.
      </p>
      <div className="mt-3 flex flex-wrap justify-center gap-2">
        {BEGINNINGS.map((text) => (
          <Button key={text} onClick={() => void say(agentId, text)}>
            {text}
          </Button>
        ))}
      </div>
    </div>
  );
}

function Turn({ exchange: { message, at, end }, agent }: { exchange: Exchange; agent: AgentDetail }) {
  return (
    <li className="flex flex-col gap-1.5">
      <div className="flex flex-col items-end">
        <p
          dir="auto"
          className="max-w-[85%] rounded-bubble bg-ours px-3 py-1.5 text-large wrap-anywhere whitespace-pre-wrap [unicode-bidi:isolate]"
        >
          <span className="sr-only">You: </span>
          {message}
        </p>
        <ClockTime at={at} seconds className="mt-0.5 px-1 text-small text-ink-3" />
      </div>
      {end === null ? (
        <p role="status" className="animate-wait px-1 text-ink-2">
          {agent.name} is asked …
        </p>
      ) : 'problem' in end ? (
        <Problem code={end.problem.code} reason={end.problem.message} />
      ) : (
        <Answer answer={end.answer} agent={agent} />
      )}
    </li>
  );
}

function Answer({ answer, agent }: { answer: AgentChat; agent: AgentDetail }) {
  const [isOpen, setOpen] = useState(false);
  const { reply, error, exchange } = answer;
  return (
    <div className="flex flex-col items-start">
      {error && <Problem code={error.code} reason={error.reason} />}
      {answer.outcome === 'deferred' && (
        <p className="flex gap-1.5 rounded-bubble bg-theirs px-3 py-1.5 text-ink-2">
          <Clock size={14} className="mt-[3px] shrink-0" aria-hidden />
          It said 202: it would post its answer later, to the conversation. Here there is none.
        </p>
      )}
      {reply && (
        <p
          dir="auto"
          className="max-w-[85%] rounded-bubble bg-theirs px-3 py-1.5 text-large wrap-anywhere whitespace-pre-wrap [unicode-bidi:isolate]"
        >
          <span className="sr-only">{agent.name}: </span>
          {reply.text}
        </p>
      )}
      {reply?.media_urls.map((url) => (
        <p key={url} className="mt-1 px-1 font-mono text-small wrap-anywhere text-ink-2">
          {url}
        </p>
      ))}
      <div className="mt-0.5 flex flex-wrap items-center gap-x-2 px-1 text-small text-ink-3">
        <span className="figures">{duration(answer.duration_ms)}</span>
        {reply?.end_session && <span>· it ends the session</span>}
        {reply && <CopyButton text={reply.text} label="Copy the answer" />}
        {exchange && (
          <Button look="quiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? 'Hide the call' : 'Show the call'}
          </Button>
        )}
      </div>
      {isOpen && exchange && (
        <div className="-mx-4 w-[calc(100%+2rem)]">
          <ExchangeView exchange={exchange} />
        </div>
      )}
    </div>
  );
}

/** As it is: what failed, by its code, and what the call found. */
function Problem({ code, reason }: { code: string; reason: string }) {
  return (
    <div role="alert" className="flex max-w-[85%] gap-2 rounded-bubble bg-bad-soft px-3 py-1.5">
      <CircleAlert size={14} className="mt-[3px] shrink-0 text-bad" aria-hidden />
      <div className="min-w-0">
        <p className="wrap-anywhere text-bad">{reason}</p>
        <a
          href={`/docs/errors#${code}`}
          target="_blank"
          rel="noreferrer"
          className="font-mono text-small text-ink-2 underline underline-offset-2"
        >
          {code}
        </a>
      </div>
    </div>
  );
}

function Composer({ agent, isWaiting }: { agent: AgentDetail; isWaiting: boolean }) {
  const [text, setText] = useState('');
  const field = useRef<HTMLTextAreaElement>(null);
  const isGone = agent.status === 'deactivated';
  useShortcut({ keys: '/', label: 'Write', group: 'Agent' }, () => field.current?.focus());
  useEffect(() => {
    // On a touch screen it would open the keyboard over what one came to read.
    if (!matchMedia('(pointer: coarse)').matches) field.current?.focus();
  }, []);
  const canSend = text.trim() !== '' && !isWaiting && !isGone;
  const send = () => {
    if (!canSend) return;
    void say(agent.id, text.trim());
    setText('');
  };
  return (
    <form
      className="border-t border-line bg-panel px-3 py-2 lg:px-4"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="mx-auto flex max-w-3xl items-end gap-2">
        <label className="sr-only" htmlFor="question">
          Your question
        </label>
        <textarea
          id="question"
          ref={field}
          dir="auto"
          value={text}
          maxLength={MAX_LENGTH}
          disabled={isGone}
          rows={Math.min(6, Math.max(1, text.split('\n').length, Math.ceil(text.length / 70)))}
          placeholder={isGone ? 'It has left: nobody can ask it' : `Ask ${agent.name}`}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            send();
          }}
          className="min-h-8 flex-1 resize-none rounded-lg border border-line-strong bg-page px-3 py-1.5 text-[0.875rem]/[1.25rem]"
        />
        <Button type="submit" look="primary" icon={SendHorizontal} disabled={!canSend} title="Enter" className="h-8">
          Ask
        </Button>
      </div>
    </form>
  );
}
