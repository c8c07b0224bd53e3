// What the conformance suite of MCP drives: our client, asked as a turn asks it. The suite appends the server's address and
// names the scenario in the environment.
import type { AgentCall } from '../../src/agents/agent.ts';
import { WELL } from '../../src/agents/health.ts';
import { createInvoke } from '../../src/agents/invoke.ts';
import { createEgress } from '../../src/security/guarded-fetch.ts';

const url = process.argv.at(-1) ?? '';
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}') as {
  toolCalls?: readonly { name: string; arguments: Record<string, unknown> }[];
};

/** The calls a scenario expects, as settings of the agent. */
const CALLS: Readonly<Record<string, readonly Record<string, unknown>[]>> = {
  tools_call: [{ tool: 'add_numbers', arguments: { a: 5, b: 3 } }],
  'http-standard-headers': [{ tool: 'test_headers', arguments: {} }],
  'sse-retry': [{ tool: 'test_reconnection', arguments: {} }],
};

const http = createEgress({ allow: ['127.0.0.1', '::1'], connectMs: 3_000 });
const invoke = createInvoke(http);
const deadlines = { connectMs: 3_000, firstByteMs: 10_000, totalMs: 15_000 };

async function ask(metadata: Record<string, unknown>): Promise<void> {
  const call: AgentCall = {
    agent: {
      ...WELL,
      id: '018f0000-0000-7000-8000-000000000001',
      name: 'conformance',
      type: 'chat',
      protocol: 'mcp',
      endpointUrl: url,
      capabilities: [],
      maxConcurrentSessions: 1,
      callsInProgress: 0,
      responseMs: 0,
      p99Ms: null,
      lastFailureAt: null,
      signingSecret: '',
      credential: null,
      metadata,
    },
    messageId: 'message-1',
    conversationId: 'conversation-1',
    sessionId: 'session-1',
    channel: 'sms',
    text: 'hello',
    media: [],
    history: [],
    replyBudget: { maxCharacters: 480, maxSegments: 3 },
    deadlines,
    signal: new AbortController().signal,
    thread: null,
    onProgress: () => undefined,
  };
  const { outcome } = await invoke(call);
  console.error(JSON.stringify({ scenario, metadata, outcome }));
}

const calls = context.toolCalls?.map((one) => ({ tool: one.name, arguments: one.arguments })) ??
  CALLS[scenario] ?? [{}];
for (const one of calls) await ask(one);
await http.destroy();
