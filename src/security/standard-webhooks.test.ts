import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { newSigningSecret, signWebhook, verifyWebhook } from './standard-webhooks.ts';

const now = new Date('2026-01-01T10:00:00.900Z');
const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;

test('the signature is HMAC-SHA256 over id.timestamp.body with the decoded secret', () => {
  const headers = signWebhook(secret, 'msg_1', now, '{"a":1}');
  const expected = createHmac('sha256', Buffer.alloc(24, 7)).update('msg_1.1767261600.{"a":1}').digest('base64');
  assert.deepEqual(headers, {
    'webhook-id': 'msg_1',
    'webhook-timestamp': '1767261600',
    'webhook-signature': `v1,${expected}`,
  });
});

test('verification names what is wrong', () => {
  const signed = { ...signWebhook(secret, 'msg_1', now, 'body') };
  assert.equal(verifyWebhook(secret, signed, 'body', now), 'valid');
  assert.equal(verifyWebhook(secret, signed, Buffer.from('body'), now), 'valid');
  assert.equal(verifyWebhook(secret, signed, 'body ', now), 'mismatch');
  assert.equal(verifyWebhook(newSigningSecret(), signed, 'body', now), 'mismatch');
  assert.equal(verifyWebhook(secret, { ...signed, 'webhook-id': 'msg_2' }, 'body', now), 'mismatch');
  assert.equal(verifyWebhook(secret, { ...signed, 'webhook-signature': 'v1,' }, 'body', now), 'mismatch');
  assert.equal(verifyWebhook(secret, {}, 'body', now), 'unsigned');
  assert.equal(verifyWebhook(secret, { ...signed, 'webhook-id': undefined }, 'body', now), 'incomplete');
  assert.equal(verifyWebhook(secret, { ...signed, 'webhook-timestamp': 'NaN' }, 'body', now), 'incomplete');
  for (const minutes of [-6, 6]) {
    assert.equal(verifyWebhook(secret, signed, 'body', new Date(now.getTime() + minutes * 60_000)), 'too_old');
  }
});

test('one good signature among several is enough while a secret rotates', () => {
  const signed = signWebhook(secret, 'msg_1', now, 'body');
  const headers = { ...signed, 'webhook-signature': `v1,AAAA v1a,xyz ${signed['webhook-signature']}` };
  assert.equal(verifyWebhook(secret, headers, 'body', now), 'valid');
});

test('while a secret is changed each call carries a signature with each, and either secret is enough to check an answer', () => {
  const [before, after] = [newSigningSecret(), newSigningSecret()];
  const signed = { ...signWebhook([after, before], 'msg_1', now, 'body') };
  assert.equal(signed['webhook-signature'].split(' ').length, 2);
  for (const known of [before, after, [newSigningSecret(), before]])
    assert.equal(verifyWebhook(known, signed, 'body', now), 'valid');
  assert.equal(verifyWebhook(newSigningSecret(), signed, 'body', now), 'mismatch');
  assert.equal(verifyWebhook([after, before], { ...signWebhook(before, 'msg_1', now, 'body') }, 'body', now), 'valid');
  assert.equal(verifyWebhook([], signed, 'body', now), 'mismatch');
});
