// Signatures of the Standard Webhooks scheme (standardwebhooks.com, v1, symmetric): HMAC-SHA256 over `id.timestamp.body`.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX = 'whsec_';
/** How far the sender's clock may be from ours, seconds; the scheme's own recommendation. */
const TOLERANCE_SECONDS = 300;

export type WebhookHeaders = {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
};

/** A new signing secret: `whsec_` and 32 random bytes in base64. */
export function newSigningSecret(): string {
  return `${PREFIX}${randomBytes(32).toString('base64')}`;
}

function digest(secret: string, id: string, timestamp: string, body: Uint8Array | string): Buffer {
  const key = Buffer.from(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret, 'base64');
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}

/**
 * The three headers of a signed message. `id` stays the same over repeats, so that the receiver can drop them. While a secret is
 * being changed there are two, and a signature with each.
 */
export function signWebhook(
  secrets: string | readonly string[],
  id: string,
  at: Date,
  body: Uint8Array | string,
): WebhookHeaders {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const signatures = [secrets].flat().map((secret) => `v1,${digest(secret, id, timestamp, body).toString('base64')}`);
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

export type Verdict = 'valid' | 'unsigned' | 'incomplete' | 'too_old' | 'mismatch';

/** Checks the three headers against a body. Several space-separated signatures are allowed, and several secrets: one must match. */
export function verifyWebhook(
  secrets: string | readonly string[],
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: Uint8Array | string,
  now: Date,
): Verdict {
  const values = [headers['webhook-id'], headers['webhook-timestamp'], headers['webhook-signature']];
  if (values.every((value) => value === undefined)) return 'unsigned';
  const [id, timestamp, signatures] = values;
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return 'incomplete';
  if (!/^\d{1,12}$/.test(timestamp)) return 'incomplete';
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return 'too_old';
  const expected = [secrets].flat().map((secret) => digest(secret, id, timestamp, body));
  const matches = signatures.split(' ').some((signature) => {
    if (!signature.startsWith('v1,')) return false;
    const given = Buffer.from(signature.slice(3), 'base64');
    return expected.some((one) => given.length === one.length && timingSafeEqual(given, one));
  });
  return matches ? 'valid' : 'mismatch';
}
