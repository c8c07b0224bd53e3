// The only way out of the house for addresses that somebody else chose.
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { type Cidr, denial, parseCidrs } from './egress-rules.ts';

type Found = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;
export type Lookup = (host: string, options: LookupOptions & { all: true }, found: Found) => void;

export type EgressOptions = {
  /** CIDR ranges that may be called besides the public internet. */
  readonly allow: readonly string[];
  readonly connectMs: number;
  /** Replaces the system resolver. */
  readonly lookup?: Lookup;
};

/** The code on the error of a connection that the guard refused. */
export const EGRESS_DENIED = 'EGRESS_DENIED';

/**
 * A dispatcher that opens a socket only to an address the rules permit. The check is made on the very addresses that are
 * dialled, so a name that changes between check and use gains nothing; address literals are checked here because no
 * resolver is ever asked about them. It follows no redirect and reads no proxy from the environment.
 */
export function createEgress(options: EgressOptions): Dispatcher {
  const allow = parseCidrs(options.allow);
  const lookup = options.lookup === undefined ? systemLookup : oncePerName(options.lookup);
  const secure = guardedConnector('https:', allow, lookup, options.connectMs);
  const plain = guardedConnector('http:', allow, lookup, options.connectMs);
  return new Agent({
    connect: (target, done) => (target.protocol === 'https:' ? secure : plain)(target, done),
    // Thousands of calls are held at once, each on its own socket: a slow answer must not stand before a fast one.
    connections: null,
    pipelining: 1,
    // Shorter than the 5 s after which common servers close an idle socket; one that names its limit is believed.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 60_000,
    // The caller has its own deadlines, to the millisecond; the client's timers are coarse.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: 16_384,
  });
}

/**
 * Whoever asks for a name that is being looked up already shares the answer. The system's resolver looks up few names at a time (two, of
 * libuv's four threads) and takes ten seconds or more over one whose servers are silent: two texts to such an agent, and no other agent
 * with a name could be connected.
 */
function oncePerName(lookup: Lookup): Lookup {
  const waiting = new Map<string, Found[]>();
  return (host, how, found) => {
    const key = JSON.stringify([host, how.family, how.hints]);
    if (waiting.get(key)?.push(found) !== undefined) return;
    waiting.set(key, [found]);
    lookup(host, how, (error, addresses) => {
      const all = waiting.get(key) ?? [];
      waiting.delete(key);
      for (const one of all) one(error, addresses);
    });
  };
}

/** Shared by all dispatchers of the process, as the threads are. */
const systemLookup = oncePerName((host, how, found) => dnsLookup(host, how, found));

function guardedConnector(protocol: string, allow: readonly Cidr[], lookup: Lookup, connectMs: number) {
  // The rules depend on the port, and a connector's lookup is not told it: one connector per port.
  const connectors = new Map<number, buildConnector.connector>();
  return (target: buildConnector.Options, done: buildConnector.Callback): void => {
    const port = target.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(target.port);
    const host = target.hostname.replace(/^\[|\]$/g, '');
    const why = isIP(host) === 0 ? null : denial(protocol, port, host, allow);
    if (why !== null) {
      done(denied(why), null);
      return;
    }
    let connector = connectors.get(port);
    if (connector === undefined) {
      connector = buildConnector({
        lookup: guardedLookup((address) => denial(protocol, port, address, allow), lookup),
        timeout: connectMs,
      } as buildConnector.BuildOptions);
      connectors.set(port, connector);
    }
    connector(target, done);
  };
}

function guardedLookup(check: (address: string) => string | null, lookup: Lookup) {
  return (
    host: string,
    options: LookupOptions,
    found: (error: Error | null, address?: string | LookupAddress[], family?: number) => void,
  ): void => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return found(error);
      const first = addresses[0];
      if (first === undefined) return found(Object.assign(new Error('the name has no address'), { code: 'ENOTFOUND' }));
      for (const { address } of addresses) {
        const why = check(address);
        if (why !== null) return found(denied(why));
      }
      if (options.all) found(null, addresses);
      else found(null, first.address, first.family);
    });
  };
}

function denied(why: string): Error {
  return Object.assign(new Error(why), { code: EGRESS_DENIED });
}
