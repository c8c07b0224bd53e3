import assert from 'node:assert/strict';
import { test } from 'node:test';
import codes from './error-codes.json' with { type: 'json' };
import { explainErrorCode } from './error-codes.ts';

test('every entry of the table is usable', () => {
  const entries = Object.keys(codes);
  assert.ok(entries.length > 60);
  assert.deepEqual(entries, [...entries].sort(), 'in order, so that a code is found by eye');
  for (const code of entries) {
    const facts = explainErrorCode(code);
    assert.ok(facts, code);
    assert.match(code, /^\d{5}$/);
    assert.ok(['no', 'later', 'amb', 'cfg'].includes(facts.action), code);
    assert.match(facts.meaning, /^[A-Z].{15,}\.$/, code);
    const known = ['action', 'meaning', 'afterMs', 'optedOut'];
    assert.deepEqual(
      Object.keys(facts).filter((key) => !known.includes(key)),
      [],
      code,
    );
    if (facts.action === 'later') assert.ok(facts.afterMs, `${code} says later but not when`);
    if (facts.action === 'no' || facts.action === 'amb') assert.equal(facts.afterMs, undefined, code);
  }
});

test('opting out is one code, and unknown codes are not invented', () => {
  assert.deepEqual(
    Object.keys(codes).filter((code) => explainErrorCode(code)?.optedOut),
    ['21610'],
  );
  assert.equal(explainErrorCode('99999'), null);
  assert.equal(explainErrorCode('constructor'), null);
});
