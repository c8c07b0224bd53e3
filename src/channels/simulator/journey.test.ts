// Time in the carrier, with the test's own clock.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createEvents } from './events.ts';
import { createFaults } from './fault-rules.ts';
import { createHistory } from './history.ts';
import { createJourneys } from './journey.ts';
import type { Message } from './message.ts';
import { createPacing } from './pacing.ts';
import { createRandom } from './random.ts';
import { createTimers } from './timers.ts';
import { createWindows } from './whatsapp.ts';

function message(sid: string, segments: number): Message {
  return {
    sid,
    from: '+15550001111',
    to: '+15557770001',
    body: 'x',
    direction: 'outbound-api',
    mediaUrls: [],
    segments,
    messagingServiceSid: null,
    statusCallback: null,
    contentSid: null,
    sendAtMs: null,
    listedAtMs: 0,
    createdAtMs: 0,
    sentAtMs: null,
    updatedAtMs: 0,
    status: 'queued',
    errorCode: null,
    webhook: null,
  };
}

function carrier() {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const events = createEvents();
  const log: string[] = [];
  events.subscribe((event) => log.push(`${Date.now()} ${event.message.sid} ${event.status}`));
  const timers = createTimers();
  const journeys = createJourneys({
    accountSid: 'AC0',
    statusDelaysMs: { sent: 100, delivered: 200 },
    jitter: false,
    events,
    faults: createFaults(),
    pacing: createPacing('carrier'),
    random: createRandom(1),
    history: createHistory(100),
    timers,
    windows: createWindows(),
    fetchMedia: async () => null,
    webhooks: {
      post: async () => ({ status: 200, problem: null, code: null, contentType: null, body: '' }),
      close: async () => {},
    },
  });
  const start = (message: Message, validityMs: number): void => {
    const { from, to, body } = message;
    void journeys.start(message, validityMs, { from, to, body, ordinal: 0 });
  };
  return { start, cancel: journeys.cancel, close: timers.close, log };
}

test('a long code sends one segment per second', () => {
  const { start, log } = carrier();
  try {
    start(message('A', 2), 60_000);
    start(message('B', 1), 60_000);
    for (let ms = 0; ms < 3000; ms += 50) mock.timers.tick(50);
    const expected = ['0 A queued', '0 B queued', '100 A sent', '300 A delivered', '2100 B sent', '2300 B delivered'];
    assert.deepEqual(log, expected);
  } finally {
    mock.timers.reset();
  }
});

test('what waits longer than its validity fails with 30036 and takes no time of the sender', () => {
  const { start, log } = carrier();
  try {
    const late = message('B', 5);
    start(message('A', 2), 60_000);
    start(late, 1000);
    start(message('C', 1), 60_000);
    for (let ms = 0; ms < 3000; ms += 50) mock.timers.tick(50);
    assert.equal(late.errorCode, 30_036);
    assert.ok(log.includes('1000 B failed'));
    assert.ok(log.includes('2100 C sent'));
  } finally {
    mock.timers.reset();
  }
});

test('close stops every message where it is', () => {
  const { start, close, log } = carrier();
  try {
    start(message('A', 1), 60_000);
    mock.timers.tick(100);
    close();
    mock.timers.tick(1000);
    assert.deepEqual(log, ['0 A queued', '100 A sent']);
  } finally {
    mock.timers.reset();
  }
});

test('a scheduled message leaves at its time, even weeks ahead, and a canceled one does not', () => {
  const { start, cancel, log } = carrier();
  try {
    const days = 30 * 86_400_000;
    const canceled = { ...message('B', 1), sendAtMs: days, status: 'scheduled' as const };
    start({ ...message('A', 1), sendAtMs: days, status: 'scheduled' }, 60_000);
    start(canceled, 60_000);
    // Longer than a timer can be set to: the mock, like Node, needs to be there when the first one ends.
    mock.timers.tick(2 ** 31 - 1);
    mock.timers.tick(days - 2 ** 31);
    assert.deepEqual(log, ['0 A scheduled', '0 B scheduled']);
    assert.equal(cancel(canceled), true);
    mock.timers.tick(1);
    mock.timers.tick(100);
    mock.timers.tick(200);
    assert.equal(cancel(canceled), false);
    assert.deepEqual(log.slice(2), [`${days - 1} B canceled`, `${days + 100} A sent`, `${days + 300} A delivered`]);
  } finally {
    mock.timers.reset();
  }
});
