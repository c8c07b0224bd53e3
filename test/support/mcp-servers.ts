// MCP servers not written here, as agents: the SDK's own of both eras, the older SDK, and the reference server.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer as OldServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { createMcpHandler, McpServer, type ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { until } from './until.ts';

export type McpAnswer = string | { text: string; structured?: Record<string, unknown>; isError?: boolean };
/** What the agent does with a call of its tool `chat`. */
export type McpChat = (args: McpArguments, context: McpContext) => McpAnswer | Promise<McpAnswer>;
type McpArguments = { message: string; conversation_id?: string | undefined };
type McpContext = { readonly signal: AbortSignal; progress(message: string): Promise<void> };
/** In the older eras a server may ask its client something while it is called. */
type OldMcpChat = (
  args: McpArguments,
  context: McpContext & { ask(method: 'ping' | 'roots/list'): Promise<void> },
) => McpAnswer | Promise<McpAnswer>;

export type Listening = { readonly url: string; close(): Promise<void> };

const chatInput = z.object({ message: z.string(), conversation_id: z.string().optional() });
const NAME = { name: 'test-agent', version: '1.0.0' };

function resultOf(answer: McpAnswer) {
  const { text, structured, isError } = typeof answer === 'string' ? { text: answer } : answer;
  return {
    content: [{ type: 'text' as const, text }],
    ...(structured === undefined ? {} : { structuredContent: structured }),
    ...(isError === undefined ? {} : { isError }),
  };
}

/** Serves both eras at one address, as the current SDK does. */
export async function startMcpAgent(chat: McpChat): Promise<Listening> {
  const handler = createMcpHandler(() => {
    const server = new McpServer(NAME);
    server.registerTool('chat', { inputSchema: chatInput }, async (args, ctx: ServerContext) => {
      const progressToken = ctx.mcpReq._meta?.progressToken;
      let count = 0;
      const progress = async (message: string) => {
        if (progressToken === undefined) return;
        await ctx.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress: ++count, message },
        });
      };
      return resultOf(await chat(args, { signal: ctx.mcpReq.signal, progress }));
    });
    return server;
  });
  return listen(toNodeHandler(handler) as RequestListener);
}

/** A server of the older SDK with sessions, which knows only the older eras. `version`: one of them instead of the newest. */
export async function startOldMcpAgent(
  chat: OldMcpChat,
  version?: string,
): Promise<Listening & { readonly sessions: Map<string, unknown> }> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const listening = await listen(async (request, response) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    const transport =
      known ??
      new StreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: (opened) => void sessions.set(opened, transport),
        onsessionclosed: (closed) => void sessions.delete(closed),
      });
    if (known === undefined) {
      const server = new OldServer(NAME);
      server.registerTool('chat', { inputSchema: chatInput.shape }, async (args, { signal, sendRequest }) => {
        const ask = async (method: 'ping' | 'roots/list') => void (await sendRequest({ method }, ResultSchema));
        return resultOf(await chat(args, { signal, progress: async () => undefined, ask }));
      });
      await server.connect(transport as Parameters<typeof server.connect>[0]);
    }
    const body = request.method === 'POST' ? JSON.parse(await text(request)) : undefined;
    if (version !== undefined && body?.method === 'initialize') body.params.protocolVersion = version;
    await transport.handleRequest(request, response, body);
  });
  return { ...listening, sessions };
}

/** The reference server, a program of its own. */
export async function startServerEverything(): Promise<Listening & { readonly output: () => string }> {
  const free = await listen(() => undefined);
  await free.close();
  const { port } = new URL(free.url);
  const main = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
  const child = spawn(process.execPath, [main, 'streamableHttp'], {
    env: { ...process.env, PORT: port },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  await until(() => output.includes('listening'), { what: 'the reference server', timeoutMs: 30_000 });
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    output: () => output,
    async close() {
      child.kill();
      await once(child, 'exit');
    },
  };
}

async function listen(listener: RequestListener): Promise<Listening> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
