// A shopping list by text: an agent that is an MCP server with one tool. It serves every revision of the protocol.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { joinDarkspere } from '@darkspere/agent';
import { localhostHostValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { answer, type List } from './shopping-list.ts';

// By the handle of the session. What has to outlive a restart belongs into a database.
const lists = new Map<string, List>();
const MOST_LISTS = 10_000;

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'shopping-list', version: '1.0.0' });
  server.registerTool(
    'chat',
    {
      description: 'Keeps the shopping list of a conversation.',
      // These two names are all that Darkspere has to know: what was said, and in which conversation.
      inputSchema: z.object({ message: z.string(), conversation_id: z.string() }),
      outputSchema: z.object({ reply: z.string() }),
    },
    ({ message, conversation_id }) => {
      const { reply, list } = answer(message, lists.get(conversation_id) ?? []);
      lists.delete(conversation_id);
      lists.set(conversation_id, list);
      if (lists.size > MOST_LISTS) lists.delete(lists.keys().next().value ?? '');
      return { content: [{ type: 'text', text: reply }], structuredContent: { reply } };
    },
  );
  return server;
});

const token = process.env.AGENT_TOKEN;
const isForUs = localhostHostValidation();
const serve = toNodeHandler(handler) as RequestListener;
const server = createServer((request, response) => {
  if (!isForUs(request, response)) return;
  if (token && request.headers.authorization !== `Bearer ${token}`) response.writeHead(401).end();
  else serve(request, response);
});
await once(server.listen(Number(process.env.PORT ?? 9001), '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
const place = await joinDarkspere({
  name: 'shopping list',
  protocol: 'mcp',
  endpointUrl: url,
  ...(token ? { token } : {}),
});
console.log(`ready at ${url}`);

// A stop is said, and what runs is finished. Ctrl-C comes twice under npm: the second one changes nothing.
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, async () => {
    if (stopping) return;
    stopping = true;
    await place.sayDraining();
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), 25_000).unref();
  });
}
