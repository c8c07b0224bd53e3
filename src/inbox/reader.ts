// How the console asks the database: bounded in time, and not at all when nobody waits for the answer any more.
import type postgres from 'postgres';
import type { Sql } from '../database/pools.ts';
import { DarkspereError } from '../errors.ts';

export type Reader = {
  /** The pool `console`. */
  readonly sql: Sql;
  /** What an opt-out covers: a messaging service; null: our number alone. */
  readonly optOutScope: string | null;
  /** The burst window of numbers that have none of their own, milliseconds. */
  readonly quietMs: number;
  /** Aborted when the client has gone. */
  readonly signal?: AbortSignal | undefined;
};

/** query_canceled: by us, or by the statement timeout. */
const CANCELED = '57014';

/** A query that ended sooner than this met no time limit. */
const LEAST_LIMIT_MS = 4_000;

/**
 * The rows of a query; throws query_too_slow after the pool's statement timeout. PostgreSQL cancels whatever a connection runs when
 * the request to cancel arrives: made for a client that has gone, it may hit the question after that client's. One that was hit so is asked
 * again.
 */
export async function rowsOf<T extends object>(
  { sql, signal }: Pick<Reader, 'sql' | 'signal'>,
  query: postgres.PendingQuery<T[]>,
): Promise<T[]> {
  for (;;) {
    const askedMs = performance.now();
    try {
      return await ask(signal, query);
    } catch (error) {
      if ((error as { code?: string }).code !== CANCELED) throw error;
      if (signal?.aborted) throw gone();
      if (performance.now() - askedMs > LEAST_LIMIT_MS)
        throw new DarkspereError('query_too_slow', undefined, { cause: error });
      // What was asked once is done with; as a part of another one it is asked anew.
      query = sql<T[]>`${query}`;
    }
  }
}

async function ask<T extends object>(signal: AbortSignal | undefined, query: postgres.PendingQuery<T[]>): Promise<T[]> {
  const cancel = () => void Promise.resolve(query.cancel()).catch(() => {});
  if (signal?.aborted) throw gone();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return Array.from(await query);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** Nobody reads it. */
const gone = () => new DarkspereError('query_too_slow', 'The client has gone.');
