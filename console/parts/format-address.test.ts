import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from './format-address.ts';

test('a number is grouped after its country code, of one digit, two or three', () => {
  const said = ['+15550001111', '+79161234567', '+442079460958', '+353861234567', '+4915112345678'].map(formatAddress);
  assert.deepEqual(said, [
    '+1 555 000 1111',
    '+7 916 123 4567',
    '+44 207 946 0958',
    '+353 861 234 567',
    '+49 151 123 456 78',
  ]);
});

test('what is no number stays as it is, and a channel is not part of one', () => {
  assert.deepEqual(['32665', 'DARKSPERE', 'whatsapp:+15550001111'].map(formatAddress), [
    '32665',
    'DARKSPERE',
    '+1 555 000 1111',
  ]);
});
