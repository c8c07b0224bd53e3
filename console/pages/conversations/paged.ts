// A list whose newest page moves while somebody reads further down: reading the head again replaces exactly what the head
// covers, and leaves what was loaded below it.

export type Paged<T> = {
  /** Newest first. */
  readonly items: readonly T[];
  /** Where the next older page begins; null at the end. */
  readonly cursor: string | null;
};

type Page<T> = { readonly data: readonly T[]; readonly next_cursor: string | null };
type Access<T> = {
  readonly id: (item: T) => string;
  /** What orders the list, newest highest; ids of ours sort by time. */
  readonly order: (item: T) => string;
};

/**
 * What was loaded, with a newer head. Unless the head reaches down to where the old list began, there may be more in between
 * than it holds, and only the head remains.
 */
export function withHead<T>(old: Paged<T> | undefined, head: Page<T>, { id, order }: Access<T>): Paged<T> {
  const last = head.data.at(-1);
  const top = old?.items[0];
  const isWhole = head.next_cursor === null || last === undefined;
  if (isWhole || top === undefined || order(top) < order(last)) return { items: head.data, cursor: head.next_cursor };
  const isInHead = new Set(head.data.map(id));
  const below = old!.items.filter((item) => order(item) < order(last) && !isInHead.has(id(item)));
  if (below.length === 0) return { items: head.data, cursor: head.next_cursor };
  return { items: [...head.data, ...below], cursor: old!.cursor };
}

/** With one more page at the end; what the list has already is not repeated. */
export function withOlder<T>(old: Paged<T>, page: Page<T>, { id }: Access<T>): Paged<T> {
  const known = new Set(old.items.map(id));
  return { items: [...old.items, ...page.data.filter((item) => !known.has(id(item)))], cursor: page.next_cursor };
}

/** With one item read anew, in its place. */
export function withItem<T>(old: Paged<T>, item: T, { id }: Access<T>): Paged<T> {
  return { ...old, items: old.items.map((each) => (id(each) === id(item) ? item : each)) };
}
