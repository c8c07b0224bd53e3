import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { FaultRequest, faultsWire, MixRequest, ScriptRequest } from './fault-request.ts';
import { createFaults } from './fault-rules.ts';
import { createScripts } from './fault-script.ts';
import type { FaultPlan, Faults } from './faults.ts';
import { createTimers } from './timers.ts';

const A = '+15557770001';
const B = '+15557770002';
const OURS = '+15550001111';

const text = (faults: Faults, from: string, body = 'x') => faults.subject('text', { from, to: OURS, body });

/** Which of this person's first texts a fault happens to. */
function chosen(plan: FaultPlan, seed: number, order: readonly string[]): string[] {
  const faults = createFaults();
  faults.mix(seed, plan);
  return order.flatMap((from, n) => {
    const nth = order.slice(0, n + 1).filter((other) => other === from).length;
    return faults.take('duplicateWebhooks', text(faults, from)) === null ? [] : [`${from} ${nth}`];
  });
}

test('a fault happens as often as asked', () => {
  const faults = createFaults();
  faults.set({ http429: 2 });
  faults.set({ missingCallbacks: 1 });
  assert.deepEqual(
    [1, 2, 3].map(() => faults.take('http429') !== null),
    [true, true, false],
  );
  assert.equal(faults.pending().missingCallbacks, 1);
  faults.clear();
  assert.equal(faults.take('missingCallbacks'), null);
});

test('a rule without a count happens once, and gives its details', () => {
  const faults = createFaults();
  faults.set({ http429: { retryAfterSeconds: null }, failWith: { code: 30_003 } });
  assert.deepEqual(faults.take('http429'), { retryAfterSeconds: null });
  assert.equal(faults.take('http429'), null);
  assert.equal(faults.take('failWith')?.code, 30_003);
});

test('a match narrows a fault, and the first rule that fits happens', () => {
  const faults = createFaults();
  faults.set({
    failWith: [
      { code: 30_003, match: { from: A } },
      { code: 30_007, match: { body: 'win' } },
    ],
  });
  assert.equal(faults.take('failWith', text(faults, B)), null);
  assert.equal(faults.take('failWith', text(faults, B, 'you win!'))?.code, 30_007);
  assert.equal(faults.take('failWith', text(faults, A, 'you win!'))?.code, 30_003);
  assert.equal(faults.pending().failWith, 0);
});

test('a fault for a time ends with it', () => {
  mock.timers.enable({ apis: ['Date'] });
  try {
    const faults = createFaults();
    faults.set({ http429: { forMs: 1000 } });
    assert.equal(faults.pending().http429, Number.POSITIVE_INFINITY);
    mock.timers.tick(999);
    assert.notEqual(faults.take('http429'), null);
    mock.timers.tick(1);
    assert.equal(faults.take('http429'), null);
    assert.equal(faults.pending().http429, 0);
  } finally {
    mock.timers.reset();
  }
});

test('a seed chooses the same texts of each person however they are mixed with those of others', () => {
  const people = fc.array(fc.constantFrom(A, B), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(people, fc.nat(), (order, seed) => {
      const plan = { duplicateWebhooks: 0.5 };
      const mixed = chosen(plan, seed, order);
      const apart = chosen(plan, seed, [...order].sort());
      assert.deepEqual(mixed.sort(), apart.sort());
    }),
  );
});

test('a ratio is met, another seed chooses others, and a count ends it', () => {
  const order = Array.from({ length: 10_000 }, (_, n) => (n % 2 === 0 ? A : B));
  const some = chosen({ duplicateWebhooks: 0.1 }, 1, order);
  assert.ok(some.length > 800 && some.length < 1200, `${some.length} of 10,000 at 10 %`);
  assert.notDeepEqual(some, chosen({ duplicateWebhooks: 0.1 }, 2, order));
  assert.deepEqual(chosen({ duplicateWebhooks: { ratio: 0.1, count: 5 } }, 1, order), some.slice(0, 5));
});

test('a script begins its steps at its texts, requests and times, and clear ends it', () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  try {
    const scripts = createScripts(createTimers());
    const faults = createFaults({ onSubject: scripts.onSubject, onClear: scripts.stop });
    scripts.play(
      {
        seed: 3,
        steps: [
          { atText: 2, fault: 'duplicateWebhooks', copies: 3 },
          { atCreate: 1, fault: 'http429', count: 2 },
          { atMs: 500, fault: 'http401' },
          { atMs: 900, fault: 'cutAnswer' },
        ],
      },
      faults,
    );
    assert.equal(faults.take('duplicateWebhooks', text(faults, A)), null);
    assert.deepEqual(faults.take('duplicateWebhooks', text(faults, A)), { copies: 3 });
    faults.subject('create', { from: OURS, to: A, body: 'x' });
    assert.equal(faults.pending().http429, 2);
    assert.equal(faults.pending().http401, 0);
    mock.timers.tick(500);
    assert.equal(faults.pending().http401, 1);
    faults.clear();
    mock.timers.tick(500);
    assert.equal(faults.pending().cutAnswer, 0);
  } finally {
    mock.timers.reset();
  }
});

test('the wire form has the same names in snake_case', () => {
  const plan = FaultRequest.parse({
    http_500_before_accept: 2,
    http_429: { for_ms: 100, retry_after_seconds: null },
    fail_with: [{ code: 30_003, ratio: 0.5, match: { to: A } }],
  });
  assert.deepEqual(plan, {
    http500BeforeAccept: [{ count: 2 }],
    http429: [{ forMs: 100, retryAfterSeconds: null }],
    failWith: [{ code: 30_003, ratio: 0.5, match: { to: A } }],
  });
  assert.deepEqual(
    MixRequest.parse({ seed: 7, ratios: { late_in_list: 0.25, slow_answer: { ratio: 0.5, over_ms: 10 } } }),
    {
      seed: 7,
      ratios: { lateInList: [{ ratio: 0.25 }], slowAnswer: [{ ratio: 0.5, overMs: 10 }] },
    },
  );
  assert.deepEqual(ScriptRequest.parse({ steps: [{ at_text: 2, fault: 'http_429', count: 3 }] }), {
    steps: [{ atText: 2, fault: 'http429', count: 3 }],
  });
  const faults = createFaults();
  faults.set(plan);
  const wire = faultsWire(faults) as Record<string, { left: number | null }>;
  assert.deepEqual([wire.http_500_before_accept?.left, wire.http_429?.left, wire.http_401?.left], [2, null, 0]);
});

test('what is wrong with a request is named', () => {
  const problem = (schema: typeof FaultRequest | typeof ScriptRequest, value: unknown) => {
    const issue = schema.safeParse(value).error?.issues[0];
    return `${issue?.path.join('.')}: ${issue?.code}`;
  };
  assert.equal(problem(FaultRequest, { http_429: { cout: 1 } }), 'http_429.0: unrecognized_keys');
  assert.equal(problem(FaultRequest, { http_428: 1 }), ': unrecognized_keys');
  assert.equal(problem(FaultRequest, { fail_with: 1 }), 'fail_with.0.code: invalid_type');
  assert.equal(problem(FaultRequest, { late_webhooks: { ratio: 2 } }), 'late_webhooks.0.ratio: too_big');
  assert.equal(problem(ScriptRequest, { steps: [{ fault: 'http_429' }] }), 'steps.0: custom');
  assert.equal(problem(ScriptRequest, { steps: [{ fault: 'http_428', at_ms: 1 }] }), 'steps.0.fault: invalid_union');
});

test('the guide names every fault, and its examples are right', () => {
  const guide = readFileSync(new URL('../../../docs/guide/simulator.md', import.meta.url), 'utf8');
  const rows = [...guide.matchAll(/^\| `([a-z0-9_]+)` \|/gm)].map((match) => match[1]!);
  const names = Object.keys(faultsWire(createFaults()));
  assert.deepEqual(rows.filter((name) => names.includes(name)).toSorted(), names.toSorted());
  const schemas = { faults: FaultRequest, mix: MixRequest, script: ScriptRequest };
  const examples = [...guide.matchAll(/\/simulator\/(faults|mix|script) -H [^{]*-d '(\{[^']*\})'/g)];
  assert.deepEqual(
    examples.map((match) => match[1]),
    ['faults', 'mix', 'script'],
  );
  for (const [, which, body] of examples) schemas[which as keyof typeof schemas].parse(JSON.parse(body!));
});
