// One HTTP server that plays any agent of any protocol, good, broken or hostile, and the calls that are made to it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dispatcher } from 'undici';
import type { Agent, AgentCall, AgentOutcome, AgentResult, Protocol } from '../../src/agents/agent.ts';
import { WELL } from '../../src/agents/health.ts';
import { createInvoke, type InvokeAgent } from '../../src/agents/invoke.ts';
import { createEgress } from '../../src/security/guarded-fetch.ts';
import { newSigningSecret } from '../../src/security/standard-webhooks.ts';

export type Seen = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};
export type Behaviour = (request: IncomingMessage, response: ServerResponse, seen: Seen) => void;

export type Failed = Extract<AgentOutcome, { kind: 'failed' }>;

export const SECRET = newSigningSecret();
export const at = new Date('2026-01-01T10:00:00Z');

export type Peer = Awaited<ReturnType<typeof startPeer>>;

/**
 * Starts the server. `isQuestion` tells the request that `invoke`'s behaviour answers from those before and beside it, which
 * `beside` answers: a handshake is not what most tests are about.
 */
export async function startPeer() {
  let behave: Behaviour = (_request, response) => response.end();
  let beside: Behaviour | null = null;
  let isQuestion: (seen: Seen) => boolean = () => true;
  const questions: Seen[] = [];
  const others: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const seen: Seen = {
        method: request.method ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
        url: request.url ?? '',
      };
      const asked = beside === null || isQuestion(seen);
      (asked ? questions : others).push(seen);
      (asked ? behave : beside!)(request, response, seen);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const http: Dispatcher = createEgress({ allow: ['127.0.0.1'], connectMs: 2_000 });
  let invokeAgent: InvokeAgent = createInvoke(http);

  return {
    port,
    http,
    /** Requests that the behaviour answered, and all others, since the last `invoke`. */
    questions,
    others,
    /** From now on the peer is this kind of agent, and nobody has met it before. */
    dress(dress: Pick<Dress, 'beside' | 'isQuestion'> | null) {
      beside = dress?.beside ?? null;
      isQuestion = dress?.isQuestion ?? (() => true);
      invokeAgent = createInvoke(http);
    },
    /** Calls the peer, which behaves as told. */
    async invoke(call: AgentCall, behaviour: Behaviour): Promise<AgentResult> {
      behave = behaviour;
      questions.length = 0;
      others.length = 0;
      return invokeAgent(call);
    },
    invokeAgent: (call: AgentCall) => invokeAgent(call),
    behave(behaviour: Behaviour) {
      behave = behaviour;
    },
    agent: (protocol: Protocol, more: Partial<Agent> = {}): Agent => ({
      ...WELL,
      id: '018f0000-0000-7000-8000-000000000001',
      name: 'Ada',
      type: 'chat',
      protocol,
      endpointUrl: `http://127.0.0.1:${port}/v1`,
      capabilities: [],
      maxConcurrentSessions: 10,
      callsInProgress: 0,
      responseMs: 0,
      p99Ms: null,
      lastFailureAt: null,
      signingSecret: SECRET,
      credential: 'sk-secret',
      metadata: {},
      ...more,
    }),
    async close() {
      await http.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A call of an agent, complete but for what a test is about. */
export const callTo = (agent: Agent, more: Partial<AgentCall> = {}): AgentCall => ({
  agent,
  messageId: 'turn-1',
  conversationId: 'conversation-1',
  sessionId: 'session-1',
  channel: 'sms',
  text: 'What is the weather?',
  media: [{ url: 'https://media.example/1.jpg', contentType: 'image/jpeg' }],
  history: [
    { role: 'user', content: 'Hi', timestamp: at },
    { role: 'assistant', content: 'Hello!', timestamp: at },
  ],
  replyBudget: { maxCharacters: 480, maxSegments: 3 },
  deadlines: { connectMs: 2_000, firstByteMs: 5_000, totalMs: 10_000 },
  signal: new AbortController().signal,
  thread: null,
  onProgress: () => undefined,
  ...more,
});

/** How the peer speaks one protocol. */
export type Dress = {
  readonly name: string;
  readonly protocol: Protocol;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** A right answer to the question. */
  saying(text: string, seen: Seen): unknown;
  /** Sends it, where that takes more than a body of JSON. */
  say?(text: string): Behaviour;
  isQuestion?(seen: Seen): boolean;
  readonly beside?: Behaviour;
  /** What the agent calls the thread of the session from then on. */
  readonly handle?: Readonly<Record<string, string>>;
  /** What follows a connection that broke before the answer, where it is not another try of the same agent. */
  readonly afterReset?: 'other';
};

type Value = unknown | ((seen: Seen) => unknown);

export const json =
  (value: Value, status = 200, headers: Record<string, string> = {}): Behaviour =>
  (_request, response, seen) => {
    const body = typeof value === 'function' ? value(seen) : value;
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

export const raw =
  (text: string | Buffer, status = 200, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'text/html', ...headers }).end(text);
  };

export function failedWith({ outcome }: Pick<AgentResult, 'outcome'>, expected: Partial<Failed>): void {
  assert.equal(outcome.kind, 'failed', JSON.stringify(outcome));
  for (const [key, value] of Object.entries(expected)) {
    assert.deepEqual(outcome[key as keyof AgentOutcome], value, `${key} of ${JSON.stringify(outcome)}`);
  }
}

export const reasonOf = ({ outcome }: Pick<AgentResult, 'outcome'>) => (outcome as Failed).reason;
