import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import twilio from 'twilio';
import { type Form, parseForm } from './form.ts';
import { bodyHasDigest, signatureIsValid, signedBodyDigest } from './signature.ts';

const TOKEN = '12345';
const CALL: Form = new Map([
  ['CallSid', ['CA1234567890ABCDE']],
  ['Caller', ['+14158675309']],
  ['Digits', ['1234']],
  ['From', ['+14158675309']],
  ['To', ['+18005551212']],
]);
const URL_ = 'https://mycompany.com/myapp.php?foo=1&bar=2';
const JSON_BODY = Buffer.from('{"property": "value", "boolean": true}');
const JSON_DIGEST = '0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620';

// Values published with Twilio's own libraries: token, URL and parameters as above unless given.
const PUBLISHED: [what: string, url: string, signature: string, params?: Form][] = [
  ['https', URL_, 'RSOYDt4T1cUTdK1PDd93/VVr8B8='],
  ['https, signed with :443', URL_, 'kvajT1Ptam85bY51eRf/AJRuM3w='],
  ['http, signed with :80', URL_.replace('https', 'http'), '0ZXoZLH/DfblKGATFgpif+LLRf4='],
  ['http on a port of its own', 'http://mycompany.com:1234/myapp.php?foo=1&bar=2', 'Zmvh+3yNM1Phv2jhDCwEM3q5ebU='],
  ['user and password', 'https://user:pass@mycompany.com/myapp.php?foo=1&bar=2', 'CukzLTc1tT5dXEDIHm/tKBanW10='],
  ['user and password, :443', 'https://user:pass@mycompany.com/myapp.php?foo=1&bar=2', 'ZQFR1PTIZXF2MXB8ZnKCvnnA+rI='],
  ['percent-encoding left as it is', `${URL_}&Body=It%27s+amazing`, 'TfZzewPq8wqrGlMfyAud8+/IvJ0='],
  ['quote left as it is', `${URL_}&Body=It's+amazing`, 'dsq4Ehbj6cs+KdTkpF5sSSplOWw='],
  ['JSON', `${URL_}&bodySHA256=${JSON_DIGEST}`, 'a9nBmqA0ju/hNViExpshrM61xv4=', new Map()],
  [
    'repeated field in any order',
    URL_,
    '83O6e2vORAoJHUNzJjDWN1jz+BA=',
    new Map([['MessagingBinding.Address', ['+1415xxxxxxx', '+1325xxxxxxx']]]),
  ],
  [
    'repeated value counts once',
    URL_,
    'IK+Dwps556ElfBT0I3Rgjkr1wJU=',
    new Map([
      ['Sid', ['CA123']],
      ['SidAccount', ['AC123']],
      ['Digits', ['5678', '1234', '1234']],
    ]),
  ],
];

test('the published signatures verify', () => {
  for (const [what, url, signature, params = CALL] of PUBLISHED) {
    assert.equal(signatureIsValid({ url, params, signature, tokens: [TOKEN] }), true, what);
    assert.equal(signatureIsValid({ url, params, signature, tokens: ['12346'] }), false, `${what}, wrong token`);
    assert.equal(
      signatureIsValid({ url: `${url}&x=1`, params, signature, tokens: [TOKEN] }),
      false,
      `${what}, other query`,
    );
  }
});

test('a JSON body is held by its digest in the signed URL', () => {
  const digest = signedBodyDigest(`/myapp.php?foo=1&bar=2&bodySHA256=${JSON_DIGEST}`);
  assert.equal(digest, JSON_DIGEST);
  assert.equal(bodyHasDigest(JSON_BODY, JSON_DIGEST), true);
  assert.equal(bodyHasDigest(Buffer.from('{"property":"value","boolean":true}'), JSON_DIGEST), false);
  assert.equal(bodyHasDigest(JSON_BODY, ''), false);
  assert.equal(signedBodyDigest('/myapp.php?foo=1'), null);
  assert.equal(createHash('sha256').update(JSON_BODY).digest('hex'), JSON_DIGEST);
});

const value = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '+', ' ', '%20', 'Ü€😀'),
);
const name = fc.oneof(
  fc.constantFrom('MediaUrl10', 'MediaUrl2', 'MediaUrl1', 'Body', 'body', '10', '9', '__proto', 'é', 'z😀', 'zﬀ'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
);
const fields = fc.array(fc.tuple(name, fc.array(value, { minLength: 1, maxLength: 3 })), { maxLength: 15 });
const origin = fc.constantFrom(
  'https://a.example',
  'https://a.example:443',
  'https://a.example:8443',
  'http://a.example',
  'http://a.example:80',
  'http://127.0.0.1:8000',
  'https://[::1]:9',
  'https://u:p@a.example/pre',
);

/** The same fields on the wire (what we parse) and as a body parser would give them to the official validator. */
function bothForms(drawn: [string, string[]][]) {
  const wire = new URLSearchParams();
  const official: Record<string, string | string[]> = Object.create(null);
  for (const [key, values] of new Map(
    drawn.map(([k, v]) => [k.toWellFormed(), v.map((text) => text.toWellFormed())]),
  )) {
    for (const text of values) wire.append(key, text);
    official[key] = values.length === 1 ? values[0]! : values;
  }
  return { params: parseForm(Buffer.from(wire.toString())), official };
}

test('agrees with the official validator, whatever the fields, origin and signer', () => {
  let accepted = 0;
  fc.assert(
    fc.property(fields, origin, origin, fc.constantFrom('s3cr3t', 'other'), (drawn, configured, signedAt, token) => {
      const { params, official } = bothForms(drawn);
      const path = '/webhooks/twilio/status?part=0198c1b2-0000-7000-8000-000000000001';
      const signature = twilio.getExpectedTwilioSignature(token, signedAt + path, official);
      const theirs = twilio.validateRequest('s3cr3t', signature, configured + path, official);
      assert.equal(signatureIsValid({ url: configured + path, params, signature, tokens: ['s3cr3t'] }), theirs);
      if (theirs) accepted++;
    }),
    { numRuns: 500 },
  );
  assert.ok(accepted > 20, `only ${accepted} of the signatures drawn were valid`);
});

test('one changed character of the signature is enough to refuse it', () => {
  const good = PUBLISHED[0]![2];
  for (let at = 0; at < good.length; at++) {
    const signature = good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1);
    assert.equal(signatureIsValid({ url: URL_, params: CALL, signature, tokens: [TOKEN] }), false, `position ${at}`);
  }
  // The last character before '=' has two bits that base64 decoders ignore.
  const sameBytes = good.replace('8=', '9=');
  assert.deepEqual(Buffer.from(sameBytes, 'base64'), Buffer.from(good, 'base64'));
  assert.equal(signatureIsValid({ url: URL_, params: CALL, signature: sameBytes, tokens: [TOKEN] }), false);
  for (const signature of ['', '=', good.slice(0, -1), `${good} `, 'é'.repeat(14)]) {
    assert.equal(signatureIsValid({ url: URL_, params: CALL, signature, tokens: [TOKEN] }), false);
  }
});

test('any token of the list will do, an empty one never', () => {
  const signature = PUBLISHED[0]![2];
  const check = (tokens: string[]) => signatureIsValid({ url: URL_, params: CALL, signature, tokens });
  assert.equal(check(['new', TOKEN]), true);
  assert.equal(check([TOKEN, 'new']), true);
  assert.equal(check(['new', 'newer']), false);
  assert.equal(check([]), false);
  const signedWithNothing = twilio.getExpectedTwilioSignature('', URL_, {});
  assert.equal(signatureIsValid({ url: URL_, params: new Map(), signature: signedWithNothing, tokens: [''] }), false);
});

test('a fragment of the configured URL is not signed', () => {
  const signature = PUBLISHED[0]![2];
  assert.equal(signatureIsValid({ url: `${URL_}#rc=5&rp=all`, params: CALL, signature, tokens: [TOKEN] }), true);
});
