import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PhoneEvent } from './phone-line.ts';
import { watchForReply } from './reply-watch.ts';

const PHONE = '+15557770001';

const event = (type: PhoneEvent['type'], sid: string, status: string): PhoneEvent => ({
  ...{ type, sid, status, from: '+15550001111', to: PHONE, body: 'reply', segments: 1, at: '2026-01-01T00:00:00Z' },
});

test('what becomes of a reply to an earlier text is no end of this one', async () => {
  const watch = watchForReply(PHONE, 60_000, 1);
  watch.see(event('status', 'earlier', 'undelivered'));
  watch.see(event('status', 'earlier', 'delivered'));
  // Longer than it takes for the last part, when there was one.
  await new Promise((resolve) => setTimeout(resolve, 20));
  watch.see(event('text-out', 'mine', 'queued'));
  watch.see(event('status', 'mine', 'delivered'));
  assert.deepEqual(await watch.outcome, { kind: 'answered' });
});

test('a reply of this text that does not arrive is said to be undelivered', async () => {
  const watch = watchForReply(PHONE, 60_000, 1);
  watch.see(event('text-out', 'mine', 'queued'));
  watch.see(event('status', 'mine', 'failed'));
  assert.deepEqual(await watch.outcome, { kind: 'undelivered' });
});
