import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createRing } from './ring.ts';

describe('a ring', () => {
  it('gives what came after a number, in order, as long as it has all of it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.nat({ max: 60 }),
        fc.integer({ min: 0, max: 70 }),
        (size, many, n) => {
          const ring = createRing<string>(size);
          for (let k = 1; k <= many; k++) assert.equal(ring.push(`item ${k}`), k);
          const expected =
            n > many || n < many - size
              ? null
              : Array.from({ length: many - n }, (_, k) => [n + k + 1, `item ${n + k + 1}`]);
          assert.deepEqual(ring.after(n), expected);
        },
      ),
    );
  });

  it('begins anew when it is cleared', () => {
    const ring = createRing<string>(3);
    ring.push('before');
    ring.clear();
    assert.equal(ring.after(1), null);
    assert.equal(ring.push('after'), 1);
    assert.deepEqual(ring.after(0), [[1, 'after']]);
  });
});
