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
