// Who may ask: whoever knows a token, and where there is none, in development, whoever is on this machine.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** True when the call carries one of the tokens as its bearer. */
export function hasToken({ headers }: IncomingMessage, tokens: readonly string[]): boolean {
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (given === undefined) return false;
  // Digests have one length, so the comparison says nothing about it.
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return tokens.filter((token) => timingSafeEqual(digest(given), digest(token))).length > 0;
}

/**
 * True for a program on this machine that means this very agent. A web page opened here comes from this machine too: its
 * browser names an origin, or a host that is not loopback's.
 */
export function isLocal({ headers, socket }: IncomingMessage): boolean {
  const from = socket.remoteAddress ?? '';
  if (from !== '::1' && !/^(::ffff:)?127\./.test(from)) return false;
  // A proxy in front would make everybody local.
  if (headers.origin !== undefined || headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined)
    return false;
  const host = (headers.host ?? '').replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
