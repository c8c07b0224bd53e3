// What a database error says about doing the same thing again. Codes: PostgreSQL manual, appendix A.

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** Rolled back for the others' sake: deadlock_detected, serialization_failure. */
function isRollback(error: unknown): boolean {
  return ['40P01', '40001'].includes(codeOf(error));
}

/** Data that one item of a batch brought: class 22 (data exception), 23 (integrity constraint violation). */
export function isItemFault(error: unknown): boolean {
  return /^2[23]/.test(codeOf(error));
}

/** The server cannot be talked to: trouble of the connection or the socket below it, and the classes 08, 53 and 57. */
export function isOutage(error: unknown): boolean {
  const code = codeOf(error);
  // The messages are pg's, which gives no code for these.
  if (code === '' && error instanceof Error && /^Connection terminated|timeout exceeded when/.test(error.message))
    return true;
  return (
    /^(CONNECTION_|CONNECT_TIMEOUT|ECONNREFUSED|ECONNRESET|ENOENT|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)/.test(
      code,
    ) ||
    // A name server that is away with the rest.
    /^(EAI_AGAIN|ENOTFOUND)$/.test(code) ||
    /^(08|53|57)[0-9A-Z]{3}$/.test(code)
  );
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
