// What became of a text, as its sender or its reader would put it.
import { Check, CheckCheck, CircleAlert, Clock, Send } from 'lucide-react';
import type { PhoneMessage } from '../../../src/http/contract.ts';
import type { Look } from '../../parts/state-label.tsx';
import type { Text } from './use-texts.ts';

export function explain({ error_code: code, error_reason: reason }: PhoneMessage): string {
  if (code === null) return '';
  return reason === null ? `Error ${code}` : `${code}: ${reason}`;
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

export function lookOf({ message, isMine }: Text): Look {
  if (!isMine) return OUT[message.status] ?? LOOKS.queued;
  const { taken = 0, http_status: status = null } = message.webhook ?? {};
  if (taken > 1) return { ...LOOKS.taken, word: `Delivered ${taken} times` };
  if (taken === 1) return LOOKS.taken;
  if (message.status !== 'failed') return LOOKS.sent;
  return { ...LOOKS.noWebhook, means: `${LOOKS.noWebhook.means} It answered ${status || 'nothing'}.` };
}

export function hasFailed({ message }: Text): boolean {
  return ['failed', 'undelivered', 'canceled'].includes(message.status);
}

/** It is on its way and not on the phone yet. */
export function isUnderway({ message, isMine }: Text): boolean {
  return !isMine && !['delivered', 'read'].includes(message.status) && !hasFailed({ message, isMine });
}
