// API keys: shown once, stored as SHA-256. A key has 256 random bits, so a fast hash is enough: there is nothing to guess.
import { createHash, timingSafeEqual } from 'node:crypto';
import { newToken } from '../ids.ts';

/** A new key, for example `dsp_agent_…`; the prefix tells a reader (and a secret scanner) what leaked. */
export function newApiKey(prefix: string): string {
  return newToken(prefix);
}

/** What the database keeps of a key: 32 bytes. */
export function hashKey(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}

/** Compares two secrets without telling by its duration where they differ, or whether their lengths do. */
export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(hashKey(given), hashKey(expected));
}
