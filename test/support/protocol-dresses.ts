// How a peer speaks each protocol by hand, without any library: what is on the wire is what the protocol says.
import type { Dress, Seen } from './protocol-peer.ts';

export const chat = (payload: object = {}, more: object = {}) => ({
  type: 'chat.response',
  message_id: 'm',
  in_reply_to: 'turn-1',
  timestamp: '2026-01-01T10:00:00.000Z',
  payload: { session_id: 'session-1', message: 'Sunny.', ...payload },
  ...more,
});

export const completion = (message: object = {}, choice: object = {}) => ({
  id: 'c',
  choices: [
    { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Sunny.', ...message }, ...choice },
  ],
  usage: { total_tokens: 3 },
});

/** A response of the Responses API, and a message in it. */
export const response = (more: object = {}) => ({ id: 'response-1', object: 'response', status: 'completed', ...more });
export const said = (text: string, more: object = {}) => ({
  type: 'message',
  role: 'assistant',
  content: [{ type: 'output_text', text, annotations: [] }],
  ...more,
});

export type Rpc = {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
};
export const rpcOf = (seen: Seen): Rpc => (seen.body === '' ? {} : (JSON.parse(seen.body) as Rpc));
export const resultOf = (seen: Seen, result: object) => ({ jsonrpc: '2.0', id: rpcOf(seen).id, result });
export const errorOf = (seen: Seen, code: number, message = 'no') => ({
  jsonrpc: '2.0',
  id: rpcOf(seen).id ?? null,
  error: { code, message },
});

export const toolResult = (seen: Seen, result: object) => resultOf(seen, { resultType: 'complete', ...result });

/** The tool of the MCP peers unless a test lists others. */
export const CHAT_TOOL = {
  name: 'chat',
  inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
};

/** An MCP server of one era with these tools, but for `tools/call`. */
export function mcpDress(era: '2026-07-28' | '2025-11-25', tools: readonly object[] = [CHAT_TOOL]): Dress {
  const isModern = era === '2026-07-28';
  return {
    name: `mcp ${era}`,
    protocol: 'mcp',
    afterReset: 'other',
    saying: (text, seen) => toolResult(seen, { content: [{ type: 'text', text }] }),
    isQuestion: (seen) => rpcOf(seen).method === 'tools/call',
    beside(_request, response, seen) {
      const send = (body: object, status = 200) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      const info = { capabilities: { tools: {} }, serverInfo: { name: 'peer', version: '1' } };
      switch (rpcOf(seen).method) {
        case 'server/discover':
          if (!isModern) return send(errorOf(seen, -32601), 400);
          return send(
            resultOf(seen, {
              resultType: 'complete',
              supportedVersions: [era],
              ttlMs: 0,
              cacheScope: 'private',
              ...info,
            }),
          );
        case 'initialize':
          if (isModern) return send(errorOf(seen, -32601), 400);
          return send(resultOf(seen, { protocolVersion: era, ...info }));
        case 'ping':
          return send(resultOf(seen, {}));
        case 'tools/list':
          return send(toolResult(seen, { tools, ttlMs: 0, cacheScope: 'private' }));
        default:
          return response.writeHead(202).end();
      }
    },
  };
}

/** An A2A agent of one version, but for the message itself. */
export function a2aDress(version: '1.0' | '0.3', { streams = false, skills = [] as readonly object[] } = {}): Dress {
  const isNew = version === '1.0';
  const asks = new Set(['SendMessage', 'SendStreamingMessage', 'message/send', 'message/stream']);
  const message = (text: string) =>
    isNew
      ? { message: { messageId: 'm', contextId: 'context-1', role: 'ROLE_AGENT', parts: [{ text }] } }
      : { kind: 'message', messageId: 'm', contextId: 'context-1', role: 'agent', parts: [{ kind: 'text', text }] };
  const saying = (text: string, seen: Seen) => resultOf(seen, message(text));
  return {
    name: `a2a ${version}${streams ? ' in a stream' : ''}`,
    protocol: 'a2a',
    afterReset: 'other',
    handle: { context: 'context-1' },
    saying,
    ...(streams
      ? {
          say: (text) => (_request, response, seen) =>
            response
              .writeHead(200, { 'content-type': 'text/event-stream' })
              .end(`data: ${JSON.stringify(saying(text, seen))}\n\n`),
        }
      : {}),
    isQuestion: (seen) => asks.has(rpcOf(seen).method ?? ''),
    beside(request, response, seen) {
      const url = `http://${request.headers.host}/v1`;
      const card = {
        name: 'peer',
        description: 'A peer',
        version: '1',
        capabilities: { streaming: streams },
        defaultInputModes: ['text/plain'],
        defaultOutputModes: ['text/plain'],
        skills,
        ...(isNew
          ? { supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }] }
          : { url, preferredTransport: 'JSONRPC', protocolVersion: '0.3.0' }),
      };
      const body = seen.url.endsWith('/agent-card.json') ? card : errorOf(seen, -32001);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    },
  };
}

export const DRESSES: readonly Dress[] = [
  { name: 'envelope', protocol: 'envelope', saying: (text) => chat({ message: text }) },
  { name: 'openai', protocol: 'openai', saying: (text) => completion({ content: text }) },
  {
    name: 'openai responses',
    protocol: 'openai',
    metadata: { api: 'responses' },
    handle: { response: 'response-1' },
    saying: (text) => response({ output: [said(text)] }),
  },
  {
    name: 'webhook',
    protocol: 'webhook',
    metadata: { body: { ask: '{{text}}', before: '{{history}}' } },
    saying: (text) => ({ reply: text }),
  },
  mcpDress('2026-07-28'),
  mcpDress('2025-11-25'),
  a2aDress('1.0'),
  a2aDress('1.0', { streams: true }),
  a2aDress('0.3'),
];
