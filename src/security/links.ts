// Links that work without a login because they cannot be guessed: an HMAC over what they open and until when.
import { createHmac, timingSafeEqual } from 'node:crypto';

const PURPOSE = 'darkspere link v1';

/** A key of its own for links, so that a leaked link says nothing about anything else sealed with the same secret. */
export function linkKey(secretKey: Uint8Array): Buffer {
  return createHmac('sha256', secretKey).update(PURPOSE).digest();
}

/** `<expiry in seconds, base 36>.<base64url HMAC>`: proof for `subject` until then. */
export function signLink(key: Buffer, subject: string, expiresAt: Date): string {
  const expiry = Math.floor(expiresAt.getTime() / 1000).toString(36);
  return `${expiry}.${mac(key, subject, expiry).toString('base64url')}`;
}

/** True when the proof is ours, for this subject and not expired. Constant time over the signature. */
export function linkIsValid(key: Buffer, subject: string, proof: string, now: Date): boolean {
  const [, expiry, signature] = /^([0-9a-z]{1,9})\.([\w-]{43})$/.exec(proof) ?? [];
  if (expiry === undefined || signature === undefined) return false;
  const given = Buffer.from(signature, 'base64url');
  const expected = mac(key, subject, expiry);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
  return Number.parseInt(expiry, 36) * 1000 > now.getTime();
}

function mac(key: Buffer, subject: string, expiry: string): Buffer {
  return createHmac('sha256', key).update(`${expiry}\n${subject}`).digest();
}
