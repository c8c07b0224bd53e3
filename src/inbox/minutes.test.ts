import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMinutes, emptyMinute, MINUTE_MS, quantile, together } from './minutes.ts';

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

describe('a day in minutes', () => {
  const NOON = Date.UTC(2026, 0, 2, 12);
  /** A day of one text a minute up to the moment that is asked at, read at minutes after noon. */
  function dayAt() {
    let nowMs = 0;
    const counted: [number, number][] = [];
    const minutes = createMinutes(async (fromMs, toMs) => {
      counted.push([(fromMs - NOON) / MINUTE_MS, (toMs - NOON) / MINUTE_MS]);
      const known = new Map();
      for (let at = fromMs; at < Math.min(toMs, nowMs); at += MINUTE_MS)
        known.set(at, { ...emptyMinute(), texts_in: 1 });
      return known;
    });
    return async (minute: number) => {
      nowMs = NOON + minute * MINUTE_MS;
      counted.length = 0;
      const toMs = Math.floor(nowMs / (15 * MINUTE_MS) + 1) * 15 * MINUTE_MS;
      const all = await minutes.read(toMs - 24 * 60 * MINUTE_MS, toMs, nowMs);
      const missing = (nowMs - toMs) / MINUTE_MS + 24 * 60 - together(all.values()).texts_in;
      return { missing, counted: [...counted] };
    };
  }

  it('has every minute, whenever it was looked at before', async () => {
    for (const gone of [1, 10, 11, 15, 25, 26, 40, 70, 24 * 60]) {
      const at = dayAt();
      assert.equal((await at(5)).missing, 0);
      assert.equal((await at(5 + gone)).missing, 0, `back after ${gone} minutes`);
    }
  });

  it('counts the newest two quarters of an hour anew, and others only once in ten minutes, one at a time', async () => {
    const at = dayAt();
    await at(5);
    assert.deepEqual((await at(5.1)).counted, [[-15, 15]]);
    assert.deepEqual((await at(14)).counted, [[-15, 15]]);
    // The one that went on when it was read last is read once more after its end, though two are newer.
    assert.deepEqual((await at(31)).counted, [
      [-1395, -1380],
      [0, 45],
    ]);
    assert.deepEqual((await at(31.1)).counted, [
      [-1380, -1365],
      [15, 45],
    ]);
  });

  it('counts anew what was read under a clock that has been set back', async () => {
    const at = dayAt();
    await at(120);
    assert.equal((await at(60)).missing, 0);
  });
});
