import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { emptyMinute, quantile, together } from './minutes.ts';

describe('counts of minutes', () => {
  it('add up, times of answers included', () => {
    const minute = (texts: number, answers: [number, number][]) => ({
      ...emptyMinute(),
      texts_in: texts,
      answers: new Map(answers),
    });
    const sum = together([
      minute(2, [[10, 1]]),
      minute(3, [
        [10, 2],
        [20, 1],
      ]),
    ]);
    assert.equal(sum.texts_in, 5);
    assert.deepEqual(
      [...sum.answers],
      [
        [10, 3],
        [20, 1],
      ],
    );
  });

  it('give percentiles right to 2 %, and none of nothing', () => {
    const bucket = (ms: number) => Math.ceil(Math.log(ms) / Math.log(1.04));
    const times = Array.from({ length: 1_000 }, (_, n) => 10 * (n + 1));
    const answers = new Map<number, number>();
    for (const ms of times) answers.set(bucket(ms), (answers.get(bucket(ms)) ?? 0) + 1);
    for (const [share, right] of [
      [0.5, 5_000],
      [0.95, 9_500],
      [0.99, 9_900],
    ] as const) {
      const given = quantile(answers, share)!;
      assert.ok(Math.abs(given / right - 1) < 0.021, `${given} for ${right}`);
    }
    assert.equal(quantile(new Map(), 0.5), null);
  });
});
