import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { microBatch } from './micro-batch.ts';

const refuse = () => new Error('full');

/** A batcher whose flushes are settled by hand. */
function controlled(
  options: { maxSize?: number; flights?: number; maxWaiting?: number; nameOf?(item: number): string } = {},
) {
  const flushes: { items: readonly number[]; resolve: () => void; reject: (error: unknown) => void }[] = [];
  const batch = microBatch<number, string>({
    maxSize: options.maxSize ?? 10,
    flights: options.flights ?? 1,
    maxWaiting: options.maxWaiting ?? 100,
    ...(options.nameOf && { nameOf: options.nameOf }),
    flush: (items) =>
      new Promise((resolve, reject) => {
        flushes.push({ items, resolve: () => resolve(items.map((item) => `r${item}`)), reject });
      }),
    refuse,
  });
  return { batch, flushes };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a micro-batch', () => {
  test('gives each caller its own result', async () => {
    const batch = microBatch<number, string>({
      maxSize: 3,
      flights: 2,
      maxWaiting: 100,
      flush: async (items) => items.map((item) => `r${item}`),
      refuse,
    });
    const results = await Promise.all(Array.from({ length: 20 }, (_, n) => batch.add(n)));
    assert.deepEqual(
      results,
      Array.from({ length: 20 }, (_, n) => `r${n}`),
    );
    assert.equal(batch.size, 0);
  });

  test('lets no item overtake one of the same name that is in flight, and holds up no others for it', async () => {
    const { batch, flushes } = controlled({ flights: 2, maxSize: 2, nameOf: (item) => String(item % 10) });
    const flown = () => flushes.map((flush) => flush.items);
    const all = [batch.add(1), batch.add(2)];
    await turn();
    for (const item of [11, 12, 3, 21, 4, 5]) all.push(batch.add(item));
    await turn();
    assert.deepEqual(flown(), [
      [1, 2],
      [3, 4],
    ]);
    flushes[1]!.resolve();
    await all[4];
    await turn();
    await turn();
    assert.deepEqual(flown().slice(2), [[5]]);
    flushes[2]!.resolve();
    await all[7];
    await turn();
    assert.equal(flushes.length, 3, 'those that stay are not an empty batch');
    flushes[0]!.reject(new Error('broken'));
    await Promise.all([assert.rejects(all[0]!), assert.rejects(all[1]!)]);
    await turn();
    await turn();
    assert.deepEqual(flown().slice(3), [[11, 12]]);
    flushes[3]!.resolve();
    await turn();
    await turn();
    assert.deepEqual(flown().slice(4), [[21]]);
    flushes[4]!.resolve();
    await Promise.all(all.slice(2));
    assert.equal(batch.size, 0);
  });

  test('takes whoever waits into the next flight, in order and up to its size', async () => {
    const { batch, flushes } = controlled({ maxSize: 3 });
    const first = batch.add(1);
    await turn();
    const rest = [2, 3, 4, 5].map((item) => batch.add(item));
    await turn();
    assert.deepEqual(
      flushes.map((flush) => flush.items),
      [[1]],
    );
    assert.equal(batch.size, 5);
    flushes[0]!.resolve();
    await first;
    await turn();
    await turn();
    assert.deepEqual(flushes[1]?.items, [2, 3, 4]);
    flushes[1]!.resolve();
    await rest[0];
    await turn();
    await turn();
    flushes[2]!.resolve();
    assert.deepEqual(await Promise.all(rest), ['r2', 'r3', 'r4', 'r5']);
  });

  test('has no more flights under way than it may', async () => {
    const { batch, flushes } = controlled({ maxSize: 1, flights: 2 });
    const all = [1, 2, 3].map((item) => batch.add(item));
    await turn();
    assert.equal(flushes.length, 2);
    flushes[0]!.resolve();
    await all[0];
    await turn();
    await turn();
    assert.equal(flushes.length, 3);
    flushes[1]!.resolve();
    flushes[2]!.resolve();
    await Promise.all(all);
  });

  test('tries the items one by one when one of them may have broken the batch', async () => {
    const batch = microBatch<number, number>({
      maxSize: 10,
      flights: 1,
      maxWaiting: 100,
      flush: async (items) => {
        if (items.includes(3)) throw Object.assign(new Error('bad value'), { code: '22P02' });
        return items.map((item) => item * 10);
      },
      isItemFault: () => true,
      refuse,
    });
    const results = await Promise.allSettled([1, 2, 3, 4].map((item) => batch.add(item)));
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed')),
      [10, 20, 'failed', 40],
    );
  });

  test('fails all of a batch for a fault that no item caused', async () => {
    let flushes = 0;
    const batch = microBatch<number, number>({
      maxSize: 10,
      flights: 1,
      maxWaiting: 100,
      flush: async () => {
        flushes++;
        throw new Error('the database is away');
      },
      isItemFault: () => false,
      refuse,
    });
    const results = await Promise.allSettled([1, 2].map((item) => batch.add(item)));
    assert.deepEqual(
      results.map((result) => result.status),
      ['rejected', 'rejected'],
    );
    assert.equal(flushes, 1);
  });

  test('does a batch again that the server rolled back for the sake of others', async () => {
    let flushes = 0;
    const batch = microBatch<number, number>({
      maxSize: 10,
      flights: 1,
      maxWaiting: 100,
      flush: async (items) => {
        flushes++;
        if (flushes < 3) throw Object.assign(new Error('deadlock detected'), { code: '40P01' });
        return [...items];
      },
      refuse,
    });
    assert.equal(await batch.add(7), 7);
    assert.equal(flushes, 3);
  });

  test('refuses at once what would fill the memory', async () => {
    const { batch, flushes } = controlled({ maxWaiting: 2 });
    const first = batch.add(1);
    await turn();
    const waiting = [batch.add(2), batch.add(3)];
    await assert.rejects(batch.add(4), /full/);
    flushes[0]!.resolve();
    await first;
    await turn();
    await turn();
    flushes[1]!.resolve();
    await Promise.all(waiting);
  });

  test('that lingers leaves together with what comes meanwhile', async () => {
    const sizes: number[] = [];
    const batch = microBatch<number, number>({
      maxSize: 10,
      flights: 1,
      maxWaiting: 100,
      lingerMs: 20,
      flush: async (items) => {
        sizes.push(items.length);
        return [...items];
      },
      refuse,
    });
    const first = batch.add(1);
    await turn();
    await Promise.all([first, batch.add(2), batch.add(3)]);
    assert.deepEqual(sizes, [3]);
  });
});
