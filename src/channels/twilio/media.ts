// Fetching what people send besides text. The address was checked when the webhook was parsed and is checked again here:
// our credential must never go anywhere but to the carrier.
import type { FetchedMedia } from '../channel.ts';
import { call } from './call.ts';
import type { Carrier } from './carrier.ts';
import { isCarrierMedia } from './inbound.ts';

/** Twilio's own limit for MMS is 5 MB. */
export const MAX_MEDIA_BYTES = 5 * 1024 * 1024;
const MAX_REDIRECTS = 2;

/**
 * The media at a carrier address, at most 5 MiB; null when it cannot be had. Twilio answers with a redirect to its
 * storage: that is followed through the guarded egress and without the credential.
 */
export async function fetchCarrierMedia(
  carrier: Carrier,
  address: string,
  signal: AbortSignal,
): Promise<FetchedMedia | null> {
  const apiOrigin = carrier.messagesUrl.origin;
  let url = URL.parse(address);
  if (url === null || !isCarrierMedia(url, apiOrigin)) return null;
  for (let hop = 0; url !== null && hop <= MAX_REDIRECTS; hop++) {
    const atCarrier = isCarrierMedia(url, apiOrigin);
    const { authorization } = carrier.headers;
    const answer = await call(
      url.origin === apiOrigin ? carrier.http : carrier.mediaHttp,
      {
        method: 'GET',
        url,
        headers: atCarrier && authorization !== undefined ? { authorization } : {},
        body: null,
        maxBytes: MAX_MEDIA_BYTES,
      },
      carrier.timeouts,
      signal,
    );
    if (answer.failure !== null) return null;
    if (answer.status === 200)
      return { contentType: answer.contentType ?? 'application/octet-stream', bytes: answer.body };
    if (![301, 302, 303, 307, 308].includes(answer.status ?? 0) || answer.location === null) return null;
    url = URL.parse(answer.location, url.href);
  }
  return null;
}
