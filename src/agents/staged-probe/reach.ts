// The first three stages: the name, the port, the certificate. Only addresses that the egress rules permit are dialled, and the very
// ones that were checked.
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { type Cidr, denial, hostOf, portOf, type Resolve } from '../../security/egress-rules.ts';
import type { StageFailure } from './stages.ts';

/** A stage's end: what it gives to the next one, or why it failed. */
export type Reached<T> =
  | { readonly value: T; readonly detail: string }
  | { readonly failure: Omit<StageFailure, 'hint'> };

/** The addresses of the host, all of them permitted. */
export async function resolveStage(
  url: URL,
  allow: readonly Cidr[],
  resolve: Resolve,
  limitMs: number,
): Promise<Reached<readonly string[]>> {
  const host = hostOf(url);
  const isLiteral = isIP(host) !== 0;
  const found = isLiteral ? [host] : await addressesOf(host, resolve, limitMs);
  if (typeof found === 'string') return failed('agent_refused', `the name ${host} does not resolve (${found})`);
  const why = found.map((address) => denial(url.protocol, portOf(url), address, allow)).find((one) => one !== null);
  if (why !== undefined && why !== null) return failed('egress_denied', why);
  return { value: found, detail: isLiteral ? 'an address, no name' : `${host} is ${found.join(', ')}` };
}

/** The addresses, or the code of what went wrong. */
async function addressesOf(host: string, resolve: Resolve, limitMs: number): Promise<readonly string[] | string> {
  const late = new AbortController();
  try {
    const timeout = sleep(limitMs, 'TIMEOUT', { signal: late.signal });
    const found = await Promise.race([resolve(host), timeout]);
    return found.length === 0 ? 'no address' : found;
  } catch (error) {
    return codeOf(error);
  } finally {
    late.abort();
  }
}

/** A connection to the first address that takes one; the caller ends it. */
export async function tcpStage(url: URL, addresses: readonly string[], limitMs: number): Promise<Reached<Socket>> {
  const port = portOf(url);
  let last = '';
  for (const address of addresses) {
    const socket = connectTcp({ host: address, port });
    last = await settled(socket, 'connect', limitMs);
    if (last === '') return { value: socket, detail: `port ${port} of ${address} is open` };
    socket.destroy();
  }
  const where = `${addresses.join(', ')} port ${port}`;
  return last === 'TIMEOUT'
    ? failed('agent_timeout', `${where} did not answer within ${limitMs} ms`)
    : failed('agent_refused', `${where} takes no connection (${last})`);
}

/** A TLS handshake on the connection, with the certificate checked for the host's name or address. */
export async function tlsStage(url: URL, socket: Socket, limitMs: number): Promise<Reached<null>> {
  const host = hostOf(url);
  // Without `host` the certificate of an address would be checked for localhost; an address is no name that TLS can ask for.
  const name = isIP(host) === 0 ? { servername: host } : {};
  const secure = connectTls({ socket, host, ...name, ALPNProtocols: ['http/1.1'] });
  const problem = await settled(secure, 'secureConnect', limitMs);
  const detail = secure.getProtocol() ?? '';
  secure.destroy();
  if (problem === '') return { value: null, detail };
  if (problem === 'TIMEOUT') return failed('agent_timeout', `no TLS handshake within ${limitMs} ms`);
  const plain = problem === 'ERR_SSL_WRONG_VERSION_NUMBER' || problem === 'ERR_SSL_PACKET_LENGTH_TOO_LONG';
  return failed(
    'agent_tls',
    plain ? `the server does not speak TLS (${problem})` : `the handshake failed (${problem})`,
  );
}

/** Empty when the event came; else the code of what came instead, or TIMEOUT. */
function settled(socket: Socket, event: 'connect' | 'secureConnect', limitMs: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(resolve, limitMs, 'TIMEOUT');
  socket.once(event, () => resolve(''));
  // Stays: a connection that breaks later is nobody's business any more, and must not end the process.
  socket.on('error', (error) => resolve(codeOf(error)));
  socket.once('close', () => resolve('ECONNRESET'));
  return promise.finally(() => clearTimeout(timer));
}

function codeOf(error: unknown): string {
  const { code, errors } = error as { code?: string; errors?: readonly { code?: string }[] };
  return code ?? errors?.[0]?.code ?? 'unknown reason';
}

function failed(code: 'agent_refused' | 'agent_timeout' | 'agent_tls' | 'egress_denied', reason: string) {
  return { failure: { code, reason } };
}

/** Milliseconds since `startedMs`, to a tenth. */
export function since(startedMs: number): number {
  return Math.round((performance.now() - startedMs) * 10) / 10;
}
