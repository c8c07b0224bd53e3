// Standard Webhooks signatures (https://www.standardwebhooks.com), the same for what comes in and for what goes out.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const TOLERANCE_MS = 5 * 60_000;

/** `v1,<base64>` over `id.timestamp.body`; `secret` is `whsec_` and base64, `timestamp` is in seconds. */
export function sign(secret: string, id: string, timestamp: number, body: string): string {
  return `v1,${hmac(secret, id, String(timestamp), Buffer.from(body)).toString('base64')}`;
}

/** True when one of the secrets signed this very body within the last five minutes (clocks may differ either way). */
export function isAuthentic(
  secrets: readonly string[],
  headers: IncomingHttpHeaders,
  body: Buffer,
  nowMs: number,
): boolean {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => headers[`webhook-${name}`]);
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return false;
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(nowMs - Number(timestamp) * 1000) > TOLERANCE_MS) return false;
  const given = signatures.split(' ').flatMap((signature) => {
    const [version, text] = signature.split(',');
    return version === 'v1' && text !== undefined ? [Buffer.from(text, 'base64')] : [];
  });
  return secrets.some((secret) => {
    const expected = hmac(secret, id, timestamp, body);
    return given.some((signature) => signature.length === expected.length && timingSafeEqual(signature, expected));
  });
}

function hmac(secret: string, id: string, timestamp: string, body: Buffer): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}
