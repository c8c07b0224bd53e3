// Where agents may live. One rule, asked twice: when an address is saved and again when a socket is opened, because a
// name can point elsewhere by then (DNS rebinding).
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { DarkspereError, messageOf } from '../errors.ts';

export type Cidr = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Parses a CIDR list; a bare address means that one address. Throws `config_invalid` naming the entry. */
export function parseCidrs(list: readonly string[]): readonly Cidr[] {
  return list.map((entry) => {
    try {
      if (entry.includes('/')) return ipaddr.parseCIDR(entry);
      const address = ipaddr.parse(entry);
      return [address, address.kind() === 'ipv4' ? 32 : 128];
    } catch {
      throw new DarkspereError(
        'config_invalid',
        `DARKSPERE_EGRESS_ALLOW: "${entry}" is not an address or a CIDR range.`,
      );
    }
  });
}

/**
 * Where an address lies: in the operator's list, on the public internet, or neither. IPv4 inside IPv6
 * (`::ffff:127.0.0.1`) counts as the IPv4 address it reaches.
 */
function placeOf(text: string, allow: readonly Cidr[]): 'allowed' | 'public' | 'denied' {
  if (isIP(text) === 0) return 'denied';
  const address = ipaddr.process(text);
  for (const [range, bits] of allow) {
    if (address.kind() === range.kind() && address.match(range, bits)) return 'allowed';
  }
  if (address.range() !== 'unicast') return 'denied';
  // IPv6 hands out public addresses from 2000::/3 only; the library calls unassigned space unicast too.
  return address.kind() === 'ipv4' || address.match(ipaddr.parse('2000::'), 3) ? 'public' : 'denied';
}

/**
 * Why a connection must not be made, or null when it may. Networks the operator listed: anything. The public internet:
 * https only, because a text and its signature would cross it readable; ports 80, 443 and from 1024, so that nobody can
 * make us talk to a mail server.
 */
export function denial(protocol: string, port: number, address: string, allow: readonly Cidr[]): string | null {
  const place = placeOf(address, allow);
  if (place === 'allowed') return null;
  if (place === 'denied') return `${address} is not on the public internet and not in DARKSPERE_EGRESS_ALLOW`;
  if (protocol !== 'https:')
    return `${address} is public, and http would carry texts readable across the internet; use https`;
  if (port !== 443 && port !== 80 && port < 1024)
    return `port ${port} of a public address is not allowed; use 443 or one from 1024`;
  return null;
}

/** The port a URL means, defaults included. */
export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}

/** The host of a URL without the brackets of an IPv6 literal. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

const PARAM = { param: 'endpoint_url' };

/**
 * Checks everything about an endpoint that its text shows: scheme, no credentials, no fragment, address literals in all
 * their spellings. Throws `invalid_request` or `egress_denied`, both naming `endpoint_url`.
 */
export function checkUrl(text: string, allow: readonly Cidr[]): URL {
  const refuse = (why: string) => new DarkspereError('invalid_request', `endpoint_url ${why}`, PARAM);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw refuse('is not a URL. Send an absolute one, like https://agent.example.com/chat.');
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refuse('must start with https:// (or http:// inside your own network).');
  if (url.username !== '' || url.password !== '')
    throw refuse('must not carry a user name or password; put a credential into metadata.api_key.');
  if (url.hash !== '' || text.includes('#')) throw refuse('must not have a fragment (#…).');
  if (text.length > 2000) throw refuse('is longer than 2,000 characters.');
  // WHATWG parsing has already turned 2130706433, 0x7f.1 and 0177.0.0.1 into 127.0.0.1.
  if (isIP(hostOf(url)) !== 0) assertPermitted(url, hostOf(url), allow);
  return url;
}

function assertPermitted(url: URL, address: string, allow: readonly Cidr[]): void {
  const why = denial(url.protocol, portOf(url), address, allow);
  if (why !== null) throw new DarkspereError('egress_denied', `endpoint_url: ${why}.`, PARAM);
}

export type Resolve = (host: string) => Promise<readonly string[]>;

/** All addresses of a name, from the system's resolver. */
export const resolveHost: Resolve = async (host) => (await lookup(host, { all: true })).map((entry) => entry.address);

/**
 * Resolves the host of a checked URL and refuses it when any of its addresses may not be called: a name with one public
 * and one private address is an attack, not an endpoint.
 */
export async function assertReachableAddress(
  url: URL,
  allow: readonly Cidr[],
  resolve: Resolve = resolveHost,
): Promise<void> {
  const host = hostOf(url);
  if (isIP(host) !== 0) return assertPermitted(url, host, allow);
  const addresses = await resolve(host).catch((error: unknown) => {
    throw new DarkspereError(
      'invalid_request',
      `endpoint_url: the name ${host} does not resolve. Correct it or try again.`,
      {
        ...PARAM,
        facts: { reason: messageOf(error) },
      },
    );
  });
  if (addresses.length === 0)
    throw new DarkspereError('invalid_request', `endpoint_url: ${host} has no address.`, PARAM);
  for (const address of addresses) assertPermitted(url, address, allow);
}
