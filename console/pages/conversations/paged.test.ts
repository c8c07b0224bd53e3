import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Paged, withHead, withItem, withOlder } from './paged.ts';

type Item = { readonly id: string; readonly order: string; readonly word?: string };
const ACCESS = { id: (item: Item) => item.id, order: (item: Item) => item.order };
const PAGE = 4;
const orderOf = (n: number) => String(n).padStart(6, '0');

/** A server's list: what is touched moves to the front, as a conversation does with each text. */
function server() {
  let items: Item[] = [];
  let clock = 0;
  return {
    touch(id: string) {
      items = [{ id, order: orderOf(++clock) }, ...items.filter((item) => item.id !== id)];
    },
    page(cursor: string | null) {
      const rest = cursor === null ? items : items.filter(({ order }) => order < cursor);
      const data = rest.slice(0, PAGE);
      return { data, next_cursor: rest.length > PAGE ? data.at(-1)!.order : null };
    },
    items: () => items,
  };
}

test('however it moves and whatever is loaded, the list is the server’s, without holes and repetitions', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.nat(30).map((n) => ({ what: 'touch' as const, id: `c${n}` })) },
    { weight: 2, arbitrary: fc.constant({ what: 'head' as const }) },
    { weight: 2, arbitrary: fc.constant({ what: 'older' as const }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const list = server();
      for (let n = 0; n < 12; n++) list.touch(`c${n}`);
      let loaded: Paged<Item> = withHead<Item>(undefined, list.page(null), ACCESS);
      for (const each of steps) {
        if (each.what === 'touch') list.touch(each.id);
        else if (each.what === 'head') loaded = withHead(loaded, list.page(null), ACCESS);
        else if (loaded.cursor !== null) loaded = withOlder(loaded, list.page(loaded.cursor), ACCESS);
      }
      loaded = withHead(loaded, list.page(null), ACCESS);
      const ids = loaded.items.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      assert.deepEqual(
        loaded.items.map(({ order }) => order),
        loaded.items
          .map(({ order }) => order)
          .toSorted()
          .reverse(),
      );
      // What the head covers is exactly what the server has; below it nothing is older than it should be.
      assert.deepEqual(loaded.items.slice(0, PAGE), list.items().slice(0, PAGE));
      if (loaded.cursor === null) assert.equal(loaded.items.length, list.items().length);
    }),
    { numRuns: 300 },
  );
});

test('one that left the filter leaves the list', () => {
  const old = { items: [4, 3, 2, 1].map((n) => ({ id: `c${n}`, order: orderOf(n) })), cursor: orderOf(1) };
  const head = { data: [4, 2].map((n) => ({ id: `c${n}`, order: orderOf(n) })), next_cursor: orderOf(2) };
  assert.deepEqual(
    withHead(old, head, ACCESS).items.map(({ id }) => id),
    ['c4', 'c2', 'c1'],
  );
});

test('without overlap nothing of the old remains: what is between them is unknown', () => {
  const old = { items: [{ id: 'c1', order: orderOf(1) }], cursor: null };
  const head = { data: [9, 8].map((n) => ({ id: `c${n}`, order: orderOf(n) })), next_cursor: orderOf(8) };
  assert.deepEqual(withHead(old, head, ACCESS), { items: head.data, cursor: head.next_cursor });
});

test('one item read anew stays in its place', () => {
  const old = { items: [2, 1].map((n) => ({ id: `c${n}`, order: orderOf(n) })), cursor: null };
  const next = withItem(old, { id: 'c1', order: orderOf(1), word: 'new' }, ACCESS);
  assert.equal(next.items[1]!.word, 'new');
});
