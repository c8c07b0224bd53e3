// A run can be made again: what goes wrong and what people say follows from the seed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planOf } from './crowd.ts';
import { type FaultName, KINDS, scheduleOf, type Targets } from './schedule.ts';

const targets: Targets = {
  processes: ['gateway 1', 'worker 1'],
  databaseWires: ['database of gateway 1', 'database of worker 1'],
  agents: ['agent one', 'agent two', 'agent three'],
};
const MINUTE = 60_000;

describe('the schedule', () => {
  it('is the same for the same seed and another for another', () => {
    assert.deepEqual(scheduleOf(1, targets, MINUTE, 500), scheduleOf(1, targets, MINUTE, 500));
    assert.notDeepEqual(scheduleOf(1, targets, MINUTE, 500), scheduleOf(2, targets, MINUTE, 500));
  });

  it('does one thing at a time to each target, and all is over at the end', () => {
    for (let seed = 0; seed < 50; seed++) {
      const free = new Map<string, number>();
      for (const { target, atMs, forMs } of scheduleOf(seed, targets, MINUTE, 300)) {
        assert.ok(atMs >= (free.get(target) ?? 0));
        assert.ok(atMs + forMs <= MINUTE);
        free.set(target, atMs + forMs);
      }
    }
  });

  it('comes to every fault', () => {
    const seen = new Set<FaultName>();
    for (let seed = 0; seed < 50; seed++)
      for (const { fault } of scheduleOf(seed, targets, MINUTE, 500)) seen.add(fault);
    assert.deepEqual([...seen].sort(), Object.keys(KINDS).sort());
  });
});

describe('the crowd', () => {
  const options = { people: 200, texts: 1_001, durationMs: MINUTE, numbers: [], webhookUrl: '', account: null! };

  it('says the same for the same seed', () => {
    assert.deepEqual(planOf({ ...options, seed: 1 }), planOf({ ...options, seed: 1 }));
    assert.notDeepEqual(planOf({ ...options, seed: 1 }), planOf({ ...options, seed: 2 }));
  });

  it('says as many texts as it was told, each with a word of its own, and some keywords', () => {
    const said = planOf({ ...options, seed: 1 }).flat();
    const texts = said.filter(({ kind }) => kind === 'text').map(({ body }) => body);
    assert.equal(texts.length, 1_001);
    assert.equal(new Set(texts).size, 1_001);
    for (const kind of ['stop', 'start', 'info'])
      assert.ok(
        said.some((one) => one.kind === kind),
        kind,
      );
  });
});
