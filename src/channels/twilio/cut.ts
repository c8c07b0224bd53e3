// What of the carrier's words is kept.
import { storable } from '../../text.ts';

/** At most `limit` UTF-16 units, never ending in half a surrogate pair. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const lastUnit = text.charCodeAt(limit - 1);
  return text.slice(0, lastUnit >= 0xd800 && lastUnit <= 0xdbff ? limit - 1 : limit);
}

const RECORD_BYTES = 2048;

/** The first 2 KiB of an answer, as an exchange keeps it. */
export function firstBytes(body: Buffer): string {
  return storable(body.subarray(0, RECORD_BYTES).toString('utf8'));
}
