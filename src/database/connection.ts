import { readFileSync } from 'node:fs';
import { DarkspereError } from '../errors.ts';

/** Where a PostgreSQL is. A host that begins with `/` is the folder of a Unix socket. */
export type Connection = {
  host: string;
  port: number;
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
  const [, hostText = '', portText] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(address) ?? [];
  const host = parameters.get('host') ?? decodeURIComponent(hostText).replace(/^\[|\]$/g, '');
  const port = Number(parameters.get('port') ?? portText ?? 5432);
  if (!(port > 0 && port < 65_536)) throw invalid('has no valid port');
  const name = decodeURIComponent(user) || (parameters.get('user') ?? 'postgres');
  const tls = tlsOf(parameters, invalid);
  return {
    host: host || 'localhost',
    port,
    user: name,
    password: colon < 0 ? (parameters.get('password') ?? undefined) : decodeURIComponent(credentials.slice(colon + 1)),
    database: decodeURIComponent(path) || name,
    ...(tls === undefined ? {} : { tls }),
  };
}

function tlsOf(parameters: URLSearchParams, invalid: (why: string) => Error): Connection['tls'] {
  const mode = parameters.get('sslmode') ?? 'prefer';
  const root = parameters.get('sslrootcert');
  const ca = root === null || root === 'system' ? {} : { ca: readFileSync(root, 'utf8') };
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

/** The URL of a connection without TLS, in the form that libpq, pg and postgres.js all read. */
export function connectionUrl(connection: Connection): string {
  const { host, port, user, password, database } = connection;
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const place = `${encodeURIComponent(host)}${host.startsWith('/') ? '' : `:${port}`}`;
  return `postgres://${encodeURIComponent(user)}${secret}@${place}/${encodeURIComponent(database)}`;
}
