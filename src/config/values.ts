// The text of one variable → its value. Pure, and silent about the text itself wherever it may be a secret or a phone number.
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Kind } from './variables.ts';

export type Fault = { readonly what: string; readonly fix: string };
export type Parsed = { readonly ok: true; readonly value: unknown } | ({ readonly ok: false } & Fault);

const MIN_SECRET_LENGTH = 16;
const PLACEHOLDER =
  /change[-_ ]?me|^your[-_ ]|^<.*>$|^x{3,}(?:$|[-_])|^[x*.]+$|^(?:secret|password|token|placeholder|example)$/i;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/i;
// E.164: a plus, a country code that never begins with 0, at most 15 digits (ITU-T E.164 §6).
const PHONE = /^\+[1-9]\d{6,14}$/;

/** Parses `text` (not empty) as `kind`; `show` renders a value for a message, or hides it. */
export function parseValue(kind: Kind, text: string, show: (value: string) => string): Parsed {
  const trimmed = text.trim();
  switch (kind.is) {
    case 'port':
      return parseInteger(trimmed, 0, 65_535, 'a port number', show);
    case 'integer':
      return parseInteger(
        trimmed,
        kind.min,
        kind.max,
        kind.unit === 'count' ? 'a whole number' : `a number of ${kind.unit}`,
        show,
      );
    case 'choice':
      return parseChoice(trimmed, kind.of, show);
    case 'text':
      return value(trimmed);
    case 'host':
      return parseHost(trimmed, show);
    case 'http-url':
      return parseHttpUrl(trimmed);
    case 'postgres-url':
      return parsePostgresUrl(trimmed);
    case 'sid':
      return parseSid(trimmed, kind.prefix);
    case 'phones':
      return parsePhones(trimmed);
    case 'networks':
      return parseNetworks(trimmed, show);
    case 'password':
      // Not trimmed: a space may belong to a database password.
      return PLACEHOLDER.test(trimmed) ? placeholder() : value(text);
    case 'secret':
      return parseSecret(trimmed);
    case 'secrets':
      return parseSecrets(trimmed);
    case 'key':
      return parseKey(trimmed);
  }
}

function value(of: unknown): Parsed {
  return { ok: true, value: of };
}

function fault(what: string, fix: string): Parsed {
  return { ok: false, what, fix };
}

function placeholder(): Parsed {
  return fault('is a placeholder, not a real value', 'put the real value in its place');
}

function parseInteger(text: string, min: number, max: number, noun: string, show: (value: string) => string): Parsed {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return value(number);
  return fault(`is ${show(text)}, not ${noun} in range`, `use digits only, from ${min} to ${max}`);
}

function parseChoice(text: string, choices: readonly string[], show: (value: string) => string): Parsed {
  const lower = text.toLowerCase();
  if (choices.includes(lower)) return value(lower);
  return fault(`is ${show(text)}, which is not one of its values`, `use one of: ${choices.join(', ')}`);
}

function parseHost(text: string, show: (value: string) => string): Parsed {
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) !== 0 || HOST_NAME.test(bare)) return value(bare);
  return fault(`is ${show(text)}, not an address`, 'use an IP address or a host name, without scheme and port');
}

function parseHttpUrl(text: string): Parsed {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return fault('is not a web address', 'write it with its scheme, like https://sms.example.com');
  }
  if (url.username !== '' || url.password !== '')
    return fault('carries a user or password', 'leave them out of the URL');
  if (text.includes('#') || text.includes('?')) {
    return fault('carries a query or a fragment', 'leave everything from ? or # on out of the URL');
  }
  return value(`${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`);
}

function parsePostgresUrl(text: string): Parsed {
  // Several hosts are PostgreSQL's own form: for what is checked here the first one stands for all.
  const url = URL.parse(text.replace(/^(\w+:\/\/(?:[^@/?#]*@)?[^,/?#]*),[^/?#]*/, '$1'));
  if (url === null || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:')) {
    return fault('is not a PostgreSQL URL', 'write it as postgres://user:password@host:5432/name');
  }
  if (url.hostname === '' && !url.searchParams.has('host')) {
    return fault('names no host', 'write it as postgres://user:password@host:5432/name');
  }
  if (url.pathname.replace('/', '') === '') {
    return fault('names no database', 'put the name of the database after the host, like …@host:5432/darkspere');
  }
  if (PLACEHOLDER.test(url.password))
    return fault('holds a placeholder for the password', 'put the real password in its place');
  return value(text);
}

function parseSid(text: string, prefix: 'AC' | 'MG'): Parsed {
  if (new RegExp(`^${prefix}[0-9a-f]{32}$`, 'i').test(text)) return value(text);
  const fix = `copy it from the Twilio console: ${prefix} and 32 hexadecimal digits`;
  if (PLACEHOLDER.test(text)) return placeholder();
  if (/^SK[0-9a-f]{32}$/i.test(text)) return fault('is the SID of an API key', fix);
  return fault(`does not have the shape of a SID that begins with ${prefix}`, fix);
}

function parsePhones(text: string): Parsed {
  const numbers = entries(text).map((entry) => entry.replace(/[\s().-]/g, ''));
  const bad = numbers.flatMap((number, index) => (PHONE.test(number) ? [] : [index + 1]));
  if (numbers.length === 0)
    return fault('holds no phone number', 'list your numbers like +15551234567, separated by commas');
  if (bad.length === 0) return value([...new Set(numbers)]);
  const which = `${bad.length === 1 ? 'entry' : 'entries'} ${bad.join(', ')} of ${numbers.length}`;
  return fault(
    `holds something that is not a phone number in E.164 form (${which})`,
    'write each as + and country code and number, like +15551234567',
  );
}

function parseNetworks(text: string, show: (value: string) => string): Parsed {
  if (text.toLowerCase() === 'none') return value([]);
  const networks: string[] = [];
  for (const entry of entries(text)) {
    const cidr = entry.includes('/') ? entry : `${entry}/${entry.includes(':') ? 128 : 32}`;
    // The address part is checked by node:net: ipaddr.js also takes octal and two-part forms that mean another network.
    if (isIP(cidr.slice(0, cidr.indexOf('/'))) === 0 || !ipaddr.isValidCIDR(cidr)) {
      return fault(
        `holds ${show(entry)}, which is not a network`,
        'write each as address/bits, like 10.0.0.0/8 or fd00::/8',
      );
    }
    networks.push(cidr);
  }
  return value([...new Set(networks)]);
}

function parseSecret(text: string): Parsed {
  if (PLACEHOLDER.test(text)) return placeholder();
  if (text.length >= MIN_SECRET_LENGTH) return value(text);
  return fault(
    `is too short for a secret (${text.length} of at least ${MIN_SECRET_LENGTH} characters)`,
    'use a longer one, for example from `openssl rand -hex 32`',
  );
}

function parseSecrets(text: string): Parsed {
  const secrets = entries(text);
  if (secrets.length === 0) return fault('holds no secret', 'set the real value');
  for (const secret of secrets) {
    if (PLACEHOLDER.test(secret)) return placeholder();
    if (secret.length < MIN_SECRET_LENGTH) {
      return fault(
        `holds a value that is too short (${secret.length} of at least ${MIN_SECRET_LENGTH} characters)`,
        'copy the whole token; a Twilio token has 32 characters',
      );
    }
  }
  return value([...new Set(secrets)]);
}

function parseKey(text: string): Parsed {
  const fix = 'use 32 random bytes in base64, for example from `openssl rand -base64 32`';
  if (PLACEHOLDER.test(text)) return fault('is a placeholder, not a real value', fix);
  const key = Buffer.from(text, 'base64');
  // Buffer.from skips what is not base64, so a damaged key would pass by its length alone.
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text) || key.length !== 32)
    return fault('is not base64 of exactly 32 bytes', fix);
  if (new Set(key).size === 1) return fault('is one byte repeated, not a random key', fix);
  return value(key);
}

function entries(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
