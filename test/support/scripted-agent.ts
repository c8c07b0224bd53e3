// An agent that does what a test says: a real HTTP server, registered through the real API.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Protocol } from '../../src/agents/agent.ts';

/** `payload` of a chat.request as it came over the wire. */
export type Payload = {
  readonly session_id: string;
  readonly conversation_id: string;
  readonly message: string;
  readonly conversation_history: readonly { role: 'user' | 'assistant'; content: string; timestamp: string }[];
  readonly media: readonly { url: string; content_type: string }[];
  readonly channel: string;
  readonly reply_budget: { readonly max_characters: number; readonly max_segments: number };
  readonly deadline: string;
};

export type Call = {
  readonly messageId: string;
  /** What the person said. */
  readonly text: string;
  readonly payload: Payload;
  readonly headers: IncomingHttpHeaders;
  /** True once the platform has hung up before the whole answer was written. */
  aborted: boolean;
  answered: boolean;
};

/** What it was told of a session, as it came over the wire. */
export type SessionNotice = {
  readonly type: 'session.start' | 'session.end';
  readonly messageId: string;
  readonly payload: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

/** What an agent does with a call: a text is a right answer, anything else is spelled out. */
export type Act =
  | string
  | {
      readonly text?: string;
      readonly endSession?: boolean;
      readonly media?: readonly string[];
      readonly status?: number;
      /** Instead of a right answer: an object is sent as JSON, a string as it is. */
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
      readonly delayMs?: number;
    };

/** May return HANG, or a promise that the test resolves when it is time. */
export type Behaviour = (payload: Payload, call: Call) => Act | Promise<Act>;

/** Never answers. */
export const HANG = new Promise<never>(() => {});

export type AgentOptions = {
  readonly name?: string;
  readonly type?: string;
  readonly protocol?: Protocol;
  readonly capabilities?: readonly string[];
  readonly maxConcurrentSessions?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** What it says when it is asked how it is; `healthy` unless told otherwise, HANG for nothing. */
  readonly probe?: () => string | Promise<never>;
  /** What it does when it is told of a session; 204 unless told otherwise, HANG for nothing. */
  readonly onSession?: (notice: SessionNotice) => Act | Promise<never>;
};

export type AgentHost = {
  readonly gateway: string;
  readonly registration: string;
  readonly registrationSecret: string;
};

/** What the post API answers: an id, or the error envelope. */
export type PostAnswer = {
  readonly id?: string;
  readonly status?: string;
  readonly error?: { readonly type: string; readonly code: string; readonly message: string; readonly param?: string };
};

export type ScriptedAgent = Awaited<ReturnType<typeof startScriptedAgent>>;

/** Starts an agent and registers it. */
export async function startScriptedAgent(host: AgentHost, first: Behaviour, options: AgentOptions = {}) {
  const { protocol = 'envelope' } = options;
  const calls: Call[] = [];
  const notices: SessionNotice[] = [];
  let behaviour = first;

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (isProbe(request, chunks)) return await answerProbe(response, chunks, options.probe?.() ?? 'healthy');
    const text = Buffer.concat(chunks).toString('utf8');
    const notice = readNotice(text, request.headers, protocol);
    if (notice !== null) {
      notices.push(notice);
      return await answerNotice(response, (await options.onSession?.(notice)) ?? { status: 204, body: '' });
    }
    const call = readCall(text, request.headers, protocol);
    calls.push(call);
    response.on('close', () => {
      call.answered = response.writableFinished;
      call.aborted = !response.writableFinished;
    });
    await answer(response, call, await behaviour(call.payload, call), protocol);
  });
  const listen = async (port: number) => {
    await once(server.listen(port, '127.0.0.1'), 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const down = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  const registered = await registerAgent(host, `http://127.0.0.1:${port}/`, options);

  return {
    id: registered.agent_id,
    port,
    apiKey: registered.api_key,
    signingSecret: registered.signing_secret,
    calls,
    /** What it was told of sessions, in the order in which it came. */
    notices,
    /** What the people said, call by call. */
    heard: () => calls.map((call) => call.text),
    behave(next: Behaviour) {
      behaviour = next;
    },
    /** Refuses connections from now on; running calls are cut off. */
    down,
    /** Listens again at the same address. */
    async up() {
      if (!server.listening) await listen(port);
    },
    /** Posts a text of its own (or, with in_reply_to, a late answer) as this agent. */
    async post(
      conversationId: string,
      body: unknown,
      {
        key = registered.api_key as string | null,
        idempotencyKey,
      }: { key?: string | null; idempotencyKey?: string } = {},
    ) {
      const response = await fetch(`${host.gateway}/v1/conversations/${conversationId}/messages`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        },
        body: JSON.stringify(body),
      });
      return { status: response.status, json: (await response.json()) as PostAnswer };
    },
  };
}

/** Not a person's text: it is not among the calls that tests count. */
function isProbe({ method }: IncomingMessage, chunks: readonly Buffer[]): boolean {
  return method !== 'POST' || JSON.parse(Buffer.concat(chunks).toString('utf8')).type === 'health.check';
}

async function answerProbe(
  response: ServerResponse,
  chunks: readonly Buffer[],
  says: string | Promise<never>,
): Promise<void> {
  const status = await says;
  response.writeHead(200, { 'content-type': 'application/json' });
  // A GET has no body, and its answer is not read.
  const { message_id } = JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}');
  response.end(JSON.stringify({ type: 'health.status', in_reply_to: message_id, payload: { status, load: 0 } }));
}

function readNotice(text: string, headers: IncomingHttpHeaders, protocol: Protocol): SessionNotice | null {
  const { type, message_id: messageId, payload } = JSON.parse(text);
  if (protocol !== 'envelope' || (type !== 'session.start' && type !== 'session.end')) return null;
  return { type, messageId, payload, headers, body: text };
}

async function answerNotice(response: ServerResponse, act: Act): Promise<void> {
  const { status = 200, body = '', delayMs = 0 } = typeof act === 'string' ? { body: act } : act;
  if (delayMs > 0) await pause(delayMs);
  response.writeHead(status);
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

function readCall(text: string, headers: IncomingHttpHeaders, protocol: Protocol): Call {
  const body = JSON.parse(text);
  const rest = { headers, aborted: false, answered: false };
  if (protocol === 'envelope')
    return { messageId: body.message_id, text: body.payload.message, payload: body.payload, ...rest };
  return { messageId: body.id ?? '', text: body.messages.at(-1).content, payload: body, ...rest };
}

async function answer(response: ServerResponse, call: Call, act: Act, protocol: Protocol): Promise<void> {
  const { status = 200, headers = {}, delayMs = 0, ...said } = typeof act === 'string' ? { text: act } : act;
  if (delayMs > 0) await pause(delayMs);
  const body = 'body' in said ? said.body : status >= 300 || status === 202 ? {} : rightAnswer(call, said, protocol);
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** What the protocol expects, for tests that change a detail of it. */
export function rightAnswer(
  call: Call,
  said: { text?: string; endSession?: boolean; media?: readonly string[] },
  protocol: Protocol = 'envelope',
) {
  if (protocol === 'openai') return { choices: [{ message: { role: 'assistant', content: said.text ?? '' } }] };
  return {
    type: 'chat.response',
    message_id: `answer-to-${call.messageId}`,
    in_reply_to: call.messageId,
    timestamp: new Date().toISOString(),
    payload: {
      session_id: call.payload.session_id,
      message: said.text ?? '',
      ...(said.endSession === undefined ? {} : { end_session: said.endSession }),
      ...(said.media === undefined ? {} : { media: said.media }),
    },
  };
}

/** Registers an agent that is somewhere already, without a probe: tests count what agents are asked. */
export async function registerAgent(host: AgentHost, endpointUrl: string, options: AgentOptions) {
  const response = await fetch(`${host.registration}/api/agents/register?probe=skip`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      registration_secret: host.registrationSecret,
      agent_name: options.name ?? 'Scripted',
      agent_type: options.type ?? 'chat',
      endpoint_url: endpointUrl,
      capabilities: options.capabilities ?? [],
      ...(options.protocol === undefined ? {} : { protocol: options.protocol }),
      ...(options.maxConcurrentSessions === undefined
        ? {}
        : { max_concurrent_sessions: options.maxConcurrentSessions }),
      ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
    }),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`The agent could not register: ${response.status} ${text}`);
  return JSON.parse(text) as { agent_id: string; api_key: string; signing_secret: string };
}
