import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scaleOf, type Timed } from './time-scale.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const span = (shape: Timed['shape'], from: number, to: number | null): Timed => ({
  shape,
  started_at: new Date(START + from).toISOString(),
  ended_at: to === null ? null : new Date(START + to).toISOString(),
});

test('work keeps its proportions', () => {
  const { at, cuts } = scaleOf([span('work', 0, 100), span('work', 100, 400)], START + 400);
  assert.equal(at(START + 100), 25);
  assert.deepEqual(cuts, []);
});

test('an hour of waiting leaves room for three milliseconds of work, and says where it was cut', () => {
  const { at, cuts } = scaleOf([span('work', 0, 3), span('wait', 3, 3_600_003), span('work', 3_600_003, 3_600_100)], 0);
  assert.ok(at(START + 3) - at(START) > 1);
  assert.equal(cuts.length, 1);
  assert.ok(cuts[0]! > at(START + 3) && cuts[0]! < at(START + 3_600_003));
});

test('what goes on reaches to now', () => {
  const { at } = scaleOf([span('work', 0, 50), span('work', 50, null)], START + 200);
  assert.equal(at(START + 200), 100);
});

test('later is never further left, and nothing leaves the line', () => {
  const spans = fc.array(
    fc.record({
      shape: fc.constantFrom<Timed['shape']>('work', 'wait', 'point'),
      from: fc.nat(5_000_000),
      length: fc.nat(1_000_000),
    }),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(spans, fc.array(fc.nat(6_000_000), { minLength: 2 }), (given, moments) => {
      const { at } = scaleOf(
        given.map(({ shape, from, length }) => span(shape, from, from + length)),
        START + 6_000_000,
      );
      const places = moments.sort((a, b) => a - b).map((ms) => at(START + ms));
      assert.ok(places.every((place) => place >= 0 && place <= 100));
      assert.deepEqual(
        places,
        places.toSorted((a, b) => a - b),
      );
    }),
  );
});
