// Twilio's side of a webhook, made by hand: for requests that the simulator would never send.
import { createHmac, randomBytes } from 'node:crypto';

/** A form as an object, or as pairs where a name comes twice. */
export type FormFields = Readonly<Record<string, string>> | readonly (readonly [string, string])[];

export type Signing = {
  readonly authToken: string;
  /** The address that is signed and posted to; `sentTo` where the two differ. */
  readonly url: string;
  readonly sentTo?: string;
  /** Replaces the right signature; null sends none. */
  readonly signature?: string | null;
  /** Sent in place of the encoded fields; the fields are what is signed. */
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
};

export const newSid = (prefix: 'SM' | 'MM' | 'AC' = 'SM') => prefix + randomBytes(16).toString('hex');

const pairsOf = (fields: FormFields) =>
  (Array.isArray(fields) ? fields : Object.entries(fields)) as readonly (readonly [string, string])[];

/**
 * base64(HMAC-SHA1(token, url + each name and value, sorted by name)); the values of a repeated name count once each.
 * Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security
 */
export function twilioSignature(authToken: string, url: string, fields: FormFields): string {
  const values = new Map<string, Set<string>>();
  for (const [name, value] of pairsOf(fields)) values.set(name, (values.get(name) ?? new Set()).add(value));
  const sorted = [...values].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = sorted
    .map(([name, all]) =>
      [...all]
        .sort()
        .map((value) => name + value)
        .join(''),
    )
    .join('');
  return createHmac('sha1', authToken)
    .update(url + text)
    .digest('base64');
}

const encode = (fields: FormFields) =>
  pairsOf(fields)
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join('&');

/** Posts a signed form and gives what came back. */
export async function postSigned(fields: FormFields, signing: Signing) {
  const signature =
    signing.signature === undefined ? twilioSignature(signing.authToken, signing.url, fields) : signing.signature;
  const response = await fetch(signing.sentTo ?? signing.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(signature === null ? {} : { 'x-twilio-signature': signature }),
      ...signing.headers,
    },
    body: signing.body === undefined ? encode(fields) : new Uint8Array(Buffer.from(signing.body)),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text };
}
