import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { isSigningSecret, sign, type Verdict, verifySignature } from './signature.ts';

const secret = () => `whsec_${randomBytes(24).toString('base64')}`;
const [OLD, NEW] = [secret(), secret()];
const AT = Date.parse('2026-01-01T10:00:00Z');
const BODY = '{"type":"chat.request"}';
const verify = (headers: Record<string, string>, secrets = [NEW, OLD], body = BODY, nowMs = AT): Verdict =>
  verifySignature(secrets, headers, Buffer.from(body), nowMs, 300);

describe('signatures', () => {
  it('are the ones of the scheme’s own example', () => {
    const headers = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    };
    const verdict = verify(
      headers,
      ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
      '{"test": 2432232314}',
      1_614_265_330_000,
    );
    assert.equal(verdict, 'valid');
  });

  it('of any of several secrets are taken: one is being rotated', () => {
    for (const key of [OLD, NEW]) assert.equal(verify(sign(key, 'm', AT, BODY)), 'valid');
    const [a, b] = [sign(secret(), 'm', AT, BODY), sign(OLD, 'm', AT, BODY)];
    const both = `v1a,xyz ${a['webhook-signature']} ${b['webhook-signature']}`;
    assert.equal(verify({ ...b, 'webhook-signature': both }), 'valid');
  });

  it('say what is wrong with them', () => {
    const good = sign(NEW, 'm', AT, BODY);
    const { 'webhook-timestamp': _, ...incomplete } = good;
    const cases: [Record<string, string>, Verdict][] = [
      [{}, 'unsigned'],
      [incomplete, 'incomplete'],
      [{ ...good, 'webhook-timestamp': 'now' }, 'incomplete'],
      [sign(NEW, 'm', AT - 301_000, BODY), 'too_old'],
      [sign(NEW, 'm', AT + 301_000, BODY), 'too_old'],
      [sign(NEW, 'm', AT - 299_000, BODY), 'valid'],
      [{ ...good, 'webhook-id': 'n' }, 'mismatch'],
      [{ ...good, 'webhook-signature': 'v1,' }, 'mismatch'],
      [sign(secret(), 'm', AT, BODY), 'mismatch'],
      [sign(NEW, 'm', AT, `${BODY} `), 'mismatch'],
    ];
    for (const [headers, verdict] of cases) assert.equal(verify(headers), verdict, JSON.stringify(headers));
  });

  it('need secrets that are long enough', () => {
    assert.ok([OLD, OLD.slice(6)].every(isSigningSecret));
    assert.ok(!['', 'whsec_', 'whsec_c2hvcnQ=', 'CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME'].some(isSigningSecret));
  });
});
