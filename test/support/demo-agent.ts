// What a test of the demo agent needs from the platform's side, written from the protocol, not from the agent's code.
import assert from 'node:assert/strict';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

export const SECRET = `whsec_${randomBytes(24).toString('base64')}`;
export const CONVERSATION = randomUUID();

export type Seen = { method: string; path: string; headers: IncomingHttpHeaders; body: string };

/** A stand-in for Darkspere: keeps what it is asked and answers what the test says. */
export async function darkspere(t: TestContext, answer: (seen: Seen) => { status: number; body?: unknown }, port = 0) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const one = { method: request.method!, path: request.url!, headers: request.headers, body };
    seen.push(one);
    const { status, body: text } = answer(one);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(text ?? {}));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

type Maybe<T> = T | undefined | null | false;

export async function until<T>(condition: () => Maybe<T> | Promise<Maybe<T>>, what: string): Promise<T> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const found = await condition();
    if (found !== undefined && found !== null && found !== false) return found;
    assert.ok(performance.now() < deadline, `waited in vain: ${what}`);
    await pause(10);
  }
}

export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'demo-agent-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function signature(secret: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

export type Call = { secret?: string; ageSeconds?: number; headers?: Record<string, string>; body?: string };

/** Posts an envelope signed as the platform signs it. */
export async function post(
  url: string,
  envelope: object,
  { secret = SECRET, ageSeconds = 0, headers = {}, body }: Call = {},
) {
  const text = body ?? JSON.stringify({ message_id: randomUUID(), timestamp: new Date().toISOString(), ...envelope });
  const id = randomUUID();
  const timestamp = String(Math.floor(Date.now() / 1000) - ageSeconds);
  const response = await fetch(url, {
    method: 'POST',
    body: text,
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': signature(secret, id, timestamp, text),
      ...headers,
    },
  });
  const answered = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text: answered,
    json: answered === '' ? null : JSON.parse(answered),
  };
}

export function chat(message: string, more: object = {}) {
  const payload = { session_id: 's-1', conversation_id: CONVERSATION, message, conversation_history: [], ...more };
  return { type: 'chat.request', payload };
}
