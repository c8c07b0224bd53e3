import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createMessageStore, type Message, rfc2822 } from './message.ts';
import { createPacing, segmentsPerSecond } from './pacing.ts';
import { createRandom } from './random.ts';
import { sign } from './webhooks.ts';

describe('signature', () => {
  test('matches the values Twilio publishes', () => {
    const fields = {
      CallSid: 'CA1234567890ABCDE',
      Caller: '+14158675309',
      Digits: '1234',
      From: '+14158675309',
      To: '+18005551212',
    };
    const url = 'https://mycompany.com/myapp.php?foo=1&bar=2';
    assert.equal(sign('12345', url, fields), 'RSOYDt4T1cUTdK1PDd93/VVr8B8=');
  });
});

describe('pacing', () => {
  test('knows the three kinds of sender', () => {
    assert.equal(segmentsPerSecond('+15550001111'), 1);
    assert.equal(segmentsPerSecond('+18885550001'), 3);
    assert.equal(segmentsPerSecond('12345'), 100);
  });

  test('one sender’s messages follow each other at the rate of their segments', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 11 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(sizes, (segments) => {
        const pacing = createPacing('carrier');
        let before = 0;
        for (const size of segments) {
          assert.equal(pacing.reserve('+15550001111', size, 5000, 1e9), before * 1000);
          before += size;
        }
        assert.equal(pacing.reserve('+15550002222', 1, 5000, 1e9), 0, 'another sender does not wait');
      }),
    );
  });

  test('takes nothing for a message that would wait too long, and calls ten hours full', () => {
    const pacing = createPacing('carrier');
    pacing.reserve('+15550001111', 10, 0, 1e9);
    assert.equal(pacing.reserve('+15550001111', 5, 0, 9999), null);
    assert.equal(pacing.reserve('+15550001111', 35_990, 0, 10_000), 10_000);
    assert.equal(pacing.isFull('+15550001111', 0), true);
    assert.equal(pacing.isFull('+15550001111', 1), false);
  });
});

test('the store holds exactly the newest messages', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 40 }), (limit, count) => {
      const store = createMessageStore(limit);
      const sids = Array.from({ length: count }, (_, n) => `SM${n}`);
      for (const sid of sids) store.add({ sid } as Message);
      const newest = sids.toReversed().slice(0, limit);
      assert.deepEqual(
        [...store.all()].map((message) => message.sid),
        newest,
      );
      for (const sid of sids) assert.equal(store.get(sid) !== undefined, newest.includes(sid));
    }),
  );
});

test('a seed repeats itself, no seed does not', () => {
  assert.equal(createRandom(7).hex(), createRandom(7).hex());
  assert.notEqual(createRandom(7).hex(), createRandom(8).hex());
  assert.notEqual(createRandom(undefined).hex(), createRandom(undefined).hex());
  assert.match(createRandom(1).hex(), /^[0-9a-f]{32}$/);
});

test('dates are Twilio’s', () => {
  assert.equal(rfc2822(Date.UTC(2026, 7, 3, 5, 1, 45)), 'Mon, 03 Aug 2026 05:01:45 +0000');
});
