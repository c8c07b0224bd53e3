import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { someAgent } from '../../test/support/some-agent.ts';
import { createEgress } from '../security/guarded-fetch.ts';
import { newSigningSecret } from '../security/standard-webhooks.ts';
import { createSessionEvents, type SessionEventsPayload } from './session-events.ts';

/** An agent at a real address, which answers what it is told when `mayAnswer` resolves. */
async function toldAgent(t: TestContext, mayAnswer: Promise<void> = Promise.resolve()) {
  const heard: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { type, payload } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    heard.push(`${type} ${payload.session_id}`);
    await mayAnswer;
    response.writeHead(204).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const log: string[] = [];
  const http = createEgress({ allow: ['127.0.0.0/8'], connectMs: 1_000 });
  t.after(async () => {
    await http.destroy();
    server.closeAllConnections();
    server.close();
  });
  const agent = someAgent('ada', { endpointUrl: `http://127.0.0.1:${port}/`, signingSecret: newSigningSecret() });
  const events = createSessionEvents({
    registry: { findFresh: async (id) => (id === agent.id ? agent : null) },
    http,
    logger: pino({ base: null }, { write: (line: string) => void log.push(line) }),
  });
  return { events, heard, log };
}

const START = { start: 'message', end: null };
const END = { start: null, end: { id: 'message', at: '2026-01-01T10:01:00Z', reason: 'idle' } };

function job(at: number, session: string, what: Pick<SessionEventsPayload, 'start' | 'end'>): SessionEventsPayload {
  const about = { agent: 'ada', conversation: 'c', channel: 'sms', started_at: '2026-01-01T10:00:00Z' };
  return { ...about, session, at, ...what };
}

test('what happened first is told first, in whatever order its jobs begin', async (t) => {
  const { events, heard } = await toldAgent(t);
  await Promise.all([job(3, 'a1', START), job(2, 'b1', END), job(1, 'b1', START)].map(events.run));
  await events.idle();
  assert.deepEqual(heard, ['session.start b1', 'session.end b1', 'session.start a1']);
});

test('an agent that hangs holds no job, misses what exceeds its line, and is named once', async (t) => {
  const never = new Promise<void>(() => {});
  const { events, heard, log } = await toldAgent(t, never);
  await events.run(job(0, '1', START));
  while (heard.length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let at = 1; at <= 510; at++) await events.run(job(at, '1', START));
  assert.equal(log.length, 1);
  assert.match(log[0]!, /"agent":"ada".*500 wait to be told already/);
  events.stop();
  await events.idle();
  assert.deepEqual(heard, ['session.start 1'], 'what waits is dropped by a stop');
});

test('whoever is not in the registry is told nothing', async (t) => {
  const { events, heard, log } = await toldAgent(t);
  await events.run({ ...job(1, '1', START), agent: 'gone' });
  await events.idle();
  assert.deepEqual([heard, log], [[], []]);
});
