// GET /v1/media/{message}/{n}?proof=…: what a person sent besides text, for the agent that was asked about it. The carrier's
// own address needs our credential, which no agent gets; this one is signed and expires.
import type { FastifyInstance } from 'fastify';
import type { Channel, Media } from '../channels/channel.ts';
import { now } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import { linkIsValid, signLink } from '../security/links.ts';

const LINK_HOURS = 24;
/** Files fetched at once: each may hold 5 MiB. */
const MAX_FETCHES = 16;
/** Below the 10 s after which the server closes a silent connection. */
const FETCH_MS = 9_000;

/** Signed links to a message's media, for the envelope to an agent. */
export function mediaLinker(deps: { key: Buffer; publicUrl: string }) {
  return (messageId: string, media: readonly Media[]): Media[] => {
    const expiresAt = new Date(now().getTime() + LINK_HOURS * 3600_000);
    return media.map(({ contentType }, n) => ({
      contentType,
      url: `${deps.publicUrl}/v1/media/${messageId}/${n}?proof=${signLink(deps.key, subject(messageId, n), expiresAt)}`,
    }));
  };
}

export function mediaRoutes(app: FastifyInstance, deps: { sql: Sql; channel: Channel; key: Buffer }): void {
  let fetches = 0;
  app.get<{ Params: { message: string; n: string }; Querystring: { proof?: unknown } }>(
    '/v1/media/:message/:n',
    async (request, reply) => {
      const { message, n } = request.params;
      const { proof } = request.query;
      const known = isUuid(message) && /^\d$/.test(n) && typeof proof === 'string';
      if (!known || !linkIsValid(deps.key, subject(message, Number(n)), proof, now())) {
        throw new DarkspereError('not_found', 'This link is not valid, or its 24 hours are over.');
      }
      const [row] = await deps.sql<{ media: Media[] }[]>`select media from messages where id = ${message}`;
      const media = row?.media[Number(n)];
      if (!media) throw new DarkspereError('not_found', 'The message has no such media.');
      if (fetches >= MAX_FETCHES) {
        reply.header('retry-after', 1);
        throw new DarkspereError('rate_limited', 'Too many media are being fetched right now.');
      }
      fetches++;
      try {
        const fetched = await deps.channel.fetchMedia(media.url, AbortSignal.timeout(FETCH_MS));
        if (!fetched) throw new DarkspereError('not_found', 'The carrier does not give this media any more.');
        return reply
          .type(media.contentType)
          .header('x-content-type-options', 'nosniff')
          .header('content-disposition', 'attachment')
          .header('cache-control', 'private, max-age=3600')
          .send(fetched.bytes);
      } finally {
        fetches--;
      }
    },
  );
}

function subject(messageId: string, n: number): string {
  return `media/${messageId}/${n}`;
}
