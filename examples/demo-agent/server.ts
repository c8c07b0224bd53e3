// The demo agent: a small HTTP server that speaks the `envelope` protocol, on Node's built-ins alone.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { answer } from './answers.ts';
import { openReminders, type Reminder, type Reminders } from './reminders.ts';
import { isAuthentic, sign } from './signature.ts';

export type DemoAgentOptions = {
  /** 0 is any free port. */
  readonly port: number;
  readonly host?: string;
  /** `whsec_…`; the first one signs the answers. None yet: everything is answered 503 until `useCredentials`. */
  readonly signingSecrets: readonly string[];
  readonly apiKey: string | null;
  /** Where reminders are posted to. */
  readonly darkspereUrl: string;
  /** Holds the reminders. */
  readonly stateDir: string;
  /** First pause after a reminder could not be delivered, milliseconds. */
  readonly retryMs?: number;
  /** Called when Darkspere no longer knows the API key. */
  readonly onRefused?: () => void;
};

export type DemoAgent = {
  /** Its endpoint_url. */
  readonly url: string;
  useCredentials(credentials: { apiKey: string; signingSecrets: readonly string[] }): void;
  close(): Promise<void>;
};

type Envelope = {
  readonly type: string;
  readonly message_id: string;
  readonly payload: Readonly<Record<string, unknown>>;
};
type Reply = { readonly status: number; readonly type?: string; readonly payload?: Readonly<Record<string, unknown>> };

const MAX_BODY_BYTES = 1024 * 1024;
const POST_MS = 10_000;
const CAPABILITIES = ['chat'];

/** Starts the agent and resolves once it listens. */
export async function startDemoAgent(options: DemoAgentOptions): Promise<DemoAgent> {
  let credentials = { apiKey: options.apiKey, signingSecrets: options.signingSecrets };
  mkdirSync(options.stateDir, { recursive: true });
  const reminders = openReminders({
    file: join(options.stateDir, 'reminders.json'),
    retryMs: options.retryMs ?? 2000,
    deliver: (reminder, signal) => postReminder(options, credentials.apiKey, reminder, signal),
  });
  const server = createServer((request, response) => {
    serve(request, response, credentials.signingSecrets, reminders).catch(() => response.destroy());
  });
  // Longer than any client keeps an idle connection, so that it is never closed under a request that is on its way.
  server.keepAliveTimeout = 65_000;
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  }).catch(async (error: unknown) => {
    await reminders.close();
    throw error;
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/`,
    useCredentials(next) {
      credentials = next;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await reminders.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  secrets: readonly string[],
  reminders: Reminders,
) {
  if (request.method === 'GET') return send(response, { status: secrets.length > 0 ? 200 : 503 });
  if (request.method !== 'POST') return send(response, { status: 405 });
  const body = await readBody(request);
  if (body === null) return send(response, { status: 413 });
  if (secrets.length === 0)
    return send(response, problem(503, 'not_registered', 'The agent is still registering.', true));
  if (!isAuthentic(secrets, request.headers, body, Date.now())) {
    return send(response, problem(401, 'bad_signature', 'The signature is missing, wrong or too old.', false));
  }
  const envelope = parseEnvelope(body);
  if (envelope === null)
    return send(response, problem(400, 'bad_envelope', 'The body is not an envelope.', false), secrets[0]);
  return send(response, handle(envelope, reminders), secrets[0], envelope.message_id);
}

/** The whole body; null when it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseEnvelope(body: Buffer): Envelope | null {
  try {
    const { type, message_id, payload } = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
    if (typeof type !== 'string' || typeof message_id !== 'string') return null;
    return { type, message_id, payload: isObject(payload) ? payload : {} };
  } catch {
    return null;
  }
}

function handle(envelope: Envelope, reminders: Reminders): Reply {
  switch (envelope.type) {
    case 'chat.request':
      return chat(envelope, reminders);
    case 'health.check':
      return { status: 200, type: 'health.status', payload: { status: 'healthy', load: 0 } };
    case 'capabilities.request':
      return {
        status: 200,
        type: 'capabilities.response',
        payload: { capabilities: CAPABILITIES, version: '1.0.0', limits: { max_segments: 3 } },
      };
    case 'session.start':
    case 'session.end':
      return { status: 204 };
    default:
      return problem(400, 'unknown_type', 'The envelope has a type that this agent does not know.', false);
  }
}

function chat({ message_id, payload }: Envelope, reminders: Reminders): Reply {
  const { session_id, message, conversation_history: history, media, reply_budget: budget } = payload;
  if (typeof session_id !== 'string' || typeof message !== 'string') {
    return problem(400, 'bad_request', 'A chat.request needs session_id and message.', false);
  }
  // An agent that is called by an older bridge has only the session to go by.
  const conversationId = typeof payload.conversation_id === 'string' ? payload.conversation_id : session_id;
  const limits = isObject(budget) ? budget : {};
  const now = new Date();
  const said = answer(
    {
      text: message,
      history: Array.isArray(history) ? history.filter(isHistoryEntry) : [],
      mediaCount: Array.isArray(media) ? media.length : 0,
      // Without those that an earlier attempt of this very turn has set.
      reminders: reminders.of(conversationId).filter(({ id }) => !id.startsWith(`${message_id}:`)),
      now,
    },
    { maxCharacters: positive(limits.max_characters, 480), maxSegments: positive(limits.max_segments, 3) },
  );
  if (said.forget) reminders.forget(conversationId);
  said.reminders.forEach(({ text, inMs }, index) => {
    reminders.add({ id: `${message_id}:${index}`, conversationId, text, dueMs: now.getTime() + inMs });
  });
  return { status: 200, type: 'chat.response', payload: { session_id, message: said.text } };
}

async function postReminder(
  { darkspereUrl, onRefused }: DemoAgentOptions,
  apiKey: string | null,
  { id, conversationId, text }: Reminder,
  signal: AbortSignal,
): Promise<'done' | 'retry'> {
  if (apiKey === null) return 'retry';
  const url = `${darkspereUrl.replace(/\/+$/, '')}/v1/conversations/${encodeURIComponent(conversationId)}/messages`;
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json', 'idempotency-key': id },
    body: JSON.stringify({ text: `Reminder: ${text}` }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(POST_MS)]),
  });
  await response.body?.cancel();
  if (response.status === 401) onRefused?.();
  return response.status >= 500 || [401, 408, 425, 429].includes(response.status) ? 'retry' : 'done';
}

function send(response: ServerResponse, { status, type, payload }: Reply, secret?: string, inReplyTo?: string): void {
  if (type === undefined) {
    response.writeHead(status, status === 413 ? { connection: 'close' } : {}).end();
    return;
  }
  const id = randomUUID();
  const now = new Date();
  const body = JSON.stringify({
    type,
    message_id: id,
    ...(inReplyTo === undefined ? {} : { in_reply_to: inReplyTo }),
    timestamp: now.toISOString(),
    payload,
  });
  const seconds = Math.floor(now.getTime() / 1000);
  const signature =
    secret === undefined
      ? {}
      : {
          'webhook-id': id,
          'webhook-timestamp': String(seconds),
          'webhook-signature': sign(secret, id, seconds, body),
        };
  response.writeHead(status, { 'content-type': 'application/json', ...signature }).end(body);
}

function problem(status: number, code: string, message: string, retryable: boolean): Reply {
  return { status, type: 'error', payload: { code, message, retryable } };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isHistoryEntry(value: unknown): value is { role: 'user' | 'assistant'; content: string } {
  return isObject(value) && (value.role === 'user' || value.role === 'assistant') && typeof value.content === 'string';
}

function positive(value: unknown, otherwise: number): number {
  return typeof value === 'number' && value >= 1 ? value : otherwise;
}
