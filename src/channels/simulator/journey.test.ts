// Time in the carrier, with the test's own clock.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createEvents } from './events.ts';
import { createFaults } from './fault-rules.ts';
import { createJourneys } from './journey.ts';
import type { Message } from './message.ts';
import { createPacing } from './pacing.ts';
import { createRandom } from './random.ts';

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
    createdAtMs: 0,
    sentAtMs: null,
    updatedAtMs: 0,
    status: 'queued',
    errorCode: null,
  };
}

function carrier() {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const events = createEvents();
  const log: string[] = [];
  events.subscribe((event) => log.push(`${Date.now()} ${event.message.sid} ${event.status}`));
  const journeys = createJourneys({
    accountSid: 'AC0',
    statusDelaysMs: { sent: 100, delivered: 200 },
    jitter: false,
    events,
    faults: createFaults(),
    pacing: createPacing('carrier'),
    random: createRandom(1),
    webhooks: { post: async () => ({ status: 200, problem: null }), close: async () => {} },
  });
  return { journeys, log };
}

test('a long code sends one segment per second', () => {
  const { journeys, log } = carrier();
  try {
    journeys.start(message('A', 2), 60_000);
    journeys.start(message('B', 1), 60_000);
    for (let ms = 0; ms < 3000; ms += 50) mock.timers.tick(50);
    const expected = ['0 A queued', '0 B queued', '100 A sent', '300 A delivered', '2100 B sent', '2300 B delivered'];
    assert.deepEqual(log, expected);
  } finally {
    mock.timers.reset();
  }
});

test('what waits longer than its validity fails with 30036 and takes no time of the sender', () => {
  const { journeys, log } = carrier();
  try {
    const late = message('B', 5);
    journeys.start(message('A', 2), 60_000);
    journeys.start(late, 1000);
    journeys.start(message('C', 1), 60_000);
    for (let ms = 0; ms < 3000; ms += 50) mock.timers.tick(50);
    assert.equal(late.errorCode, 30_036);
    assert.ok(log.includes('1000 B failed'));
    assert.ok(log.includes('2100 C sent'));
  } finally {
    mock.timers.reset();
  }
});

test('close stops every message where it is', () => {
  const { journeys, log } = carrier();
  try {
    journeys.start(message('A', 1), 60_000);
    mock.timers.tick(100);
    journeys.close();
    mock.timers.tick(1000);
    assert.deepEqual(log, ['0 A queued', '100 A sent']);
  } finally {
    mock.timers.reset();
  }
});
