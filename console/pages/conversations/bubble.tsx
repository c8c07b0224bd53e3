import { ImageIcon } from 'lucide-react';
import type { Message, MessageKind } from '../../../src/http/contract.ts';
import { MESSAGE_LOOKS, StateLabel } from '../../parts/state-label.tsx';
import { ClockTime, duration } from '../../parts/time.tsx';
import { PictureLinks, picturesOf } from './picture-links.tsx';

/** What is neither a text of the person nor an agent's answer says what it is. */
const KINDS: Readonly<Partial<Record<MessageKind, string>>> = {
  fallback: 'Told that nobody could answer',
  notice: 'Automatic',
  proactive: 'The agent’s own',
  holding: 'Told to wait',
  operator: 'By hand',
};

export function Bubble({
  message,
  first,
  isOpen,
  open,
}: {
  message: Message;
  /** The text that this one answers, when it is known. */
  first: Message | null;
  isOpen: boolean;
  open: (message: Message) => void;
}) {
  const isOurs = message.direction === 'out';
  const sent = picturesOf(message);
  const tone = message.kind === 'operator' ? 'bg-hand-soft' : isOurs ? 'bg-ours' : 'bg-theirs';
  return (
    <div className={`flex flex-col ${isOurs ? 'items-end' : 'items-start'}`}>
      <button
        type="button"
        aria-pressed={isOpen}
        aria-label={`${isOurs ? 'We sent' : 'They wrote'}: ${message.body || 'a picture'}. Show its path`}
        onClick={() => open(message)}
        className={`max-w-[min(34rem,86%)] rounded-bubble px-3 py-1.5 text-left transition-shadow ${tone} ${isOurs ? 'rounded-br-sm' : 'rounded-bl-sm'} ${isOpen ? 'ring-2 ring-accent' : 'hover:ring-1 hover:ring-line-strong'}`}
      >
        <Pictures message={message} />
        {message.body === '' && sent.length > 0 && (
          <span className="flex items-center gap-1.5 text-ink-2">
            <ImageIcon size={14} aria-hidden />
            {sent.length === 1 ? 'A picture' : `${sent.length} pictures`}
          </span>
        )}
        {message.body !== '' && (
          // The sender decides the direction of the words, never of what stands around them.
          <span
            dir="auto"
            className="block text-[0.875rem]/[1.3rem] break-words whitespace-pre-wrap [unicode-bidi:isolate]"
          >
            {message.body}
          </span>
        )}
      </button>
      <PictureLinks urls={sent} className={`mt-1 ${isOurs ? 'justify-end' : ''}`} />
      <Foot message={message} first={first} />
    </div>
  );
}

function Pictures({ message }: { message: Message }) {
  if (message.media.length === 0) return null;
  return (
    <span className="flex flex-wrap gap-1 py-0.5">
      {message.media.map(({ url, content_type: type }) =>
        type.startsWith('image/') ? (
          <img
            key={url}
            src={url}
            alt="Sent with this text"
            loading="lazy"
            className="max-h-56 min-h-12 max-w-full min-w-12 rounded-md bg-sunk object-cover"
          />
        ) : (
          <span key={url} className="rounded-md bg-sunk px-2 py-1 font-mono text-small text-ink-2">
            {type}
          </span>
        ),
      )}
    </span>
  );
}

function Foot({ message, first }: { message: Message; first: Message | null }) {
  const { kind, turn, direction, state, reason_text, parts } = message;
  const failed = parts.find((part) => part.error_code !== null || part.error_reason !== null);
  const details = [
    KINDS[kind],
    direction === 'out' && turn?.agent && kind === 'reply' ? turn.agent.name : undefined,
    first ? `after ${duration(Date.parse(message.at) - Date.parse(first.at))}` : undefined,
    parts.length > 1 ? `${parts.length} messages` : undefined,
  ].filter((detail) => detail !== undefined);
  // An answered text needs no word about it: its answer is right below.
  const isUsual = direction === 'in' && state === 'answered';
  return (
    <div className="mt-0.5 max-w-full px-1 text-small text-ink-3">
      <p className={`items-center ${direction === 'out' ? 'dotted-end' : 'dotted'}`}>
        <ClockTime at={message.at} />
        {details.map((detail) => (
          <span key={detail} title={detail} className={`max-w-64 truncate ${kind === 'operator' ? 'text-hand' : ''}`}>
            {detail}
          </span>
        ))}
        {!isUsual && <StateLabel look={MESSAGE_LOOKS[state]} />}
        {reason_text !== null && <span>because {reason_text}</span>}
        {failed && state !== 'delivered' && state !== 'read' && (
          <span className="basis-full text-bad">
            {[failed.error_code, failed.error_reason].filter(Boolean).join(': ')}
          </span>
        )}
      </p>
    </div>
  );
}
