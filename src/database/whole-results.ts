// postgres 3.4.9 counts the rows of a result from where the one before it on the same connection broke off, and only a statement that ends
// well sets that back to 0 (porsager/postgres#1181): after a statement that failed in the middle of its rows (cancelled, out of
// time, its server gone) the next one has its rows behind as many holes, and whoever takes the first one takes nothing.
import type { Sql } from './pools.ts';

type Resolve = (result: unknown) => void;

const mended = new WeakSet<object>();

/** From now on no result of the library that `sql` is of has holes. Every query sets its `resolve` when it is made. */
export function withoutHoles<S extends Sql>(sql: S): S {
  const queries = Object.getPrototypeOf(sql``) as object;
  if (mended.has(queries)) return sql;
  mended.add(queries);
  const resolves = new WeakMap<object, Resolve>();
  Object.defineProperty(queries, 'resolve', {
    get(this: object) {
      return resolves.get(this);
    },
    set(this: object, resolve: Resolve) {
      resolves.set(this, (result) => resolve(closed(result)));
    },
  });
  return sql;
}

/** They are all in front. */
function closed(result: unknown): unknown {
  if (!Array.isArray(result) || result.length === 0 || 0 in result) return result;
  let first = 1;
  while (!(first in result)) first++;
  result.splice(0, first);
  return result;
}
