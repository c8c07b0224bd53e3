import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QueryObserver } from '@tanstack/react-query';
import { until } from '../test/support/until.ts';
import { queryClient, refreshSoon } from './refresh.ts';

/** A query that is on a page, whose readings end when the test says so, each with what was true when it began. */
function shown(t: { after(done: () => void): void }, queryKey: readonly string[]) {
  let truth = 'before';
  const readings: (() => void)[] = [];
  const observer = new QueryObserver(queryClient, {
    queryKey,
    queryFn: () => {
      const read = truth;
      return new Promise<string>((resolve) => readings.push(() => resolve(read)));
    },
  });
  t.after(observer.subscribe(() => {}));
  t.after(() => queryClient.clear());
  return {
    readings,
    /** Something happens, and the stream says so. */
    change(to: string) {
      truth = to;
      refreshSoon(queryKey);
    },
    value: () => observer.getCurrentResult().data,
  };
}

describe('reading again what changed', () => {
  it('does not take an answer that was asked for before the change for one that knows it', async (t) => {
    const page = shown(t, ['conversation', '1']);
    page.change('after');
    page.readings[0]!();
    await until(() => page.value() === 'before');
    await until(() => page.readings.length === 2, { what: 'a second reading' });
    page.readings[1]!();
    await until(() => page.value() === 'after');
  });

  it('reads once for many changes that come while it waits', async (t) => {
    const page = shown(t, ['conversation', '2']);
    page.readings[0]!();
    await until(() => page.value() === 'before');
    for (let n = 0; n < 100; n++) page.change(`change ${n}`);
    await until(() => page.readings.length === 2);
    page.readings[1]!();
    await until(() => page.value() === 'change 0' || page.value() === 'change 99');
    await until(() => page.readings.length === 3);
    page.readings[2]!();
    await until(() => page.value() === 'change 99');
    assert.equal(page.readings.length, 3);
  });
});
