// How fast a sender may send. Carriers count segments, per sender, and Twilio queues what is above that.
import { isWhatsApp } from './whatsapp.ts';

/** Segments per second: WhatsApp 80 messages, US toll-free 3, short code 100, any other number (a long code) 1. */
export function segmentsPerSecond(sender: string): number {
  if (isWhatsApp(sender)) return 80;
  if (/^\d{5,6}$/.test(sender)) return 100;
  return /^\+18(00|33|44|55|66|77|88)\d{7}$/.test(sender) ? 3 : 1;
}

/** Twilio queues at most ten hours of messages per sender, then refuses with 21611. */
const LONGEST_QUEUE_MS = 36_000_000;

export type Pacing = {
  isFull(sender: string, nowMs: number): boolean;
  /**
   * Takes the sender's next free time for that many segments. Returns how long the message waits, ms; null when it
   * would wait longer than `longestMs`, and then nothing is taken.
   */
  reserve(sender: string, segments: number, nowMs: number, longestMs: number): number | null;
};

export function createPacing(mode: 'carrier' | 'off'): Pacing {
  if (mode === 'off') return { isFull: () => false, reserve: () => 0 };
  const freeAtMs = new Map<string, number>();
  const waitOf = (sender: string, nowMs: number): number => Math.max(0, (freeAtMs.get(sender) ?? 0) - nowMs);
  return {
    isFull: (sender, nowMs) => waitOf(sender, nowMs) >= LONGEST_QUEUE_MS,
    reserve(sender, segments, nowMs, longestMs) {
      const waitMs = waitOf(sender, nowMs);
      if (waitMs > longestMs) return null;
      freeAtMs.set(sender, nowMs + waitMs + (segments * 1000) / segmentsPerSecond(sender));
      return waitMs;
    },
  };
}
