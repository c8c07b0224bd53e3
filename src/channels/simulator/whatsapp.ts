// What is different on WhatsApp: addresses with a prefix, people without a number, and the 24 hours in which a business
// may write freely. Source: https://www.twilio.com/docs/whatsapp/api, error 63016

const PREFIX = 'whatsapp:';

export function isWhatsApp(address: string): boolean {
  return address.startsWith(PREFIX);
}

/** Without the channel. */
export function plainAddress(address: string): string {
  return isWhatsApp(address) ? address.slice(PREFIX.length) : address;
}

/** Our address as it is on the channel of `theirs`. */
export function onChannelOf(theirs: string, ours: string): string {
  return isWhatsApp(theirs) && !isWhatsApp(ours) ? PREFIX + ours : ours;
}

/** A business-scoped user id: whoever has a user name may have no number to show. */
export const USER_ID = /^[A-Z]{2}(?:\.[A-Za-z0-9]{1,128}){1,2}$/;

const WINDOW_MS = 24 * 3_600_000;

/** When each person last wrote to each of our senders. */
export type Windows = {
  opened(ours: string, theirs: string, nowMs: number): void;
  isOpen(ours: string, theirs: string, nowMs: number): boolean;
};

export function createWindows(): Windows {
  const openedAtMs = new Map<string, number>();
  return {
    opened: (ours, theirs, nowMs) => void openedAtMs.set(`${ours}|${theirs}`, nowMs),
    isOpen: (ours, theirs, nowMs) => nowMs - (openedAtMs.get(`${ours}|${theirs}`) ?? -WINDOW_MS) < WINDOW_MS,
  };
}
