// Signatures of the Standard Webhooks scheme (https://www.standardwebhooks.com, v1, symmetric): HMAC-SHA256 over
// `id.timestamp.body`.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** How far the sender's clock may be from ours, seconds; the scheme's own recommendation. */
export const TOLERANCE_SECONDS = 300;
const PREFIX = 'whsec_';

export type Verdict = 'valid' | 'unsigned' | 'incomplete' | 'too_old' | 'mismatch';
type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Checks the three headers against the body as it came; one of the secrets and one of the signatures must match. */
export function verifySignature(
  secrets: readonly string[],
  headers: Headers,
  body: Uint8Array,
  nowMs: number,
  toleranceSeconds: number,
): Verdict {
  const values = ['id', 'timestamp', 'signature'].map((name) => headers[`webhook-${name}`]);
  if (values.every((value) => value === undefined)) return 'unsigned';
  const [id, timestamp, signatures] = values;
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return 'incomplete';
  if (!/^\d{1,12}$/.test(timestamp)) return 'incomplete';
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > toleranceSeconds) return 'too_old';
  const given = signatures
    .split(' ')
    .flatMap((one) => (one.startsWith('v1,') ? [Buffer.from(one.slice(3), 'base64')] : []));
  const matches = secrets.some((secret) => {
    const expected = digest(secret, id, timestamp, body);
    return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
  return matches ? 'valid' : 'mismatch';
}

/** The three headers of a signed message. */
export function sign(secret: string, id: string, nowMs: number, body: string): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signature = digest(secret, id, timestamp, Buffer.from(body)).toString('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

/** True for what can be a secret: at least 24 bytes in base64, usually after `whsec_`. */
export function isSigningSecret(text: string): boolean {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text;
  return /^[A-Za-z0-9+/]+={0,2}$/.test(encoded) && Buffer.from(encoded, 'base64').length >= 24;
}

function digest(secret: string, id: string, timestamp: string, body: Uint8Array): Buffer {
  const key = Buffer.from(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret, 'base64');
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}
