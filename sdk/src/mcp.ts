// The agent as an MCP server with one tool, `chat`: the revision 2026-07-28 and every older one, at one address.
import { randomUUID } from 'node:crypto';
import type { CallToolResult, McpHttpHandler, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { HistoryEntry, Reply } from './chat.ts';
import { type Asked, asAgentError, type Chats, type Question } from './chats.ts';
import { createTranscripts } from './transcripts.ts';

/** Between two notes that the answer goes on. */
const PROGRESS_MS = 1_000;

const input = z.object({
  message: z.string().describe('What the person said.'),
  conversation_id: z.string().optional().describe('Names the conversation; the agent remembers what was said in it.'),
  message_id: z.string().optional().describe('Names the message: sent again, it is answered the same.'),
  history: z
    .array(z.object({ role: z.enum(['user', 'assistant']), content: z.string() }))
    .optional()
    .describe('What was said before, oldest first, when the caller keeps it.'),
});
const output = z.object({ reply: z.string(), conversation_id: z.string() });
type Input = z.infer<typeof input>;

export type McpParts = {
  readonly chats: Chats;
  readonly name: string;
  readonly version: string | undefined;
  readonly description: string;
};

/** The handler of `/mcp`. The library is loaded with the first call: most agents are never asked over MCP. */
export function createMcp({ chats, name, version, description }: McpParts): () => Promise<McpHttpHandler> {
  const transcripts = createTranscripts();

  const chat = async (given: Input, context: ServerContext): Promise<CallToolResult> => {
    const question = questionOf(given, transcripts.of);
    const progress = progressOf(context);
    try {
      const outcome = await chats.ask(question, context.mcpReq.signal, progress);
      const reply = outcome.kind === 'reply' ? outcome.reply : await outcome.answer;
      transcripts.note(question.sessionId, question.message, reply);
      return resultOf(reply, question.sessionId);
    } catch (error) {
      const { code, message } = asAgentError(error);
      return { isError: true, content: [{ type: 'text', text: `${code}: ${message}` }] };
    }
  };

  let handler: Promise<McpHttpHandler> | undefined;
  const load = async (): Promise<McpHttpHandler> => {
    const { createMcpHandler, McpServer } = await import('@modelcontextprotocol/server');
    return createMcpHandler(() => {
      const server = new McpServer({ name, version: version ?? '0' });
      const annotations = { readOnlyHint: false, destructiveHint: false };
      server.registerTool('chat', { description, inputSchema: input, outputSchema: output, annotations }, chat);
      return server;
    });
  };
  return () => (handler ??= load());
}

const toolCall = z.object({ method: z.literal('tools/call'), params: z.object({ arguments: input }) });

/** The question in a body, as `chat` will be asked it; null: the body begins no work. */
export function mcpQuestion(body: unknown): Asked | null {
  const { data } = toolCall.safeParse(body);
  if (data === undefined) return null;
  const { message, message_id: messageId = null, conversation_id: sessionId = '' } = data.params.arguments;
  return { protocol: 'mcp', sessionId, messageId, message };
}

function questionOf(given: Input, historyOf: (sessionId: string) => readonly HistoryEntry[]): Question {
  const sessionId = given.conversation_id ?? randomUUID();
  return {
    message: given.message,
    messageId: given.message_id ?? null,
    sessionId,
    conversationId: null,
    history: given.history?.map((entry) => ({ ...entry, timestamp: null })) ?? historyOf(sessionId),
    media: [],
    channel: null,
    replyBudget: { maxCharacters: 480, maxSegments: 3 },
    deadline: null,
    isReplay: false,
    protocol: 'mcp',
  };
}

function resultOf({ message, media = [] }: Reply, sessionId: string): CallToolResult {
  const links = media.map((uri) => ({
    type: 'resource_link' as const,
    uri,
    name: fileNameIn(uri),
    mimeType: 'image/*',
  }));
  return {
    content: [{ type: 'text', text: message }, ...links],
    structuredContent: { reply: message, conversation_id: sessionId },
  };
}

/** Tells who asked for it that the answer goes on, with what was added to it. */
function progressOf({ mcpReq }: ServerContext): ((piece: string) => void) | undefined {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  let progress = 0;
  let lastMs = performance.now();
  let message = '';
  return (piece) => {
    message += piece;
    if (performance.now() - lastMs < PROGRESS_MS) return;
    lastMs = performance.now();
    void mcpReq
      .notify({ method: 'notifications/progress', params: { progressToken, progress: ++progress, message } })
      .catch(() => undefined);
    message = '';
  };
}

function fileNameIn(uri: string): string {
  return new URL(uri).pathname.split('/').at(-1) || 'media';
}
