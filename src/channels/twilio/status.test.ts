import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseForm } from './form.ts';
import { carrierState, readStatus } from './status.ts';

const ACCOUNT = `AC${'1'.repeat(32)}`;
const SID = `SM${'a'.repeat(32)}`;
const PART = '0198c1b2-0000-7000-8000-000000000001';
const PATH = `/webhooks/twilio/status?part=${PART}`;
const CALLBACK = { MessageSid: SID, AccountSid: ACCOUNT, MessageStatus: 'delivered', To: '+14155550123' };

type Fields = Record<string, string>;
const read = (fields: Fields, path = PATH) =>
  readStatus(parseForm(Buffer.from(new URLSearchParams(fields).toString())), path, ACCOUNT);

test('a delivery report', () => {
  assert.deepEqual(read(CALLBACK), { partId: PART, providerId: SID, state: 'delivered', errorCode: null });
  assert.deepEqual(read({ ...CALLBACK, MessageStatus: 'undelivered', ErrorCode: '30007' }), {
    partId: PART,
    providerId: SID,
    state: 'undelivered',
    errorCode: '30007',
  });
});

test('every status of Twilio has its state, and only those', () => {
  const states = {
    queued: 'accepted',
    sending: 'accepted',
    scheduled: 'accepted',
    accepted: 'accepted',
    sent: 'sent',
    delivered: 'delivered',
    read: 'read',
    failed: 'failed',
    canceled: 'failed',
    undelivered: 'undelivered',
    receiving: null,
    received: null,
    partially_delivered: null,
    'brand-new': null,
    constructor: null,
    '': null,
  };
  for (const [status, state] of Object.entries(states)) {
    assert.equal(carrierState(status), state, status);
    assert.equal(read({ ...CALLBACK, MessageStatus: status })?.state ?? null, state, status);
  }
  assert.equal(carrierState(undefined), null);
});

test('the part is a uuid or nothing', () => {
  assert.equal(read(CALLBACK, '/webhooks/twilio/status')?.partId, null);
  assert.equal(read(CALLBACK, '/webhooks/twilio/status?')?.partId, null);
  assert.equal(read(CALLBACK, '/webhooks/twilio/status?part')?.partId, null);
  assert.equal(read(CALLBACK, "/webhooks/twilio/status?part=1';--")?.partId, null);
  assert.equal(read(CALLBACK, PATH.toUpperCase().replace('PART', 'part'))?.partId, PART);
});

test('an error code is digits or nothing', () => {
  for (const code of ['', '0', 'abc', '30007x', '12345678', '<b>']) {
    assert.equal(read({ ...CALLBACK, ErrorCode: code })?.errorCode, null, code);
  }
});

test('what is not ours is refused by the name of the field', () => {
  const refused = (param: string, fields: Fields, path?: string) =>
    assert.throws(() => read(fields, path), { code: 'webhook_malformed', param });
  refused('query', CALLBACK, `${PATH}&MessageStatus=failed`);
  refused('query', CALLBACK, '/webhooks/twilio/status?MessageStatus=failed');
  refused('query', CALLBACK, `${PATH}&part=${PART}`);
  refused('MessageSid', { ...CALLBACK, MessageSid: 'SM1' });
  refused('AccountSid', { ...CALLBACK, AccountSid: `AC${'2'.repeat(32)}` });
});
