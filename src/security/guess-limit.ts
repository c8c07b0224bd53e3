// Wrong secrets per address and minute, so that guessing is slow and costs us nothing.
import ipaddr from 'ipaddr.js';
import { hashKey } from './keys.ts';

const MAX_WRONG_PER_MINUTE = 10;
const MINUTE_MS = 60_000;
/** Addresses counted one by one; those beyond share a count, so that memory stays bounded. */
const MAX_ADDRESSES = 10_000;
/** Secrets whose hashes are remembered, right and wrong ones each. */
const MAX_REMEMBERED = 10_000;

export type GuessLimit = {
  /**
   * Seconds until this address may try again; zero when it may at once. A secret that was right before is not locked out by
   * wrong guesses of others at the same address.
   */
  waitSeconds(address: string, secret?: string): number;
  noteWrong(address: string, secret?: string): void;
  /** True when the secret was wrong within this minute, and need not be looked up again. */
  isKnownWrong(secret: string): boolean;
  noteRight(secret: string): void;
};

/** Forgets what was wrong each minute. `nowMs` is wall time, replaced in tests. */
export function createGuessLimit(nowMs: () => number = Date.now): GuessLimit {
  const counts = new Map<string, number>();
  const [wrong, right] = [new Set<string>(), new Set<string>()];
  let window = 0;
  const roll = (): void => {
    const current = Math.floor(nowMs() / MINUTE_MS);
    if (current === window) return;
    window = current;
    counts.clear();
    wrong.clear();
  };
  const placeOf = (address: string): string => {
    const place = networkOf(address);
    return counts.has(place) || counts.size < MAX_ADDRESSES ? place : 'others';
  };
  return {
    waitSeconds(address, secret) {
      roll();
      if ((counts.get(placeOf(address)) ?? 0) < MAX_WRONG_PER_MINUTE) return 0;
      if (secret !== undefined && right.has(digest(secret))) return 0;
      return Math.ceil(((window + 1) * MINUTE_MS - nowMs()) / 1000);
    },
    noteWrong(address, secret) {
      roll();
      const place = placeOf(address);
      counts.set(place, (counts.get(place) ?? 0) + 1);
      if (secret === undefined) return;
      right.delete(digest(secret));
      remember(wrong, secret);
    },
    isKnownWrong(secret) {
      roll();
      return wrong.has(digest(secret));
    },
    noteRight: (secret) => remember(right, secret),
  };
}

/** The oldest gives way. */
function remember(secrets: Set<string>, secret: string): void {
  const key = digest(secret);
  if (secrets.has(key)) return;
  if (secrets.size >= MAX_REMEMBERED) secrets.delete(secrets.values().next().value!);
  secrets.add(key);
}

function digest(secret: string): string {
  return hashKey(secret).toString('base64');
}

/** Somebody with IPv6 has at least a /64 to choose from, and who forwards may say anything. */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'others';
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4' ? parsed.toString() : parsed.toByteArray().slice(0, 8).join('.');
}
