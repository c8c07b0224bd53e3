// A shopping list by text: an agent that is an MCP server with one tool. It serves every revision of the protocol.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
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

const isForUs = localhostHostValidation();
const serve = toNodeHandler(handler) as RequestListener;
const server = createServer((request, response) => {
  if (isForUs(request, response)) serve(request, response);
});
await once(server.listen(Number(process.env.PORT ?? 9001), '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;

// An agent may register itself, or be registered by hand: see README.md.
if (process.env.REGISTRATION_SECRET !== undefined) {
  const response = await fetch(`${process.env.REGISTRATION_URL ?? 'http://127.0.0.1:8002'}/api/agents/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      registration_secret: process.env.REGISTRATION_SECRET,
      agent_name: 'shopping list',
      agent_type: process.env.AGENT_TYPE ?? 'chat',
      protocol: 'mcp',
      endpoint_url: url,
      capabilities: ['chat'],
    }),
  });
  if (!response.ok) throw new Error(`the registration was refused: ${await response.text()}`);
}
console.log(`ready at ${url}`);
