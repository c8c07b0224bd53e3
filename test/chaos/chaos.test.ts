// The promise in one minute: whatever breaks, every text is answered, once, in order. `npm run chaos` is the long form.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { excerpt } from './checker.ts';
import { type RunOptions, run } from './run.ts';

async function survives(
  t: TestContext,
  place: Pick<RunOptions, 'gateways' | 'workers' | 'spool' | 'pacing'>,
): Promise<void> {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const lines: string[] = [];
  const { violations, history, rows, figures } = await run({
    ...place,
    seed,
    people: 80,
    texts: 320,
    durationMs: 10_000,
    everyMs: 450,
    grace: 'short',
    settleMs: 50_000,
    say: (line) => void lines.push(line),
  });
  t.diagnostic(`seed ${seed}: ${JSON.stringify(figures)}`);
  const [first] = violations;
  const shown = first?.person ? excerpt(first.person, history, rows) : [];
  assert.deepEqual(violations.slice(0, 10), [], [`seed ${seed}`, ...lines, ...shown].join('\n'));
  assert.equal(figures.acked, figures.texts);
  assert.ok(figures.answered > 0 && Object.keys(figures.faults).length > 0);
}

test('several gateways and workers: nothing lost, doubled, reordered or said after STOP', (t) =>
  survives(t, { gateways: 2, workers: 2, spool: false, pacing: true }));

test('one gateway with its spool: nothing lost, doubled, reordered or said after STOP', (t) =>
  survives(t, { gateways: 1, workers: 2, spool: true, pacing: false }));
