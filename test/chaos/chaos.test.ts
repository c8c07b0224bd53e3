// The promise in one minute: whatever breaks, every text is answered, once, in order. `npm run chaos` is the long form.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { excerpt } from './checker.ts';
import { run } from './run.ts';

test('a minute of faults on every process and wire: nothing lost, doubled, reordered or said after STOP', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const lines: string[] = [];
  const { violations, history, rows, figures } = await run({
    seed,
    people: 100,
    texts: 800,
    durationMs: 25_000,
    everyMs: 700,
    gateways: 2,
    workers: 2,
    grace: 'short',
    settleMs: 40_000,
    say: (line) => void lines.push(line),
  });
  t.diagnostic(`seed ${seed}: ${JSON.stringify(figures)}`);
  const [first] = violations;
  const shown = first?.person ? excerpt(first.person, history, rows) : [];
  assert.deepEqual(violations.slice(0, 10), [], [`seed ${seed}`, ...lines, ...shown].join('\n'));
  assert.equal(figures.acked, figures.texts);
  assert.ok(figures.answered > 0 && figures.restarts > 0);
});
