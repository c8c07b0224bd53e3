import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { createMetrics } from '../observability/metrics.ts';
import { createGuessLimit } from '../security/guess-limit.ts';
import { prepareAccess } from './authentication.ts';
import { healthRoutes } from './health.ts';
import { createServer } from './server.ts';

/** The status of /metrics for a connection from an address. */
async function asker(isPublic: boolean) {
  const app = createServer({ name: 'test', isPublic, logger: pino({ level: 'silent' }), isClosing: () => false });
  app.decorateRequest('principal', null);
  // Nobody here has a key, so nobody looks one up.
  prepareAccess(app, { sql: undefined as never, consoleUrl: null, guesses: createGuessLimit() });
  healthRoutes(app, { name: 'test', isPublic, readiness: { check: async () => [] }, metrics: createMetrics() });
  await app.ready();
  return async (remoteAddress: string, headers: Record<string, string> = {}) =>
    (await app.inject({ url: '/metrics', remoteAddress, headers })).statusCode;
}

test('what faces the internet gives its metrics to this machine alone: a neighbour may be a proxy that says nothing', async () => {
  const ask = await asker(true);
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) assert.equal(await ask(address), 200, address);
  for (const address of ['10.0.0.5', '172.17.0.1', 'fd00::1', '203.0.113.9'])
    assert.equal(await ask(address), 401, address);
  for (const header of ['x-forwarded-for', 'forwarded']) {
    assert.equal(await ask('127.0.0.1', { [header]: '127.0.0.1' }), 401, header);
  }
});

test('other services give them to their own network, and to nothing that was forwarded', async () => {
  const ask = await asker(false);
  for (const address of ['127.0.0.1', '10.0.0.5', 'fd00::1']) assert.equal(await ask(address), 200, address);
  assert.equal(await ask('203.0.113.9'), 404);
  assert.equal(await ask('10.0.0.5', { 'x-forwarded-for': '10.0.0.6' }), 404);
});
