import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createChats } from './chats.ts';
import { createEnvelope } from './envelope.ts';
import { sign } from './signature.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const OTHER = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;

function agent() {
  const asked: string[] = [];
  const envelope = createEnvelope({
    chats: createChats(({ message }) => {
      asked.push(message);
      return 'Answer.';
    }, 10),
    name: 'test',
    version: undefined,
    capabilities: ['chat'],
    toleranceSeconds: 300,
    secrets: () => [SECRET],
    isRegistering: () => false,
    postLater: async () => {},
    canPost: () => false,
    onSession: async () => null,
  });
  const call = (headers: Record<string, string>, body: string) =>
    envelope(headers, Buffer.from(body), false, new AbortController().signal);
  return { asked, call };
}

const question = (message: string) =>
  JSON.stringify({ type: 'chat.request', message_id: message, payload: { session_id: 's', message } });

test('a call that came before is refused, whatever is changed of it that is not signed', async () => {
  const { asked, call } = agent();
  const body = question('hello');
  const headers = sign(SECRET, 'id-1', Date.now(), body);
  assert.equal((await call(headers, body)).status, 200);
  const signature = headers['webhook-signature'] ?? '';
  for (const dressed of [
    signature,
    `${signature} `,
    `v1,AAAA ${signature}`,
    `${signature} ${sign(OTHER, 'id-1', Date.now(), body)['webhook-signature']}`,
    signature.replace(/=+$/, ''),
    `v1a,x ${signature}`,
  ]) {
    assert.equal((await call({ ...headers, 'webhook-signature': dressed }, body)).status, 409, dressed);
  }
  for (const [changed, status] of [
    [{ ...headers, 'webhook-id': 'id-2' }, 401],
    [{ ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) }, 401],
    [{ ...headers, 'webhook-timestamp': `0${headers['webhook-timestamp']}` }, 401],
  ] as const)
    assert.equal((await call(changed, body)).status, status);
  assert.deepEqual(asked, ['hello']);
});
