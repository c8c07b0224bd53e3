// What became of a text, as its sender or its reader would put it.
import { Check, CheckCheck, CircleAlert, Clock, Send } from 'lucide-react';
import type { Look } from '../../parts/state-label.tsx';
import type { Text } from './use-texts.ts';

/** What people text back about. Twilio's codes; the console's conversations have the server's words for all of them. */
const CODES: Readonly<Record<number, string>> = {
  11200: 'our webhook answered with an error, or not at all',
  11205: 'nobody listened at our webhook',
  11210: 'the host of our webhook does not exist',
  11750: 'our webhook answered more than 64 kB',
  12100: 'our webhook answered something that is no TwiML',
  12300: 'our webhook answered with a content type that Twilio does not take',
  11751: 'the pictures are too large',
  21610: 'this phone has opted out with STOP',
  30001: 'the queue of the sender is full',
  30003: 'this phone is switched off or out of reach',
  30004: 'this phone or its carrier blocks the sender',
  30005: 'this number does not exist any more',
  30006: 'this number is a landline',
  30007: 'the carrier filtered it as spam',
  30008: 'the carrier gave no reason',
  30022: 'the US campaign of the sender is over its rate',
  30023: 'the brand has used up its daily volume at this carrier',
  30034: 'the sender is not registered for US texts (A2P 10DLC)',
  30036: 'it was not worth delivering any more',
  63016: 'WhatsApp takes free text only within 24 hours of the last message',
};

export function explain(code: number | null): string {
  if (code === null) return '';
  const words = CODES[code];
  return words === undefined ? `Error ${code}` : `${code}: ${words}`;
}

const LOOKS = {
  sent: { word: 'Sent', icon: Check, tone: 'text-ink-3', means: 'The carrier has it.' },
  taken: { word: 'Delivered', icon: CheckCheck, tone: 'text-good', means: 'Our webhook stored it and answered 200.' },
  noWebhook: {
    word: 'Not taken',
    icon: CircleAlert,
    tone: 'text-bad',
    means: 'The carrier could not hand it to our webhook.',
  },
  queued: { word: 'At the carrier', icon: Clock, tone: 'text-ink-3', means: 'The carrier has accepted it.' },
  leaving: { word: 'On its way', icon: Send, tone: 'text-ink-3', means: 'The carrier has sent it on.' },
  arrived: { word: 'Delivered', icon: CheckCheck, tone: 'text-good', means: 'It is on this phone.' },
  read: { word: 'Read', icon: CheckCheck, tone: 'text-good', means: 'It was opened.' },
  lost: { word: 'Not delivered', icon: CircleAlert, tone: 'text-bad', means: 'It never reached this phone.' },
} as const satisfies Record<string, Look>;

const OUT: Readonly<Record<string, Look>> = {
  accepted: LOOKS.queued,
  scheduled: LOOKS.queued,
  queued: LOOKS.queued,
  sending: LOOKS.leaving,
  sent: LOOKS.leaving,
  delivered: LOOKS.arrived,
  read: LOOKS.read,
  failed: LOOKS.lost,
  undelivered: LOOKS.lost,
  canceled: LOOKS.lost,
};

export function lookOf({ message, isMine, webhooks }: Text): Look {
  if (!isMine) return OUT[message.status] ?? LOOKS.queued;
  if (message.status === 'failed') return LOOKS.noWebhook;
  if (webhooks > 1) return { ...LOOKS.taken, word: `Delivered ${webhooks} times` };
  return webhooks === 1 ? LOOKS.taken : LOOKS.sent;
}

export function hasFailed({ message }: Text): boolean {
  return ['failed', 'undelivered', 'canceled'].includes(message.status);
}

/** It is on its way and not on the phone yet. */
export function isUnderway({ message, isMine }: Text): boolean {
  return !isMine && !['delivered', 'read'].includes(message.status) && !hasFailed({ message, isMine, webhooks: 0 });
}
