// The envelope: the request as documented, and every way an answer to it can be wrong.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newSigningSecret, signWebhook, verifyWebhook } from '../../src/security/standard-webhooks.ts';
import { chat } from '../support/protocol-dresses.ts';
import type { Behaviour } from '../support/protocol-peer.ts';
import { at, callTo, failedWith, json, type Peer, raw, reasonOf, SECRET, startPeer } from '../support/protocol-peer.ts';

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

test('envelope: the request is the documented one, signed', async () => {
  await peer.invoke(callTo(peer.agent('envelope')), json(chat()));
  const { headers, body, url } = peer.questions[0]!;
  assert.equal(url, '/v1');
  assert.equal(verifyWebhook(SECRET, headers, body, new Date()), 'valid');
  assert.equal(headers['webhook-id'], 'turn-1');
  assert.equal(headers['accept-encoding'], 'identity');
  const { timestamp, payload, ...rest } = JSON.parse(body);
  assert.deepEqual(rest, { type: 'chat.request', message_id: 'turn-1' });
  const { deadline, ...fields } = payload;
  assert.equal(Date.parse(deadline) - Date.parse(timestamp), 10_000);
  assert.deepEqual(fields, {
    session_id: 'session-1',
    conversation_id: 'conversation-1',
    message: 'What is the weather?',
    conversation_history: [
      { role: 'user', content: 'Hi', timestamp: at.toISOString() },
      { role: 'assistant', content: 'Hello!', timestamp: at.toISOString() },
    ],
    media: [{ url: 'https://media.example/1.jpg', content_type: 'image/jpeg' }],
    channel: 'sms',
    reply_budget: { max_characters: 480, max_segments: 3 },
  });
});

test('envelope: media, the end of a session and fields we do not know', async () => {
  const media = [
    'https://cdn.example/a.png',
    { url: 'https://cdn.example/b.png', content_type: 'image/png' },
    'https://cdn.example/\u0000c.png',
  ];
  const result = await peer.invoke(
    callTo(peer.agent('envelope')),
    json(chat({ media, end_session: true, mood: 'good' }, { to: '+1900' })),
  );
  assert.deepEqual(result.outcome, {
    kind: 'reply',
    text: 'Sunny.',
    mediaUrls: ['https://cdn.example/a.png', 'https://cdn.example/b.png', 'https://cdn.example/%00c.png'],
    endSession: true,
  });
});

test('envelope: 202 defers', async () => {
  for (const body of ['', 'accepted', '{}']) {
    assert.deepEqual((await peer.invoke(callTo(peer.agent('envelope')), raw(body, 202))).outcome, { kind: 'deferred' });
  }
});

const BAD_ENVELOPES: [string, unknown, RegExp][] = [
  ['answer to another message', chat({}, { in_reply_to: 'turn-2' }), /in_reply_to/],
  ['no in_reply_to', chat({}, { in_reply_to: undefined }), /in_reply_to/],
  ['another session', chat({ session_id: 'session-2' }), /session_id/],
  ['another type', chat({}, { type: 'chat.request' }), /type/],
  ['message as object', chat({ message: { text: 'x' } }), /payload\.message/],
  ['media over http', chat({ media: ['http://cdn.example/a.png'] }), /payload\.media/],
  ['media as script', chat({ media: ['javascript:alert(1)'] }), /payload\.media/],
  ['eleven media', chat({ media: Array(11).fill('https://cdn.example/a.png') }), /payload\.media/],
  ['end_session as text', chat({ end_session: 'yes' }), /end_session/],
];

for (const [name, body, reason] of BAD_ENVELOPES) {
  test(`envelope: contract broken: ${name}`, async () => {
    const result = await peer.invoke(callTo(peer.agent('envelope')), json(body));
    failedWith(result, { code: 'agent_contract', retry: 'other' });
    assert.match(reasonOf(result), reason);
    assert.match(result.exchange.response, /session_id/);
  });
}

test('envelope: the agent’s own error says whether to try again, and its words stay in the exchange', async () => {
  const error = (retryable?: boolean) => ({
    type: 'error',
    payload: { code: 'model_down', message: 'Ann said hi', retryable },
  });
  for (const status of [200, 400, 500]) {
    const again = await peer.invoke(callTo(peer.agent('envelope')), json(error(true), status));
    failedWith(again, { code: 'agent_said_error', retry: 'same' });
    assert.match(reasonOf(again), /model_down/);
    assert.doesNotMatch(reasonOf(again), /Ann/);
    assert.match(again.exchange.response, /Ann said hi/);
    failedWith(await peer.invoke(callTo(peer.agent('envelope')), json(error(), status)), {
      code: 'agent_said_error',
      retry: 'other',
    });
  }
});

test('envelope: a signed answer must be signed right; an unsigned one passes unless signatures are required', async () => {
  const signedBy =
    (secret: string, when: Date, change = ''): Behaviour =>
    (_request, response) => {
      const body = JSON.stringify(chat());
      response.writeHead(200, { ...signWebhook(secret, 'reply-1', when, body) }).end(body + change);
    };
  assert.equal((await peer.invoke(callTo(peer.agent('envelope')), signedBy(SECRET, new Date()))).outcome.kind, 'reply');
  for (const [agent, reason] of [
    [signedBy(newSigningSecret(), new Date()), /does not match/],
    [signedBy(SECRET, new Date(), ' '), /does not match/],
    [signedBy(SECRET, new Date(Date.now() - 600_000)), /5 minutes/],
    [json(chat(), 200, { 'webhook-id': 'x' }), /come together/],
  ] as const) {
    const result = await peer.invoke(callTo(peer.agent('envelope')), agent);
    failedWith(result, { code: 'agent_contract' });
    assert.match(reasonOf(result), reason);
  }
  const strict = callTo(peer.agent('envelope', { metadata: { require_signed_replies: true } }));
  failedWith(await peer.invoke(strict, json(chat())), { code: 'agent_contract' });
  assert.equal((await peer.invoke(strict, signedBy(SECRET, new Date()))).outcome.kind, 'reply');
});
