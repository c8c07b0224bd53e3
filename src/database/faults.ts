// What a database error says about doing the same thing again. Codes: PostgreSQL manual, appendix A.
import { DarkspereError } from '../errors.ts';

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/**
 * Rolled back for the others' sake: deadlock_detected, serialization_failure, and undefined_function, when a new release replaced
 * functions under one that was running.
 */
function isRollback(error: unknown): boolean {
  return ['40P01', '40001', '42883'].includes(codeOf(error));
}

/** Data that one item of a batch brought: class 22 (data exception), 23 (integrity constraint violation). */
export function isItemFault(error: unknown): boolean {
  return /^2[23]/.test(codeOf(error));
}

/** character_not_in_repertoire, untranslatable_character: a NUL, or half a surrogate pair, that somebody has sent. */
export function isUnstorable(error: unknown): boolean {
  return ['22021', '22P05'].includes(codeOf(error));
}

/** read_only_sql_transaction: the server takes no writes, as a primary that has just become a standby. */
export const READ_ONLY = '25006';

/** From the socket, and from the two client libraries about a connection that broke or never came about. */
const NO_CONNECTION =
  /^(CONNECTION_|CONNECT_TIMEOUT|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN|database_unreachable)/;
/** The `pg` library gives these no code. */
const NO_CONNECTION_WORDS = /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered)/;

/**
 * The database cannot do its work now, whatever is asked of it: away, starting, stopping, full, or read-only. What is said to
 * it later may well succeed. SQLSTATE classes: 08 connection, 53 resources (disk full, too many connections), 57 intervention.
 */
export function isOutage(error: unknown): boolean {
  // What we say at the start covers a wrong password and a missing database too: those do not pass.
  if (error instanceof DarkspereError && error.cause !== undefined) return isOutage(error.cause);
  const code = codeOf(error);
  // A socket that is not there comes back; a file does not.
  if (code === 'ENOENT') return (error as NodeJS.ErrnoException).syscall === 'connect';
  if (code === READ_ONLY || /^(08|53|57)[0-9A-Z]{3}$/.test(code) || NO_CONNECTION.test(code)) return true;
  return code === '' && error instanceof Error && NO_CONNECTION_WORDS.test(error.message);
}

/** What failed may be done again as it is: the database was away or full, or rolled it back for the sake of others. */
export function mayPass(error: unknown): boolean {
  return isOutage(error) || isRollback(error);
}

/** query_canceled: it took longer than a statement may (statement_timeout), or somebody cancelled it. */
export function isCancelled(error: unknown): boolean {
  return codeOf(error) === '57014';
}

const MAX_TRIES = 3;

/** Does a statement again when the server rolled it back for the sake of others: nothing of it was written. */
export async function retryRollbacks<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === MAX_TRIES || !isRollback(error)) throw error;
    }
  }
}
