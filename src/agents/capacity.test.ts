import assert from 'node:assert/strict';
import { test } from 'node:test';
import { someAgent } from '../../test/support/some-agent.ts';
import { takeWithin } from './capacity.ts';

test('an operator’s call takes a place that becomes free while it waits, waits no longer than it may, and not when it is cut off', async () => {
  const stop = new AbortController();
  const place = { leave() {} };
  const waits: number[] = [];
  let looks = 0;
  const full = {
    take: async () => (++looks === 3 ? place : null),
    async roomAt(_agents: ReadonlySet<string>, ms: number) {
      waits.push(ms);
    },
  };
  const take = (ms: number) => takeWithin(full, someAgent('a'), ms, stop.signal);
  assert.equal(await take(10_000), place);
  assert.deepEqual([looks, waits.splice(0)], [3, [250, 250]]);
  assert.equal(await take(600), null);
  assert.deepEqual(waits.splice(0), [250, 250, 100]);
  stop.abort();
  assert.equal(await take(10_000), null);
  assert.deepEqual(waits, []);
});
