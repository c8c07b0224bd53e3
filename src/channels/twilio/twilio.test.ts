import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import twilio from 'twilio';
import { MockAgent } from 'undici';
import { DarkspereError } from '../../errors.ts';
import type { RawWebhook } from '../channel.ts';
import { createTwilioChannel } from './twilio.ts';

const ACCOUNT = `AC${'1'.repeat(32)}`;
const SID = `SM${'a'.repeat(32)}`;
const PATH = '/webhooks/twilio/messages';
const PART = '0198c1b2-0000-7000-8000-000000000001';
const TEXT = { MessageSid: SID, AccountSid: ACCOUNT, From: '+14155550123', To: '+15550001111', Body: 'secret plans' };

function channel(authTokens = ['token'], publicUrl = 'https://bridge.example') {
  const ourNumbers = () => new Set(['+15550001111']);
  const http = new MockAgent();
  const apiUrl = 'https://api.twilio.com';
  return createTwilioChannel({
    accountSid: ACCOUNT,
    authTokens,
    publicUrl,
    apiUrl,
    messagingServiceSid: null,
    ourNumbers,
    http,
    mediaHttp: http,
  });
}

function signed(
  fields: Record<string, string>,
  { path = PATH, token = 'token', at = 'https://bridge.example' } = {},
): RawWebhook {
  const signature = twilio.getExpectedTwilioSignature(token, at + path, fields);
  return {
    path,
    body: Buffer.from(new URLSearchParams(fields).toString()),
    headers: { 'x-twilio-signature': signature },
  };
}

function refusal(webhook: RawWebhook, at = channel()): DarkspereError {
  try {
    at.authenticate(webhook);
  } catch (error) {
    assert.ok(error instanceof DarkspereError);
    return error;
  }
  assert.fail('the webhook was taken for authentic');
}

test('an authentic text and an authentic callback are read', () => {
  const at = channel();
  const text = signed(TEXT);
  at.authenticate(text);
  assert.equal(at.parseInbound(text).text, 'secret plans');
  const path = `/webhooks/twilio/status?part=${PART}`;
  const callback = signed({ MessageSid: SID, AccountSid: ACCOUNT, MessageStatus: 'sent' }, { path });
  at.authenticate(callback);
  assert.deepEqual(at.parseStatus(callback), { partId: PART, providerId: SID, state: 'sent', errorCode: null });
});

test('the form is parsed once for both', () => {
  const at = channel();
  let reads = 0;
  const { body, ...rest } = signed(TEXT);
  const webhook: RawWebhook = {
    ...rest,
    get body() {
      reads++;
      return body;
    },
  };
  at.authenticate(webhook);
  at.parseInbound(webhook);
  assert.equal(reads, 1);
});

test('no signature, a wrong one, and one for another URL', () => {
  const good = signed(TEXT);
  assert.equal(refusal({ ...good, headers: {} }).code, 'signature_missing');
  assert.equal(refusal({ ...good, headers: { 'x-twilio-signature': '' } }).code, 'signature_missing');
  assert.equal(refusal({ ...good, headers: { 'x-twilio-signature': 'AAAA' } }).code, 'signature_invalid');
  assert.equal(
    refusal({ ...good, body: Buffer.from(good.body.toString().replace('plans', 'flans')) }).code,
    'signature_invalid',
  );
  assert.equal(refusal(signed(TEXT, { token: 'other' })).code, 'signature_invalid');
  assert.equal(refusal(signed(TEXT, { at: 'http://bridge.example' })).code, 'signature_invalid');
  assert.equal(refusal(good, channel([])).code, 'signature_invalid');
});

test('headers that name a host change nothing', () => {
  const forged = signed(TEXT, { at: 'https://evil.example' });
  const headers = {
    ...forged.headers,
    host: 'evil.example',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
  };
  assert.equal(refusal({ ...forged, headers }).code, 'signature_invalid');
});

test('both tokens count while one is being replaced', () => {
  for (const token of ['new', 'old']) channel(['new', 'old']).authenticate(signed(TEXT, { token }));
});

test('the refusal names the URL and nothing that is private', () => {
  const webhook = signed(TEXT, { path: `${PATH}?Body=stolen`, token: 'other' });
  const error = refusal(webhook, channel(['token'], 'https://user:pass@bridge.example'));
  assert.match(error.message, /https:\/\/bridge\.example\/webhooks\/twilio\/messages\?…$/);
  assert.doesNotMatch(JSON.stringify([error.message, error.facts]), /pass|plans|stolen|token|4155550123/);
});

test('a body that is no form is malformed, not unsigned', () => {
  assert.equal(refusal({ ...signed(TEXT), body: Buffer.from('Body=%zz') }).code, 'malformed_body');
});

test('a signed JSON body is authentic by its digest', () => {
  const body = Buffer.from('{"a": 1}');
  const path = `/webhooks/twilio/status?bodySHA256=${createHash('sha256').update(body).digest('hex')}`;
  const webhook = { ...signed({}, { path }), body };
  channel().authenticate(webhook);
  assert.equal(refusal({ ...webhook, body: Buffer.from('{"a": 2}') }).code, 'signature_invalid');
  assert.throws(() => channel().parseStatus(webhook), { code: 'webhook_malformed' });
});

test('fields cut up differently keep their signature and are refused all the same', () => {
  // `From` swallowed by `Body`: the same canonical text, so the same signature.
  const { headers } = signed(TEXT);
  const { From, Body, ...rest } = TEXT;
  const recut = new URLSearchParams({ ...rest, Body: `${Body}From${From}` });
  const webhook: RawWebhook = { path: PATH, body: Buffer.from(recut.toString()), headers };
  const at = channel();
  at.authenticate(webhook);
  assert.throws(() => at.parseInbound(webhook), { code: 'webhook_malformed', param: 'From' });
});
