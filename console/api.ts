// The one way to the gateway: JSON both ways, errors as the server names them, the CSRF token where something changes.
import type { AgentProbe, ErrorBody, Session } from '../src/http/contract.ts';

/** What the gateway refused, or that it could not be reached (`code` unreachable). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | undefined;
  readonly docUrl: string | undefined;
  readonly traceId: string | undefined;
  /** What a probe found that failed, stage by stage. */
  readonly probe: AgentProbe | undefined;

  constructor(status: number, error: Partial<ErrorBody['error']> & { code: string; message: string }) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.param = error.param;
    this.docUrl = error.doc_url;
    this.traceId = error.trace_id;
    this.probe = error.probe;
  }
}

let csrfToken: string | null = null;
/** The session that requests are made in: its token goes along with everything that changes something. */
export function rememberSession(session: Session | null): void {
  csrfToken = session?.csrf_token ?? null;
}

const signedOut = new Set<() => void>();
/** Calls back when a request finds that the session is over. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

type Query = Readonly<Record<string, string | number | undefined>>;

/** GET; `signal` ends it. Throws ApiError. */
export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return send<T>('GET', path + queryString(query), undefined, signal);
}

/** A key for `change`. Not `randomUUID`, which exists only where the page came over https or from this machine. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join('-');
}

/** POST, PUT or DELETE; `key` makes a repeat of the same request harmless. Throws ApiError. */
export function change<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, key?: string): Promise<T> {
  return send<T>(method, path, body, undefined, key);
}

export function queryString(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') search.set(name, String(value));
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

async function send<T>(method: string, path: string, body?: unknown, signal?: AbortSignal, key?: string): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET' && csrfToken !== null) headers['x-csrf-token'] = csrfToken;
  if (key !== undefined) headers['idempotency-key'] = key;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { code: 'unreachable', message: 'The gateway does not answer. Is it running?' });
  }
  if (response.status === 204) return undefined as T;
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer as T;
  const error = (answer as ErrorBody | null)?.error;
  if (response.status === 401 && path !== '/v1/login') for (const listener of signedOut) listener();
  throw new ApiError(
    response.status,
    error ?? { code: 'unreadable', message: `The gateway answered ${response.status} without saying why.` },
  );
}
