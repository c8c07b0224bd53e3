// Sockets to PostgreSQL, for both client libraries: finds the host that takes writes, brings up TLS, and ends a connection
// that is of no use any more. After a failover that is one to a server that has become read-only, or one whose other end is
// silent: the library would keep either of them until somebody restarts us.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { DarkspereError } from '../errors.ts';
import type { Connection, Place } from './connection.ts';
import { READ_ONLY } from './faults.ts';
import { frames } from './frames.ts';

/** Comes back connected and, where asked for, encrypted; rejects with what the last host said. */
export type Dial = () => Promise<Socket>;

export type DialLimits = {
  /** For one host, TCP and TLS together. */
  readonly connectMs: number;
  /** A connection that owes us an answer and says nothing for this long is dead: longer than any statement may take. */
  readonly silenceMs: number;
};

/** A host that was found read-only is asked again after this. */
const REFUSED_MS = 1_000;
/** When the system asks a silent peer whether it is there; it gives up ten seconds later. */
export const KEEP_ALIVE_MS = 5_000;
/** SSLRequest (PostgreSQL manual, Message Formats). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const PROTOCOL_3 = Buffer.from([0, 3, 0, 0]);
const READY_FOR_QUERY = 'Z';
const PARAMETER_STATUS = 'S';
const ERROR_RESPONSE = 'E';
/** What a client sends to be answered with ReadyForQuery. */
const SYNC = 'S';
const QUERY = 'Q';
/** And what it sends to be answered with anything at all. */
const FLUSH = 'H';

/** Makes a dialler that remembers which host took writes last and begins there. */
export function dialler(connection: Connection, limits: DialLimits): Dial {
  const places: readonly Place[] = [connection, ...(connection.others ?? [])];
  const refusedMs = places.map(() => Number.NEGATIVE_INFINITY);
  let first = 0;

  const isRefused = (n: number) => performance.now() - refusedMs[n]! < REFUSED_MS;

  function refuse(n: number, socket: Socket): void {
    refusedMs[n] = performance.now();
    first = (n + 1) % places.length;
    // Without an error the libraries dial again by themselves; with every host refused somebody has to hear of it.
    socket.destroy(places.every((_, each) => isRefused(each)) ? readOnly(places[n]!) : undefined);
  }

  return async () => {
    const order = places.map((_, n) => (first + n) % places.length);
    const fresh = order.filter((n) => !isRefused(n));
    let failure: unknown;
    for (const n of fresh.length > 0 ? fresh : order) {
      try {
        const socket = await open(places[n]!, connection.tls, limits.connectMs);
        first = n;
        watch(socket, limits.silenceMs, () => refuse(n, socket));
        return socket;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  };
}

function readOnly({ host, port }: Place): DarkspereError {
  return new DarkspereError(
    'database_unreachable',
    `The PostgreSQL at ${host}:${port} takes no writes: it is a standby, or was set read-only.`,
  );
}

async function open(place: Place, tls: Connection['tls'], connectMs: number): Promise<Socket> {
  const { host, port } = place;
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect({ host, port });
  socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
  const timer = setTimeout(() => socket.destroy(timedOut()), connectMs);
  try {
    await heard(socket, 'connect');
    return tls === undefined ? socket : await encrypt(socket, host, tls);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }

  function timedOut(): Error {
    return Object.assign(new Error(`${host}:${port} did not take the connection within ${connectMs} ms`), {
      code: 'CONNECT_TIMEOUT',
    });
  }
}

async function encrypt(socket: Socket, host: string, tls: NonNullable<Connection['tls']>): Promise<Socket> {
  socket.write(SSL_REQUEST);
  const answer = (await heard(socket, 'data')) as Buffer;
  if (answer.toString('latin1') !== 'S') throw new Error('The server does not offer TLS, which sslmode asks for.');
  // A name for SNI must not be an address; certificates are checked against `host` either way.
  const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  const encrypted = connectTls({ socket, host, ...servername, ...tls });
  await heard(encrypted, 'secureConnect');
  return encrypted;
}

/** The next event of this name; an error or the end of the socket rejects. */
function heard(socket: Socket, event: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(Object.assign(new Error('The connection was closed.'), { code: 'ECONNRESET' }));
    const settle = (how: (value: unknown) => void) => (value: unknown) => {
      socket.off(event, onEvent).off('error', onError).off('close', ended);
      how(value);
    };
    const onEvent = settle(resolve);
    const onError = settle(reject);
    socket.once(event, onEvent).once('error', onError).once('close', ended);
  });
}

/**
 * Reads along. PostgreSQL (14 and newer) says of itself whether it takes writes, when the session starts and whenever that
 * changes; `onReadOnly` is called before the library hears of it.
 */
function watch(socket: Socket, silenceMs: number, onReadOnly: () => void): void {
  let isReady = false;
  let isUseless = false;
  /** Answers that are still to come, and whether at least a word is. */
  let owed = 0;
  let isFlushed = false;
  let heardMs = performance.now();
  const asked = frames([SYNC, QUERY, FLUSH], (type) => {
    if (owed === 0) heardMs = performance.now();
    if (type === FLUSH) isFlushed = true;
    else owed += 1;
  });
  const answered = frames([READY_FOR_QUERY, PARAMETER_STATUS, ERROR_RESPONSE], (type, body) => {
    if (type === READY_FOR_QUERY) {
      isReady = true;
      owed = Math.max(0, owed - 1);
    } else if (type === PARAMETER_STATUS) isUseless ||= saysReadOnly(body);
    // The statement that failed shall hear of it first.
    else if (codeOf(body) === READ_ONLY) setImmediate(onReadOnly);
  });

  let isFirst = true;
  const write = socket.write.bind(socket) as (chunk: Buffer, ...rest: never[]) => boolean;
  socket.write = ((chunk: Buffer, ...rest: never[]) => {
    // What comes before is the start of the session, which has a deadline of its own and another form.
    if (isReady) asked(chunk);
    const bytes = isFirst ? startOf(chunk) : chunk;
    isFirst = false;
    return write(bytes, ...rest);
  }) as Socket['write'];

  const emit = socket.emit.bind(socket) as (event: string, ...args: unknown[]) => boolean;
  socket.emit = ((event: string, ...args: unknown[]) => {
    if (event === 'data') {
      heardMs = performance.now();
      isFlushed = false;
      answered(args[0] as Buffer);
      if (isUseless) {
        onReadOnly();
        return true;
      }
    }
    // The `postgres` library (3.4.9) takes it that after an error nothing more was asked on the socket. What was, between the
    // error and the close, it would neither answer nor fail, but later take the next connection's greeting for its result.
    if (event === 'close') return emit(event, false);
    return emit(event, ...args);
  }) as Socket['emit'];

  const timer = setInterval(
    () => {
      if ((owed > 0 || isFlushed) && performance.now() - heardMs > silenceMs) socket.destroy(silent(silenceMs));
    },
    Math.min(1_000, silenceMs / 4),
  );
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}

/**
 * The `postgres` library (3.4.9) keeps the bytes it was about to write when its socket closes, and puts them before the first
 * message of its next one. That message, StartupMessage, is its own length, the protocol version and settings.
 */
function startOf(bytes: Buffer): Buffer {
  for (let at = bytes.indexOf(PROTOCOL_3); at >= 4; at = bytes.indexOf(PROTOCOL_3, at + 1)) {
    if (bytes.readUInt32BE(at - 4) === bytes.length - at + 4) return bytes.subarray(at - 4);
  }
  return bytes;
}

function silent(silenceMs: number): Error {
  return Object.assign(new Error(`PostgreSQL did not answer for ${silenceMs} ms`), { code: 'ETIMEDOUT' });
}

function saysReadOnly(body: Buffer): boolean {
  const [name, value] = body.toString('latin1').split('\0');
  return (name === 'in_hot_standby' || name === 'default_transaction_read_only') && value === 'on';
}

/** The SQLSTATE of an ErrorResponse. */
function codeOf(body: Buffer): string {
  const field = body
    .toString('latin1')
    .split('\0')
    .find((each) => each.startsWith('C'));
  return field?.slice(1) ?? '';
}
