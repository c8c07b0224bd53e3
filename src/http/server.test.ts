import assert from 'node:assert/strict';
import { Agent, get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { route } from './routes.ts';
import { createServer } from './server.ts';

test('a request under way when the stop begins is answered, and its connection does not outlive it', async () => {
  let closing = false;
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const app = createServer({ name: 'test', logger: pino({ level: 'silent' }), isClosing: () => closing });
  app.get('/slow', async () => {
    asked.resolve();
    await answered.promise;
    return { ok: true };
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  try {
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: '/slow', agent }, resolve).on('error', reject);
    });
    await asked.promise;
    closing = true;
    const closed = app.close();
    answered.resolve();
    const { statusCode, headers } = (await response).resume();
    assert.deepEqual([statusCode, headers.connection], [200, 'close']);
    await closed;
  } finally {
    agent.destroy();
  }
});

test('a route whose answer takes long keeps its connection, and no other one does', async () => {
  const app = createServer({ name: 'test', logger: pino({ level: 'silent' }), isClosing: () => false });
  app.decorateRequest('principal', null);
  for (const [path, more] of [
    ['/slow', { isSlow: true }],
    ['/usual', {}],
  ] as const)
    route(app, {
      ...{ method: 'GET', path, summary: path, tag: 'console', scope: 'anyone', answers: { 204: null } },
      ...more,
      handle: async () => {
        await sleep(400);
        return undefined;
      },
    });
  await app.listen({ port: 0, host: '127.0.0.1' });
  app.server.setTimeout(100);
  const { port } = app.server.address() as AddressInfo;
  try {
    assert.equal((await fetch(`http://127.0.0.1:${port}/slow`)).status, 204);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/usual`));
  } finally {
    await app.close();
  }
});

test('what is no HTTP, has too much of it, or does not come, is told so like everything else', async () => {
  const app = createServer({ name: 'test', logger: pino({ level: 'silent' }), isClosing: () => false });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  try {
    app.server.headersTimeout = 100;
    for (const [sent, status] of [
      ['GET / HTTP/1.1\r\nhost: a\r\n', 408],
      ['EHLO mail\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ] as const) {
      const socket = connect(port, '127.0.0.1');
      socket.write(sent);
      const answer = await text(socket);
      const [head, body] = answer.split('\r\n\r\n') as [string, string];
      assert.match(head, new RegExp(`^HTTP/1.1 ${status} .*content-length: ${Buffer.byteLength(body)}\r\n`, 's'));
      const { error } = JSON.parse(body);
      assert.deepEqual(
        [error.type, error.code, error.doc_url],
        ['validation', 'request_refused', '/docs/errors#request_refused'],
      );
    }
  } finally {
    await app.close();
  }
});
