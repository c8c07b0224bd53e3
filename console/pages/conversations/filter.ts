// What of the conversations is shown, as the URL says it: so it can be sent to somebody, and the back button works.
import { isNumber } from '../../parts/format-address.ts';

const NAMES = ['state', 'since', 'until', 'slower_than', 'number', 'agent', 'q', 'in'] as const;
/** `q`: what is looked for; `in`: `texts` when it has digits and is looked for in texts all the same. */
export type Params = { readonly [Name in (typeof NAMES)[number]]?: string };

/** What the list of conversations is asked for. */
export type Filter = Omit<Params, 'q' | 'in'> & { readonly phone?: string };

/** Fewer characters stand in every text. */
const MIN_LENGTH = 2;

export function paramsOf(search: string): Params {
  const given = new URLSearchParams(search);
  // Links to somebody's number say which they mean.
  const q = given.get('q') ?? given.get('phone');
  return Object.fromEntries(
    NAMES.flatMap((name) => {
      const value = name === 'q' ? q : given.get(name);
      return value ? [[name, value]] : [];
    }),
  );
}

/** What is looked for in texts; null when it is conversations that are shown. */
export function textsOf({ q, in: where }: Params): string | null {
  if (q === undefined || q.length < MIN_LENGTH) return null;
  return where === 'texts' || !isNumber(q) ? q : null;
}

export function filterOf({ q, in: _in, ...filter }: Params): Filter {
  return q !== undefined && isNumber(q) ? { ...filter, phone: q } : filter;
}
