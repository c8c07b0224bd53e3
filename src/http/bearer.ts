import type { FastifyRequest } from 'fastify';
import { DarkspereError } from '../errors.ts';

/** The key of `Authorization: Bearer …`; throws unauthenticated. A key in the URL is never looked at: URLs end up in logs. */
export function bearerOf(request: FastifyRequest): string {
  const [, key] = /^Bearer ([\x21-\x7e]{1,200})$/i.exec(request.headers.authorization ?? '') ?? [];
  if (key === undefined) {
    throw new DarkspereError('unauthenticated', 'Send `Authorization: Bearer <api key>`.');
  }
  return key;
}
