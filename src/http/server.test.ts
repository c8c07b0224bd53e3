import assert from 'node:assert/strict';
import { Agent, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { pino } from 'pino';
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
