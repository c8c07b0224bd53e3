// Of a carrier in trouble the log says once that it began and once that it is over, however many texts meet it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import type { SendOutcome } from '../channels/channel.ts';
import { createMetrics } from '../observability/metrics.ts';
import { createCarrierStanding } from './carrier-standing.ts';

const refused = (
  code: string,
  hindrance: 'unreachable' | 'busy' | 'setup' | null,
): Extract<SendOutcome, { kind: 'refused' }> => ({
  kind: 'refused',
  code,
  reason: 'so it is',
  retry: hindrance === null ? 'never' : 'later',
  afterMs: null,
  optedOut: false,
  hindrance,
});
const ACCEPTED: SendOutcome = { kind: 'accepted', providerId: 'SM1', segments: 1 };

function standing() {
  const lines: [level: number, code: unknown][] = [];
  const write = (line: string) => {
    const { level, code = null } = JSON.parse(line);
    lines.push([level, code]);
  };
  return { ...createCarrierStanding({ logger: pino({}, { write }), metrics: createMetrics() }), lines };
}

describe('the carrier', () => {
  it('refuses the account: one line for an operator, a note, and a line when it is put right', () => {
    const { heard, notes, lines } = standing();
    assert.deepEqual(notes(), []);
    assert.equal(heard(refused('20003', 'setup')), false);
    for (let n = 0; n < 100; n++) assert.equal(heard(refused('20003', 'setup')), true);
    assert.match(notes().join(), /account or address is put right \(20003\)/);
    heard(ACCEPTED);
    assert.deepEqual(notes(), []);
    assert.deepEqual(lines, [
      [50, '20003'],
      [30, '20003'],
    ]);
  });

  it('is in another trouble than before: that is said too', () => {
    const { heard, notes, lines } = standing();
    for (const code of ['ECONNREFUSED', 'ECONNREFUSED', 'ENOTFOUND']) heard(refused(code, 'unreachable'));
    heard(refused('20429', 'busy'));
    assert.match(notes().join(), /asked to send later \(20429\)/);
    assert.deepEqual(lines, [
      [40, 'ECONNREFUSED'],
      [40, 'ENOTFOUND'],
      [40, '20429'],
    ]);
  });

  it('has refused one text for itself: it takes texts', () => {
    const { heard, notes, lines } = standing();
    heard(refused('21211', null));
    assert.deepEqual([notes(), lines], [[], []]);
    heard(refused('ECONNREFUSED', 'unreachable'));
    heard(refused('21211', null));
    assert.deepEqual(notes(), []);
  });

  it('has said nothing in what was held back or has no known end', () => {
    const { heard, notes } = standing();
    heard(refused('ECONNREFUSED', 'unreachable'));
    heard({ kind: 'withheld' });
    heard({ kind: 'unknown', reason: 'no answer' });
    assert.equal(notes().length, 1);
  });
});
