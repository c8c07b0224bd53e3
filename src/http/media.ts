// What a person sent besides text. The carrier's own address needs our credential, which nobody gets: agents have links that
// are signed and expire (GET /v1/media/{message}/{n}?proof=…), operators their session (GET /v1/messages/{id}/media/{n}).
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Channel, Media } from '../channels/channel.ts';
import { now } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import { linkIsValid, signLink } from '../security/links.ts';
import { route } from './routes.ts';

const LINK_HOURS = 24;
/** Files fetched at once: each may hold 5 MiB. */
const MAX_FETCHES = 16;
/** Below the 10 s after which the server closes a silent connection. */
const FETCH_MS = 9_000;
/** What a browser may show; anything else, SVG with its scripts included, is a download. */
const PICTURES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);
const FILE = { type: 'application/octet-stream', description: 'The picture or file, with its own content type.' };

export type MediaDeps = { readonly sql: Sql; readonly channel: Channel; readonly mediaKey: Buffer };

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

export function mediaRoutes(app: FastifyInstance, deps: MediaDeps): void {
  const files = createFiles(deps);

  route(app, {
    method: 'GET',
    path: '/v1/media/:message/:n',
    summary: 'What a person sent, for an agent',
    description: 'The link is in the request to the agent; it is signed for one file and 24 hours.',
    tag: 'agents',
    scope: 'anyone',
    params: z.object({ message: z.string().meta({ format: 'uuid' }), n: z.string() }),
    // Not strict: whoever passes links on may add to them, and the proof covers what counts.
    query: z.object({ proof: z.unknown().optional() }),
    answers: { 200: FILE },
    errors: ['rate_limited', 'storage_unavailable'],
    handle: async ({ params: { message, n }, query: { proof }, reply }) => {
      const known = isUuid(message) && /^\d$/.test(n) && typeof proof === 'string';
      if (!known || !linkIsValid(deps.mediaKey, subject(message, Number(n)), proof, now())) {
        throw new DarkspereError('not_found', 'This link is not valid, or its 24 hours are over.');
      }
      const { contentType, bytes } = await files.fetch(message, Number(n));
      return sendFile(reply, contentType, bytes, 'attachment');
    },
  });

  route(app, {
    method: 'GET',
    path: '/v1/messages/:id/media/:n',
    summary: 'What a person sent, for an operator',
    tag: 'conversations',
    scope: 'read',
    params: z.object({ id: z.uuid(), n: z.string().regex(/^\d$/) }),
    answers: { 200: FILE },
    handle: async ({ params: { id, n }, reply }) => {
      const { contentType, bytes } = await files.fetch(id, Number(n));
      return sendFile(reply, contentType, bytes, PICTURES.has(contentType) ? 'inline' : 'attachment');
    },
  });
}

/** Somebody else's bytes under our origin: a browser must not take them for anything but what they are said to be. */
export function sendFile(
  reply: FastifyReply,
  contentType: string,
  bytes: Buffer,
  disposition: 'inline' | 'attachment',
): FastifyReply {
  return reply
    .type(contentType)
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', "default-src 'none'; sandbox")
    .header('content-disposition', disposition)
    .header('cache-control', 'private, max-age=3600')
    .send(bytes);
}

/** Fetches from the carrier, a bounded number at once. */
function createFiles({ sql, channel }: MediaDeps) {
  let fetches = 0;
  return {
    async fetch(messageId: string, n: number): Promise<{ contentType: string; bytes: Buffer }> {
      const [row] = await sql<{ media: Media[] }[]>`select media from messages where id = ${messageId}`;
      const media = row?.media[n];
      if (!media) throw new DarkspereError('not_found', 'The message has no such media.');
      if (fetches >= MAX_FETCHES) {
        throw new DarkspereError('rate_limited', 'Too many media are being fetched right now. Try again in a second.', {
          facts: { retryAfterSeconds: 1 },
        });
      }
      fetches++;
      try {
        const fetched = await channel.fetchMedia(media.url, AbortSignal.timeout(FETCH_MS));
        if (!fetched) throw new DarkspereError('not_found', 'The carrier does not give this media any more.');
        return { contentType: media.contentType, bytes: fetched.bytes };
      } finally {
        fetches--;
      }
    },
  };
}

function subject(messageId: string, n: number): string {
  return `media/${messageId}/${n}`;
}
