// Twilio's webhook signature: base64(HMAC-SHA1(auth token, URL + every form field as name and value, sorted by name)).
// Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Form } from './form.ts';

const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/([^/?#@]*@)?(\[[^\]/?#]*\]|[^:/?#]*)(:\d*)?/i;
const BODY_DIGEST = /[?&]bodySHA256=([^&#]*)/;

/**
 * True when one of `tokens` signed this. `url` is what the carrier was told to call, as configured, with the raw path and
 * query; a fragment is not part of it. `params` is the whole form, empty for a JSON body. No usable token: never true.
 * Every token and form of the URL is tried whatever the earlier ones gave, so the time tells nothing.
 */
export function signatureIsValid(signed: {
  url: string;
  params: Form;
  signature: string;
  tokens: readonly string[];
}): boolean {
  const given = Buffer.from(signed.signature, 'utf8');
  const fields = canonical(signed.params);
  let valid = false;
  for (const url of portForms(signed.url)) {
    for (const token of signed.tokens) {
      if (token === '') continue;
      const expected = Buffer.from(
        createHmac('sha1', token)
          .update(url + fields, 'utf8')
          .digest('base64'),
        'utf8',
      );
      const same = given.length === expected.length && timingSafeEqual(given, expected);
      valid = same || valid;
    }
  }
  return valid;
}

/** Names in code-unit order (`MediaUrl10` before `MediaUrl2`); the values of a repeated name de-duplicated and sorted. */
function canonical(params: Form): string {
  let text = '';
  for (const name of [...params.keys()].sort()) {
    const values = params.get(name) ?? [];
    for (const value of values.length < 2 ? values : [...new Set(values)].sort()) text += name + value;
  }
  return text;
}

/**
 * Twilio signs with the port or without it, depending on its edge and product; the official validator accepts both, and
 * for a URL without one the port of its scheme.
 */
function portForms(url: string): readonly string[] {
  const hash = url.indexOf('#');
  const whole = hash === -1 ? url : url.slice(0, hash);
  const match = ORIGIN.exec(whole);
  if (match === null) return [whole];
  const [origin, scheme = '', user = '', host = '', port = ''] = match;
  const rest = whole.slice(origin.length);
  const bare = `${scheme}://${user}${host}`;
  const standard = scheme.toLowerCase() === 'https' ? ':443' : ':80';
  return [bare + rest, bare + (port === '' ? standard : port) + rest];
}

/** The digest a signed URL carries for a body that is not a form; null when it carries none. */
export function signedBodyDigest(url: string): string | null {
  return BODY_DIGEST.exec(url)?.[1] ?? null;
}

/** True when the raw bytes have this SHA-256 (hex). A body parsed and written again has another one. */
export function bodyHasDigest(body: Buffer, digest: string): boolean {
  const given = Buffer.from(digest, 'utf8');
  const expected = Buffer.from(createHash('sha256').update(body).digest('hex'), 'utf8');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
