import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration } from './duration.ts';

test('a duration is said in the unit that fits, and never as 60 of a smaller one', () => {
  const said = [0.2, 4, 999.4, 999.6, 2_400, 9_949, 9_951, 59_499, 59_600, 119_700, 200_000, 7_500_000].map(duration);
  assert.deepEqual(said, [
    '<1 ms',
    '4 ms',
    '999 ms',
    '1.0 s',
    '2.4 s',
    '9.9 s',
    '10 s',
    '59 s',
    '1 min',
    '2 min',
    '3 min 20 s',
    '2 h 5 min',
  ]);
});
