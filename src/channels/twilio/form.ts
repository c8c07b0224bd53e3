import { isUtf8 } from 'node:buffer';
import { DarkspereError } from '../../errors.ts';

/** Decoded form fields in the order of their first appearance; a Map, so that no name can reach a prototype. */
export type Form = ReadonlyMap<string, readonly string[]>;

/** Twilio's longest webhook has about 60 fields; more than this is somebody else. */
const MAX_FIELDS = 200;

/**
 * Parses `application/x-www-form-urlencoded`. Strict where browsers are lenient: broken percent-encoding and bytes that are
 * not UTF-8 throw `malformed_body`, because a lenient decoder would make up text that nobody signed.
 */
export function parseForm(body: Buffer): Form {
  if (!isUtf8(body)) throw new DarkspereError('malformed_body', 'The form is not UTF-8.');
  const source = body.toString('utf8');
  const form = new Map<string, string[]>();
  let fields = 0;
  for (let start = 0; start < source.length; ) {
    const next = source.indexOf('&', start);
    const end = next === -1 ? source.length : next;
    if (++fields > MAX_FIELDS)
      throw new DarkspereError('malformed_body', `The form has more than ${MAX_FIELDS} fields.`);
    if (end > start) addField(form, source, start, end);
    start = end + 1;
  }
  return form;
}

function addField(form: Map<string, string[]>, source: string, start: number, end: number): void {
  const equals = source.indexOf('=', start);
  const nameEnd = equals === -1 || equals > end ? end : equals;
  const name = decode(source.slice(start, nameEnd));
  const value = decode(source.slice(nameEnd + 1, end));
  const values = form.get(name);
  if (values === undefined) form.set(name, [value]);
  else values.push(value);
}

function decode(encoded: string): string {
  const spaced = encoded.includes('+') ? encoded.replaceAll('+', ' ') : encoded;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw new DarkspereError('malformed_body', 'The form has broken percent-encoding.');
  }
}

/**
 * The value of a field that may appear once; null when it is absent. Twice throws `webhook_malformed`: which of the two
 * was meant is exactly what an attacker who re-partitions a signed form wants to choose.
 */
export function single(form: Form, name: string): string | null {
  const values = form.get(name);
  if (values === undefined) return null;
  if (values.length > 1)
    throw new DarkspereError('webhook_malformed', `${name} appears more than once.`, { param: name });
  return values[0] ?? null;
}
