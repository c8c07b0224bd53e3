import { readFileSync } from 'node:fs';
import { DarkspereError } from '../errors.ts';

/** Where a PostgreSQL server is. A host that begins with `/` is the folder of a Unix socket. */
export type Place = { host: string; port: number };

/** Which PostgreSQL, and who we are there. */
export type Connection = Place & {
  /** More places the same database may be found at: the one that takes writes is used. */
  others?: readonly Place[];
  user: string;
  password: string | undefined;
  database: string;
  /** Absent: no TLS. */
  tls?: { rejectUnauthorized: boolean; ca?: string };
};

/**
 * Reads a PostgreSQL URL as libpq does where it matters: percent-encoded socket folders or `?host=/folder`, `sslmode`
 * and `sslrootcert`. Nothing of the URL is ever in an error: it holds a password.
 */
export function parseConnection(url: string): Connection {
  const invalid = (why: string) =>
    new DarkspereError('config_invalid', `DATABASE_URL ${why}.`, { param: 'DATABASE_URL' });
  // WHATWG URLs refuse an empty or percent-encoded-slash host beside credentials, so the host is cut out first.
  const parts = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(url);
  if (!parts) throw invalid('is not of the form postgres://user:password@host:port/database');
  const [, credentials = '', address = '', path = '', query = ''] = parts;
  const parameters = new URLSearchParams(query);
  const colon = credentials.indexOf(':');
  const user = colon < 0 ? credentials : credentials.slice(0, colon);
  const attributes = parameters.get('target_session_attrs') ?? 'read-write';
  if (!['any', 'read-write', 'primary'].includes(attributes)) {
    throw invalid('asks for a server that takes no writes; leave target_session_attrs out or set it to read-write');
  }
  const [place, ...others] = placesOf(address, parameters.get('host'), parameters.get('port'), invalid);
  const name = decodeURIComponent(user) || (parameters.get('user') ?? 'postgres');
  const tls = tlsOf(parameters, invalid);
  return {
    ...place!,
    ...(others.length > 0 ? { others } : {}),
    user: name,
    password: colon < 0 ? (parameters.get('password') ?? undefined) : decodeURIComponent(credentials.slice(colon + 1)),
    database: decodeURIComponent(path) || name,
    ...(tls === undefined ? {} : { tls }),
  };
}

/** `a:1,b:2` or `?host=a,b&port=1,2`; one port may serve all hosts. */
function placesOf(
  address: string,
  hostList: string | null,
  portList: string | null,
  invalid: (why: string) => Error,
): Place[] {
  const written = (hostList ?? address).split(',');
  const ports = portList?.split(',') ?? [];
  if (ports.length > 1 && ports.length !== written.length) throw invalid('has not as many ports as hosts');
  return written.map((text, n) => {
    const [, host = '', own] = hostList === null ? (/^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text) ?? []) : [text, text];
    const port = Number(ports[n] ?? ports[0] ?? own ?? 5432);
    if (!(port > 0 && port < 65_536)) throw invalid('has no valid port');
    const name = hostList === null ? decodeURIComponent(host).replace(/^\[|\]$/g, '') : host;
    return { host: name || 'localhost', port };
  });
}

function tlsOf(parameters: URLSearchParams, invalid: (why: string) => Error): Connection['tls'] {
  const mode = parameters.get('sslmode') ?? 'prefer';
  const root = parameters.get('sslrootcert');
  const ca = root === null || root === 'system' ? {} : { ca: certificates(root, invalid) };
  switch (mode) {
    case 'disable':
    case 'allow':
    case 'prefer':
      return undefined;
    case 'require':
      // libpq: encrypted, and verified only when a root certificate is named.
      return { rejectUnauthorized: root !== null, ...ca };
    case 'verify-ca':
    case 'verify-full':
      return { rejectUnauthorized: true, ...ca };
    default:
      throw invalid(`has an unknown sslmode; use disable, require or verify-full`);
  }
}

function certificates(path: string, invalid: (why: string) => Error): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`names a file as sslrootcert that cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** The URL of a connection without TLS, in the form that libpq, pg and postgres.js all read. */
export function connectionUrl(connection: Connection): string {
  const { user, password, database, others = [] } = connection;
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const places = [connection, ...others].map(
    ({ host, port }) => `${encodeURIComponent(host)}${host.startsWith('/') ? '' : `:${port}`}`,
  );
  return `postgres://${encodeURIComponent(user)}${secret}@${places.join(',')}/${encodeURIComponent(database)}`;
}
