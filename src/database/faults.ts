// What a database error says about doing the same thing again. Codes: PostgreSQL manual, appendix A.

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** Rolled back for the others' sake: deadlock_detected, serialization_failure. */
export function isRetryable(error: unknown): boolean {
  return ['40P01', '40001'].includes(codeOf(error));
}

/** Data that one item of a batch brought: class 22 (data exception), 23 (integrity constraint violation). */
export function isItemFault(error: unknown): boolean {
  return /^2[23]/.test(codeOf(error));
}
