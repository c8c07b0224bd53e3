import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow } from '../clock.ts';
import { notBefore } from './not-before.ts';

test('Retry-After counts by the clock of the database, whatever time this machine believes it is', (t) => {
  t.mock.method(performance, 'now', () => 0);
  follow(new Date('2001-02-03T12:00:00Z'));
  const { message, facts } = notBefore('quiet_hours', new Date('2001-02-03T12:01:30Z'), 'sent');
  assert.equal(facts.retryAfterSeconds, 90);
  assert.match(message, /2001-02-03T12:01:30.000Z; nothing was sent\.$/);
  const over = notBefore('sender_busy', new Date('2001-02-03T11:59:59Z'), 'charged');
  assert.equal(over.facts.retryAfterSeconds, 1);
});
