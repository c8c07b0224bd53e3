// One text on the phone, what became of it, and the way to its path through Darkspere.
import { CircleAlert, Clock, ImageOff, RotateCw, Waypoints } from 'lucide-react';
import { useState } from 'react';
import { useLocation } from 'wouter';
import type { SearchResult } from '../../../src/http/contract.ts';
import { get } from '../../api.ts';
import { IconButton } from '../../parts/button.tsx';
import { StateLabel } from '../../parts/state-label.tsx';
import { ClockTime, duration, useNow, utc } from '../../parts/time.tsx';
import { toast, toastError } from '../../parts/toasts.tsx';
import { explain, hasFailed, isUnderway, lookOf } from './delivery.ts';
import { hostOf, shownFrom, useSamples } from './pictures.ts';
import type { Answered } from './thread.tsx';
import type { Draft, Text } from './use-texts.ts';

const MINE = 'bg-mine text-on-mine';
const THEIRS = 'bg-theirs text-ink';
/** What is not on the phone yet, or never will be, is an outline. */
const UNDERWAY = 'border border-dashed border-line-strong text-ink-2';
const LOST = 'border border-dashed border-bad text-ink-2';

/** Longer than this nobody still waits for. */
const WAITING_MS = 10 * 60_000;
/** No agent is asked and sent in so little time: it was the carrier that answered, as it does a STOP. */
const CARRIER_MS = 20;

export function TextBubble({
  text,
  answered,
  hasFoot,
  endsGroup,
  isTabStop,
}: {
  text: Text;
  answered: Answered | null;
  hasFoot: boolean;
  endsGroup: boolean;
  isTabStop: boolean;
}) {
  const { message, isMine } = text;
  const look = hasFailed(text) ? LOST : isUnderway(text) ? UNDERWAY : isMine ? MINE : THEIRS;
  const corner = !endsGroup ? '' : isMine ? 'rounded-br-sm' : 'rounded-bl-sm';
  return (
    <div className={`group flex flex-col ${isMine ? 'items-end' : 'items-start'}`}>
      <div className={`flex max-w-full items-center gap-1 ${isMine ? 'flex-row-reverse' : ''}`}>
        <div
          title={utc(message.at)}
          className={`min-w-0 max-w-[19rem] overflow-hidden rounded-bubble ${corner} ${message.body === '' ? '' : look}`}
        >
          <Pictures urls={message.media_urls} />
          <Words body={message.body} />
        </div>
        <PathLink sid={message.sid} isMine={isMine} isTabStop={isTabStop} phone={isMine ? message.from : message.to} />
      </div>
      {hasFoot && <Foot text={text} answered={answered} />}
    </div>
  );
}

export function DraftBubble({ draft, again, edit }: { draft: Draft; again: () => void; edit: () => void }) {
  const { body, mediaUrls, error } = draft;
  return (
    <div className="flex flex-col items-end">
      <div
        className={`max-w-[19rem] overflow-hidden rounded-bubble rounded-br-sm ${error ? LOST : `${MINE} opacity-60`}`}
      >
        <Pictures urls={mediaUrls} />
        <Words body={body} />
      </div>
      {error === null ? (
        <p className="mt-0.5 flex items-center gap-1 px-1 text-small text-ink-3">
          <Clock size={12} aria-hidden /> Sending
        </p>
      ) : (
        <div role="alert" className="mt-1 flex max-w-[19rem] flex-col items-end gap-1 px-1 text-right text-small">
          <p className="text-bad">
            <CircleAlert size={12} className="mr-1 inline -translate-y-px" aria-hidden />
            Not sent. {error instanceof Error ? error.message : ''}
          </p>
          <p className="flex gap-3">
            <button type="button" className="font-medium text-accent underline underline-offset-2" onClick={again}>
              <RotateCw size={11} className="mr-1 inline" aria-hidden />
              Try again
            </button>
            <button type="button" className="font-medium text-accent underline underline-offset-2" onClick={edit}>
              Change it
            </button>
          </p>
        </div>
      )}
    </div>
  );
}

/** Their words as they are: links stay words, control characters are shown instead of obeyed. */
function Words({ body }: { body: string }) {
  if (body === '') return null;
  return (
    <p
      dir="auto"
      className="px-3 py-1.5 text-[0.9375rem]/[1.3125rem] [overflow-wrap:anywhere] whitespace-pre-wrap [unicode-bidi:isolate]"
    >
      {visible(body)}
    </p>
  );
}

/** `\x1b[31m`, as in a program: the signs for control characters are missing from most fonts. */
function visible(body: string): string {
  return body
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n\t]/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function Pictures({ urls }: { urls: readonly string[] }) {
  const samples = useSamples();
  return urls.map((url) => {
    const path = shownFrom(url, samples);
    return path === null ? (
      <NotShown key={url} why={`A picture at ${hostOf(url)}`} />
    ) : (
      <Picture key={url} path={path} />
    );
  });
}

function Picture({ path }: { path: string }) {
  const [isBroken, setBroken] = useState(false);
  if (isBroken) return <NotShown why="A picture that could not be read" />;
  return (
    <img
      src={path}
      alt="Sent with this text"
      onError={() => setBroken(true)}
      className="block max-h-72 min-h-24 w-full bg-sunk object-cover"
    />
  );
}

function NotShown({ why }: { why: string }) {
  return (
    <p className="flex items-center gap-2 rounded-bubble border border-line bg-sunk px-3 py-2 text-ink-2">
      <ImageOff size={15} className="shrink-0" aria-hidden />
      <span className="[overflow-wrap:anywhere]">{why}</span>
    </p>
  );
}

function Foot({ text, answered }: { text: Text; answered: Answered | null }) {
  const now = useNow();
  const { message, isMine } = text;
  const isWaiting = answered === 'not yet' && isMine && !hasFailed(text) && now - Date.parse(message.at) < WAITING_MS;
  const wasAnswered = answered !== null && answered !== 'not yet' && !hasFailed(text) && answered.afterMs > CARRIER_MS;
  const details = [
    isWaiting ? 'no answer yet' : '',
    wasAnswered ? `answered after ${duration(answered.afterMs)}` : '',
  ].filter((detail) => detail !== '');
  return (
    <div className="mt-0.5 max-w-full px-1 text-small text-ink-3">
      <div className={`items-center ${isMine ? 'dotted-end' : 'dotted'}`}>
        <StateLabel look={lookOf(text)} />
        <ClockTime at={message.at} />
        {details.map((detail) => (
          <span key={detail}>{detail}</span>
        ))}
        {hasFailed(text) && <span className="basis-full text-bad">{explain(message)}</span>}
      </div>
    </div>
  );
}

function PathLink({
  sid,
  phone,
  isMine,
  isTabStop,
}: {
  sid: string;
  phone: string;
  isMine: boolean;
  isTabStop: boolean;
}) {
  const [, navigate] = useLocation();
  const [isLooking, setLooking] = useState(false);
  const open = async () => {
    setLooking(true);
    try {
      const { messages, conversations } = await get<SearchResult>('/v1/search', { q: sid });
      const [message] = messages;
      if (message) return navigate(`/conversations/${message.conversation_id}/messages/${message.id}`);
      const [conversation] = conversations;
      if (conversation) return navigate(`/conversations/${conversation.id}`);
      toast(
        isMine
          ? 'It has no path yet: our webhook has not stored it.'
          : 'The carrier answered this by itself; it never went through Darkspere.',
      );
      navigate(`/conversations?phone=${encodeURIComponent(phone)}`);
    } catch (error) {
      toastError(error);
    } finally {
      setLooking(false);
    }
  };
  return (
    <IconButton
      icon={Waypoints}
      label="Show its path"
      data-path
      tabIndex={isTabStop ? 0 : -1}
      disabled={isLooking}
      onClick={() => void open()}
      className="opacity-0 group-hover:opacity-100 focus-visible:opacity-100 pointer-coarse:opacity-60"
    />
  );
}
