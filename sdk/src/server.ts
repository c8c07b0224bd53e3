// One port for everything: the envelope at `/`, MCP at `/mcp`, A2A at `/a2a` with its card, and whether the agent is well.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { McpHttpHandler } from '@modelcontextprotocol/server';
import { type A2a, a2aQuestion } from './a2a.ts';
import { hasToken, isLocal } from './access.ts';
import type { AgentError } from './chat.ts';
import type { Asked } from './chats.ts';
import type { createEnvelope } from './envelope.ts';
import { mcpQuestion } from './mcp.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const RECEIVE_MS = 30_000;
const RECEIVE_HEAD_MS = 10_000;

export type ServerParts = {
  readonly envelope: ReturnType<typeof createEnvelope>;
  readonly mcp: () => Promise<McpHttpHandler>;
  readonly a2a: () => Promise<A2a>;
  /** Tokens that open MCP and A2A. */
  readonly tokens: () => readonly string[];
  /** Callers on this machine need neither signature nor token. */
  readonly mayBeUnsigned: () => boolean;
  /** Why a question would not be begun now, or null. */
  readonly refusal: (question: Asked) => AgentError | null;
  /** Null when all is well, else why nothing can be answered. */
  readonly notReady: () => string | null;
  readonly onError: (error: unknown) => void;
};

/** A server that does not listen yet. */
export function createAgentServer(parts: ServerParts): Server {
  const server = createServer((request, response) => {
    route(parts, request, response).catch((error: unknown) => {
      parts.onError(error);
      if (!response.headersSent) response.writeHead(500).end();
      else response.destroy();
    });
  });
  // Longer than any client keeps an idle connection, so that it is never closed under a request that is on its way.
  server.keepAliveTimeout = 65_000;
  server.requestTimeout = RECEIVE_MS;
  server.headersTimeout = RECEIVE_HEAD_MS;
  return server;
}

/** Resolves with the port once it listens. Throws as net does; where the port is taken (`EADDRINUSE`), with what to do. */
export async function listen(server: Server, port: number, host: string): Promise<number> {
  const taken = `Port ${port} of ${host} is taken: name another one with PORT, or \`port\` (0 is any free one).`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? Object.assign(new Error(taken), { code: error.code }) : error),
    );
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function route(parts: ServerParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [pathname = '/'] = (request.url ?? '/').split('?');
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (pathname === '/.well-known/agent-card.json' && isRead) return sendCard(parts, request, response);
  if (isRead && pathname !== '/mcp') return sendHealth(parts, pathname, response);
  const isKnown = pathname === '/' || pathname === '/mcp' || pathname === '/a2a';
  if (!isKnown) return sendJson(response, 404, { error: 'There is nothing at this address.' });
  if (request.method !== 'POST' && pathname !== '/mcp') return sendJson(response, 405, { error: 'POST, please.' });
  const local = parts.mayBeUnsigned() && isLocal(request);
  if (pathname !== '/' && !local && !hasToken(request, parts.tokens())) {
    response.setHeader('www-authenticate', 'Bearer');
    return sendJson(response, 401, { error: 'The bearer token is missing or wrong.' });
  }
  const body = await readBody(request);
  if (body === null) {
    response.setHeader('connection', 'close');
    return sendJson(response, 413, { error: 'The body is larger than 1 MiB.' });
  }
  const signal = whenGone(response);
  if (pathname !== '/') {
    const refused = refusalOf(parts, pathname, body);
    if (refused !== null) return sendBusy(response, refused);
    return pathname === '/mcp'
      ? serveMcp(parts, request, response, body, signal)
      : serveA2a(parts, request, response, body);
  }
  const answer = await parts.envelope(request.headers, body, local, signal);
  response.writeHead(answer.status, answer.headers).end(answer.body);
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

/**
 * Why the question in a body would not be begun now. Said by the status, as over the envelope: inside the protocols it would be
 * a failure of the agent's, which is held against it and not asked again.
 */
function refusalOf({ refusal }: ServerParts, pathname: string, body: Buffer): AgentError | null {
  let read: unknown;
  try {
    read = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  const question = pathname === '/mcp' ? mcpQuestion(read) : a2aQuestion(read);
  return question === null ? null : refusal(question);
}

function sendBusy(response: ServerResponse, { code, message }: AgentError): void {
  response.setHeader('retry-after', '1');
  sendJson(response, 503, { error: `${code}: ${message}` });
}

/** Aborted when the caller hangs up before it has its answer. */
function whenGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}

function sendHealth({ notReady }: ServerParts, pathname: string, response: ServerResponse): void {
  const why = notReady();
  if (pathname === '/health') sendJson(response, 200, { status: 'alive' });
  else if (pathname === '/' || pathname === '/ready')
    sendJson(response, why === null ? 200 : 503, { status: why ?? 'ready' });
  else sendJson(response, 404, { error: 'There is nothing at this address.' });
}

async function sendCard({ a2a }: ServerParts, { headers }: IncomingMessage, response: ServerResponse): Promise<void> {
  const version = headers['a2a-version'];
  const card = await (await a2a()).card(typeof version === 'string' ? version : undefined);
  response.setHeader('vary', 'A2A-Version');
  sendJson(response, 200, card);
}

async function serveMcp(
  { mcp }: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const handler = await mcp();
  const method = request.method ?? 'POST';
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers))
    if (value !== undefined) headers.set(name, String(value));
  const asked = new Request('http://agent/mcp', {
    method,
    headers,
    signal,
    ...(method === 'POST' ? { body: new Uint8Array(body) } : {}),
  });
  const answer = await handler.fetch(asked);
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.body === null) return void response.end();
  const reader = answer.body.getReader();
  response.once('close', () => void reader.cancel().catch(() => undefined));
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) response.write(chunk.value);
  response.end();
}

async function serveA2a(
  { a2a }: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): Promise<void> {
  const answer = await (await a2a()).handle(body.toString('utf8'), request.headers);
  if (answer.kind === 'json') return sendJson(response, 200, answer.body);
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' };
  // The task goes on when its listener leaves; only the listening ends.
  response.once('close', () => void answer.events.return(undefined).catch(() => undefined));
  response.writeHead(200, headers);
  for await (const event of answer.events) response.write(`data: ${JSON.stringify(event)}\n\n`);
  response.end();
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
