// What became of a message, a turn or a conversation: a sign and a word, in one tone each. Colour only repeats what they say.
import {
  Ban,
  Check,
  CheckCheck,
  CircleAlert,
  CircleDashed,
  CircleHelp,
  CirclePause,
  Clock,
  Hand,
  LoaderCircle,
  type LucideIcon,
  MessageCircleOff,
  Moon,
  Send,
} from 'lucide-react';
import type { Conversation, MessageState } from '../../src/http/contract.ts';

export type Look = { readonly word: string; readonly icon: LucideIcon; readonly tone: string; readonly means: string };

export const MESSAGE_LOOKS: Readonly<Record<MessageState, Look>> = {
  pending: { word: 'Waiting', icon: Clock, tone: 'text-ink-3', means: 'Stored; its turn has not begun.' },
  held: {
    word: 'Held',
    icon: CirclePause,
    tone: 'text-warn',
    means: 'The conversation goes round too fast for a person and rests for a moment.',
  },
  in_turn: { word: 'Being answered', icon: LoaderCircle, tone: 'text-accent', means: 'An agent is asked right now.' },
  answered: { word: 'Answered', icon: Check, tone: 'text-ink-3', means: 'A reply was committed for it.' },
  deferred: {
    word: 'Answer later',
    icon: Clock,
    tone: 'text-ink-3',
    means: 'The agent said 202 and posts its answer within ten minutes.',
  },
  fell_back: {
    word: 'Nobody could answer',
    icon: CircleAlert,
    tone: 'text-bad',
    means: 'No agent answered it. The person is told that nobody can answer, once an hour at most.',
  },
  cancelled: { word: 'Cancelled', icon: Ban, tone: 'text-ink-3', means: 'A STOP or an operator ended its turn.' },
  lost: {
    word: 'Taken over by another worker',
    icon: CircleDashed,
    tone: 'text-ink-3',
    means: 'Its worker died; another turn has it.',
  },
  refused: { word: 'Not taken', icon: Ban, tone: 'text-warn', means: 'It was stored and no agent was asked.' },
  handled: {
    word: 'Keyword',
    icon: Check,
    tone: 'text-ink-3',
    means: 'STOP, START, HELP, RESET, MORE, AGENTS, USE or a word of the number’s own: handled without an agent.',
  },
  with_operator: {
    word: 'With an operator',
    icon: Hand,
    tone: 'text-hand',
    means: 'Somebody answers by hand; the agent is silent.',
  },
  queued: {
    word: 'In line',
    icon: Clock,
    tone: 'text-ink-3',
    means: 'Waits for its time on the sender, or for another try at the carrier.',
  },
  sending: { word: 'Sending', icon: Send, tone: 'text-accent', means: 'On its way to the carrier.' },
  unknown: {
    word: 'Unknown',
    icon: CircleHelp,
    tone: 'text-warn',
    means: 'The carrier did not say whether it took it. It is being looked up and is never sent twice.',
  },
  accepted: { word: 'Accepted', icon: Check, tone: 'text-ink-3', means: 'The carrier has it.' },
  sent: { word: 'Sent', icon: Check, tone: 'text-ink-3', means: 'The carrier has sent it on.' },
  delivered: { word: 'Delivered', icon: CheckCheck, tone: 'text-good', means: 'It is on the phone.' },
  read: { word: 'Read', icon: CheckCheck, tone: 'text-good', means: 'It was opened.' },
  failed: {
    word: 'Failed',
    icon: CircleAlert,
    tone: 'text-bad',
    means: 'The carrier refused it for good, or could not be asked about it for as long as it was worth sending.',
  },
  undelivered: {
    word: 'Not delivered',
    icon: CircleAlert,
    tone: 'text-bad',
    means: 'The carrier could not deliver it.',
  },
  void: {
    word: 'Not sent',
    icon: Ban,
    tone: 'text-ink-3',
    means: 'It was not sent: a STOP, an earlier part that failed, or too late to be worth it.',
  },
};

export const CONVERSATION_LOOKS: Readonly<Record<Conversation['state'], Look>> = {
  answering: { word: 'Answering', icon: LoaderCircle, tone: 'text-accent', means: 'An agent is asked right now.' },
  waiting: { word: 'Waiting', icon: Clock, tone: 'text-warn', means: 'Texts wait for an answer.' },
  held: {
    word: 'Held',
    icon: CirclePause,
    tone: 'text-warn',
    means: 'It goes round too fast for a person and rests for a moment.',
  },
  taken_over: { word: 'By hand', icon: Hand, tone: 'text-hand', means: 'An operator answers; the agent is silent.' },
  opted_out: {
    word: 'Opted out',
    icon: MessageCircleOff,
    tone: 'text-ink-3',
    means: 'The person texted STOP: nothing is sent.',
  },
  deferred: {
    word: 'Answer later',
    icon: Clock,
    tone: 'text-ink-3',
    means: 'The agent said 202 and posts its answer within ten minutes.',
  },
  // Answered, or refused, or nobody could, or nobody ever wrote: what became of each text stands at it.
  idle: { word: 'Quiet', icon: Moon, tone: 'text-ink-3', means: 'No text waits for an answer.' },
};

export function StateLabel({
  look,
  className = '',
  wordless = false,
}: {
  look: Look;
  className?: string;
  wordless?: boolean;
}) {
  const { word, icon: Icon, tone, means } = look;
  const isMoving = Icon === LoaderCircle;
  return (
    <span title={means} className={`inline-flex items-center gap-1 whitespace-nowrap ${tone} ${className}`}>
      <Icon
        size={12}
        strokeWidth={2.2}
        className={`shrink-0 ${isMoving ? 'animate-spin [animation-duration:1.6s]' : ''}`}
        aria-hidden
      />
      <span className={wordless ? 'sr-only' : ''}>{word}</span>
    </span>
  );
}
