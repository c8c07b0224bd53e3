import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createSlots, SlotsClosed } from './slots.ts';

describe('slots', () => {
  test('never run more than there are, and everything in its turn', async () => {
    const scene = fc.record({ size: fc.integer({ min: 1, max: 4 }), fails: fc.array(fc.boolean(), { maxLength: 30 }) });
    await fc.assert(
      fc.asyncProperty(scene, fc.scheduler(), async ({ size, fails }, scheduler) => {
        const slots = createSlots(size);
        const begun: number[] = [];
        let running = 0;
        const all = fails.map((fail, n) =>
          slots.run(async () => {
            begun.push(n);
            running += 1;
            assert.ok(running <= size);
            await scheduler.schedule(Promise.resolve());
            running -= 1;
            if (fail) throw new Error('broke');
            return n;
          }),
        );
        const ended = Promise.allSettled(all);
        await scheduler.waitFor(ended);
        assert.deepEqual(
          begun,
          fails.map((_, n) => n),
        );
        assert.deepEqual(
          (await ended).map(({ status }) => status),
          fails.map((fail) => (fail ? 'rejected' : 'fulfilled')),
        );
      }),
    );
  });

  test('once closed, what waits is refused and what runs ends', async () => {
    const slots = createSlots(1);
    const gate = Promise.withResolvers<string>();
    const running = slots.run(() => gate.promise);
    const waiting = assert.rejects(
      slots.run(async () => 'never'),
      SlotsClosed,
    );
    slots.close();
    await waiting;
    await assert.rejects(
      slots.run(async () => 'never'),
      SlotsClosed,
    );
    gate.resolve('done');
    assert.equal(await running, 'done');
  });
});
