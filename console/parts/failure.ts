// Why there is nothing to show. A query that failed is read again with every change, and forgets its failure meanwhile; the panel
// must not change to and fro.
import { useRef } from 'react';

type Query = { readonly data: unknown; readonly error: Error | null; readonly errorUpdateCount: number };

/** What it failed with last, until something could be read; null while it is read for the first time. */
export function useFailure({ data, error, errorUpdateCount }: Query): Error | null {
  const last = useRef<Error | null>(null);
  if (data !== undefined || errorUpdateCount === 0) last.current = null;
  else if (error) last.current = error;
  return last.current;
}
