import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percent, rate } from './numbers.ts';

test('a share is never said to be none or all of what it is part of', () => {
  const cases: [number, string][] = [
    [0, '0 %'],
    [1 / 2_000, '<0.1 %'],
    [0.001, '0.1 %'],
    [0.0567, '5.6 %'],
    [1_999 / 2_000, '99.9 %'],
    [1, '100 %'],
  ];
  for (const [share, said] of cases) assert.equal(percent(share), said);
});

test('how many come, in the time that fits them', () => {
  const cases: [number, number, string][] = [
    [0, 60, 'none'],
    [1, 24 * 60, 'less than 1 an hour'],
    [24, 24 * 60, '1 an hour'],
    [1, 60, '1 an hour'],
    [90, 60, '90 an hour'],
    [6_000, 60, '100 a minute'],
  ];
  for (const [count, minutes, said] of cases) assert.equal(rate(count, minutes), said);
});
