import { randomBytes, randomFillSync } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** True for the text form of any UUID; use it before a value from outside meets a uuid column. */
export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && UUID.test(text);
}

const bytes = new Uint8Array(16);

/**
 * A UUIDv7 (RFC 9562 §5.7) from this machine's clock. Ids that decide an order in the database are made there, by
 * `new_id()`; this one is for things whose order does not matter: agents, requests, traces.
 */
export function newId(): string {
  const nowMs = Date.now();
  randomFillSync(bytes);
  bytes[0] = nowMs / 2 ** 40;
  bytes[1] = nowMs / 2 ** 32;
  bytes[2] = nowMs / 2 ** 24;
  bytes[3] = nowMs / 2 ** 16;
  bytes[4] = nowMs / 2 ** 8;
  bytes[5] = nowMs;
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** An unguessable token: `prefix` plus 32 random bytes in base64url (256 bits). */
export function newToken(prefix: string): string {
  return `${prefix}${randomBytes(32).toString('base64url')}`;
}
