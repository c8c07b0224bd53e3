import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGuessLimit } from './guess-limit.ts';

test('ten wrong ones, then the rest of the minute has to pass', () => {
  let nowMs = 20_500;
  const limit = createGuessLimit(() => nowMs);
  for (let n = 0; n < 10; n++) {
    assert.equal(limit.waitSeconds('10.0.0.1', `wrong ${n}`), 0);
    limit.noteWrong('10.0.0.1', `wrong ${n}`);
  }
  assert.equal(limit.waitSeconds('10.0.0.1', 'another'), 40);
  assert.equal(limit.waitSeconds('10.0.0.2', 'another'), 0);
  nowMs = 60_000;
  assert.equal(limit.waitSeconds('10.0.0.1', 'another'), 0);
});

test('who was right before is not locked out by others at the same address, until they are wrong', () => {
  const limit = createGuessLimit(() => 0);
  limit.noteRight('mine');
  for (let n = 0; n < 10; n++) limit.noteWrong('10.0.0.1', `wrong ${n}`);
  assert.equal(limit.waitSeconds('10.0.0.1', 'mine'), 0);
  assert.equal(limit.waitSeconds('10.0.0.1', 'yours'), 60);
  limit.noteWrong('10.0.0.1', 'mine');
  assert.equal(limit.waitSeconds('10.0.0.1', 'mine'), 60);
});

test('what was wrong a moment ago is known to be, until the minute is over', () => {
  let nowMs = 0;
  const limit = createGuessLimit(() => nowMs);
  limit.noteWrong('10.0.0.1', 'old');
  assert.deepEqual([limit.isKnownWrong('old'), limit.isKnownWrong('new')], [true, false]);
  nowMs = 60_000;
  assert.equal(limit.isKnownWrong('old'), false);
});

test('all addresses of one IPv6 network are one guesser', () => {
  const limit = createGuessLimit(() => 0);
  for (let n = 0; n < 10; n++) limit.noteWrong(`2001:db8:1:2::${n}`, `wrong ${n}`);
  assert.equal(limit.waitSeconds('2001:db8:1:2:ffff::1'), 60);
  assert.equal(limit.waitSeconds('2001:db8:1:3::1'), 0);
  for (let n = 0; n < 10; n++) limit.noteWrong('::ffff:10.0.0.1', `wrong ${n}`);
  assert.equal(limit.waitSeconds('10.0.0.1'), 60);
});
