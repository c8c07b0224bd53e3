import { randomBytes } from 'node:crypto';

export type Random = {
  /** 32 hexadecimal digits. */
  hex(): string;
  /** In [0, 1). */
  fraction(): number;
};

/**
 * Chance for ids and delays. A seed makes a run repeatable; without one, ids are unguessable and never collide with
 * those of an earlier run, whose messages the product may still have stored.
 */
export function createRandom(seed: number | undefined): Random {
  if (seed === undefined) return { hex: () => randomBytes(16).toString('hex'), fraction: Math.random };
  let state = seed >>> 0;
  // Mulberry32: 32 bits of state, good enough for delays and ids of a test.
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const hex8 = (): string => word().toString(16).padStart(8, '0');
  return { hex: () => hex8() + hex8() + hex8() + hex8(), fraction: () => word() / 2 ** 32 };
}
