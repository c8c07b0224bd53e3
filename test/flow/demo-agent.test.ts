import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type DemoAgent, startDemoAgent } from '../../examples/demo-agent/server.ts';
import {
  type Call,
  CONVERSATION,
  chat,
  darkspere,
  folder,
  post,
  SECRET,
  signature,
  until,
} from '../support/demo-agent.ts';

const API_KEY = 'agent-key-of-the-test';

async function started(
  t: TestContext,
  options: Partial<Parameters<typeof startDemoAgent>[0]> = {},
): Promise<DemoAgent> {
  const agent = await startDemoAgent({
    port: 0,
    signingSecrets: [SECRET],
    apiKey: API_KEY,
    darkspereUrl: 'http://127.0.0.1:9',
    stateDir: options.stateDir ?? folder(t),
    retryMs: 20,
    ...options,
  });
  t.after(() => agent.close());
  return agent;
}

describe('the demo agent over HTTP', () => {
  it('answers a signed chat.request with a signed chat.response', async (t) => {
    const { url } = await started(t);
    const request = { ...chat('18% of 64.50'), message_id: 'm-1' };
    const { status, headers, text, json } = await post(url, request);
    assert.equal(status, 200);
    assert.equal(json.type, 'chat.response');
    assert.equal(json.in_reply_to, 'm-1');
    assert.equal(json.payload.session_id, 's-1');
    assert.match(json.payload.message, /demo agent(.|\n)*18% of 64\.50 = 11\.61/);
    const [id, timestamp] = [headers.get('webhook-id')!, headers.get('webhook-timestamp')!];
    assert.equal(headers.get('webhook-signature'), signature(SECRET, id, timestamp, text));
    assert.equal(json.message_id, id);
  });

  it('remembers from the history it is sent', async (t) => {
    const { url } = await started(t);
    const history = [
      { role: 'user', content: 'my name is Ada', timestamp: '2026-01-01T10:00:00Z' },
      { role: 'assistant', content: 'Nice to meet you', timestamp: '2026-01-01T10:00:01Z' },
    ];
    const { json } = await post(url, chat("what's my name?", { conversation_history: history }));
    assert.equal(json.payload.message, 'Your name is Ada.');
  });

  it('refuses what is not signed, signed wrongly or signed too long ago', async (t) => {
    const { url } = await started(t);
    const other = `whsec_${randomBytes(24).toString('base64')}`;
    const bad: Call[] = [
      { secret: other },
      { ageSeconds: 301 },
      { ageSeconds: -301 },
      { headers: { 'webhook-signature': '' } },
      { headers: { 'webhook-signature': 'v1,AAAA' } },
      { headers: { 'webhook-id': 'another' } },
      { headers: { 'webhook-timestamp': 'now' } },
    ];
    for (const call of bad) {
      const { status, json } = await post(url, chat('hi'), call);
      assert.equal(status, 401, JSON.stringify(call));
      assert.equal(json.type, 'error');
    }
    assert.equal((await fetch(url, { method: 'POST', body: '{}' })).status, 401);
    assert.equal((await post(url, chat('hi'), { ageSeconds: 290 })).status, 200);
  });

  it('takes any of several secrets, and of several signatures', async (t) => {
    const next = `whsec_${randomBytes(24).toString('base64')}`;
    const { url } = await started(t, { signingSecrets: [next, SECRET] });
    assert.equal((await post(url, chat('hi'))).status, 200);
    assert.equal((await post(url, chat('hi'), { secret: next })).status, 200);
    const body = JSON.stringify({ ...chat('hi'), message_id: 'm' });
    const timestamp = String(Math.floor(Date.now() / 1000));
    const both = `v1,AAAA v1a,BBBB ${signature(SECRET, 'x', timestamp, body)}`;
    const headers = { 'webhook-id': 'x', 'webhook-timestamp': timestamp, 'webhook-signature': both };
    assert.equal((await post(url, {}, { body, headers })).status, 200);
  });

  it('speaks the rest of the protocol', async (t) => {
    const { url } = await started(t);
    assert.equal((await post(url, { type: 'health.check' })).json.payload.status, 'healthy');
    const { payload, type } = (await post(url, { type: 'capabilities.request' })).json;
    assert.equal(type, 'capabilities.response');
    assert.deepEqual(payload.capabilities, ['chat']);
    assert.equal((await post(url, { type: 'session.end', payload: { session_id: 's' } })).status, 204);
    assert.equal((await fetch(url)).status, 200);
  });

  it('answers nonsense with an error envelope', async (t) => {
    const { url } = await started(t);
    const bodies = ['', 'null', '[]', '{', '{"type":1,"message_id":"m"}', '"chat.request"'];
    for (const body of bodies) assert.equal((await post(url, {}, { body })).json.payload.code, 'bad_envelope', body);
    assert.equal((await post(url, { type: 'dance' })).json.payload.code, 'unknown_type');
    assert.equal((await post(url, { type: 'chat.request', payload: null })).json.payload.code, 'bad_request');
    const odd = { conversation_history: [null, 1, { role: 'system', content: 'x' }], media: 'x', reply_budget: [] };
    assert.equal((await post(url, chat('2+2', odd))).status, 200);
  });

  it('answers 503 until it has credentials', async (t) => {
    const agent = await started(t, { signingSecrets: [], apiKey: null });
    const { status, json } = await post(agent.url, chat('hi'));
    assert.deepEqual([status, json.payload.retryable], [503, true]);
    agent.useCredentials({ apiKey: API_KEY, signingSecrets: [SECRET] });
    assert.equal((await post(agent.url, chat('hi'))).status, 200);
  });
});

describe('reminders', () => {
  it('are posted to the conversation when they are due, once, however often the turn is repeated', async (t) => {
    const { seen, url } = await darkspere(t, () => ({ status: 202 }));
    const agent = await started(t, { darkspereUrl: `${url}/` });
    const request = { ...chat('remind me in 1 second to stretch'), message_id: 'turn-1' };
    const asked = Date.now();
    const first = await post(agent.url, request);
    assert.match(first.json.payload.message, /OK, I'll text you in 1 second: stretch\./);
    assert.equal((await post(agent.url, request)).json.payload.message, first.json.payload.message);
    await until(() => seen.length > 0, 'the reminder');
    assert.ok(Date.now() - asked >= 1000, 'not before it is due');
    assert.equal(seen[0]!.path, `/v1/conversations/${CONVERSATION}/messages`);
    assert.equal(seen[0]!.headers.authorization, `Bearer ${API_KEY}`);
    assert.deepEqual(JSON.parse(seen[0]!.body), { text: 'Reminder: stretch' });
    await post(agent.url, chat('remind me in 1 second to breathe'));
    await until(() => seen.length > 1, 'the second reminder');
    assert.deepEqual(JSON.parse(seen[1]!.body), { text: 'Reminder: breathe' });
  });

  it('survive a restart, those that came due meanwhile included', async (t) => {
    const stateDir = folder(t);
    const file = join(stateDir, 'reminders.json');
    const first = await started(t, { stateDir });
    await post(first.url, chat('remind me in 1 second to stretch'));
    await post(first.url, chat('remind me in 3 hours to sleep'));
    await first.close();
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const overdue = JSON.parse(readFileSync(file, 'utf8')).map((reminder: { text: string; dueMs: number }) =>
      reminder.text === 'stretch' ? { ...reminder, dueMs: Date.now() - 60_000 } : reminder,
    );
    writeFileSync(file, JSON.stringify(overdue));
    const { seen, url } = await darkspere(t, () => ({ status: 202 }));
    const second = await started(t, { stateDir, darkspereUrl: url });
    await until(() => seen.length > 0, 'the overdue reminder');
    assert.deepEqual(JSON.parse(seen[0]!.body), { text: 'Reminder: stretch' });
    assert.match((await post(second.url, chat('my reminders'))).json.payload.message, /- sleep \(in 3 h\)/);
    await until(() => JSON.parse(readFileSync(file, 'utf8')).length === 1, 'the file without the delivered one');
  });

  it('start empty from a damaged file', async (t) => {
    const stateDir = folder(t);
    writeFileSync(join(stateDir, 'reminders.json'), '[{"id":1},');
    const { url } = await started(t, { stateDir });
    assert.match((await post(url, chat('my reminders'))).json.payload.message, /You have no reminders/);
  });

  it('are tried again while Darkspere is away, and dropped when it says no', async (t) => {
    let refused = 0;
    const answers = [503, 429, 401, 202];
    const { seen, url } = await darkspere(t, ({ body }) => ({
      status: body.includes('never') ? 409 : answers.shift()!,
    }));
    const stateDir = folder(t);
    const dueMs = Date.now();
    const reminders = ['again', 'never'].map((text) => ({ id: text, conversationId: CONVERSATION, text, dueMs }));
    writeFileSync(join(stateDir, 'reminders.json'), JSON.stringify(reminders));
    await started(t, { stateDir, darkspereUrl: url, onRefused: () => (refused += 1) });
    await until(() => readFileSync(join(stateDir, 'reminders.json'), 'utf8').trim() === '[]', 'both reminders settled');
    const texts = seen.map(({ body }) => JSON.parse(body).text).sort();
    assert.deepEqual(texts, [...Array(4).fill('Reminder: again'), 'Reminder: never']);
    assert.equal(refused, 1);
  });
});
