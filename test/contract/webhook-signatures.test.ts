// Our signatures against the reference library of their scheme, both ways.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { newSigningSecret, signWebhook, verifyWebhook } from '../../src/security/standard-webhooks.ts';
import { chat } from '../support/protocol-dresses.ts';
import { callTo, failedWith, json, type Peer, SECRET, startPeer } from '../support/protocol-peer.ts';

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

describe('the reference library', () => {
  test('takes a call of an agent, and not with a byte changed or with the secret of another', async () => {
    await peer.invoke(callTo(peer.agent('envelope'), { text: `it's "é" 😀` }), json(chat()));
    const { headers, body } = peer.questions[0]!;
    const given = headers as Record<string, string>;
    assert.deepEqual(new Webhook(SECRET).verify(body, given), JSON.parse(body));
    assert.throws(() => new Webhook(SECRET).verify(`${body} `, given), WebhookVerificationError);
    assert.throws(() => new Webhook(newSigningSecret()).verify(body, given), WebhookVerificationError);
  });

  test('takes it with either secret while one is changed', () => {
    const secrets = [newSigningSecret(), newSigningSecret()];
    const headers = { ...signWebhook(secrets, 'msg_1', new Date(), '{}') };
    for (const secret of secrets) assert.deepEqual(new Webhook(secret).verify('{}', headers), {});
  });

  test('signs an answer that we take; what it signed with another secret we refuse', async () => {
    const agent = peer.agent('envelope', { metadata: { require_signed_replies: true } });
    const answerSignedWith = (secret: string) =>
      peer.invoke(callTo(agent), (_request, response) => {
        const body = JSON.stringify(chat());
        const signedAt = new Date();
        const headers = {
          'webhook-id': 'reply_1',
          'webhook-timestamp': String(Math.floor(signedAt.getTime() / 1_000)),
          'webhook-signature': new Webhook(secret).sign('reply_1', signedAt, body),
        };
        assert.equal(verifyWebhook(secret, headers, body, new Date()), 'valid');
        response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(body);
      });
    assert.equal((await answerSignedWith(SECRET)).outcome.kind, 'reply');
    failedWith(await answerSignedWith(newSigningSecret()), { code: 'agent_contract' });
  });
});
