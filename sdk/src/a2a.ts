// The agent over A2A, 1.0 and 0.3, JSON-RPC: one task per question, its answer an artifact that grows while it is written.
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { AgentCard, Message, Part, Task, TaskState } from '@a2a-js/sdk';
import type { AgentExecutor, ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { z } from 'zod';
import { createTaskStore } from './a2a-tasks.ts';
import type { Reply } from './chat.ts';
import { type Asked, asAgentError, type Chats, type Question } from './chats.ts';
import { createTranscripts } from './transcripts.ts';

/** A message as both versions have it, as far as it tells one from another. */
const sent = z.object({
  method: z.enum(['SendMessage', 'SendStreamingMessage', 'message/send', 'message/stream']),
  params: z.object({
    message: z.object({
      messageId: z.string(),
      contextId: z.string().nullish(),
      parts: z.array(z.object({ text: z.string().optional() })),
    }),
  }),
});

/** The question in a body, as it will be asked; null: the body begins no work. */
export function a2aQuestion(body: unknown): Asked | null {
  const { data } = sent.safeParse(body);
  if (data === undefined) return null;
  const { messageId, contextId, parts } = data.params.message;
  const texts = parts.flatMap(({ text }) => (text === undefined ? [] : [text]));
  return {
    protocol: 'a2a',
    sessionId: contextId ?? '',
    messageId: messageId === '' ? null : messageId,
    message: texts.at(-1) ?? '',
  };
}

export type A2aParts = {
  readonly chats: Chats;
  readonly name: string;
  readonly version: string | undefined;
  readonly description: string;
  readonly capabilities: readonly string[];
  /** Where the agent is reached, without a slash at its end. */
  readonly url: () => string;
  /** A token opens it; else only callers on this machine. */
  readonly hasToken: () => boolean;
};

export type A2aAnswer =
  | { readonly kind: 'json'; readonly body: unknown }
  | { readonly kind: 'stream'; readonly events: AsyncGenerator<unknown> };
export type A2a = {
  /** The card in the form that a client of this version reads. */
  card(version: string | undefined): Promise<unknown>;
  /** Answers a JSON-RPC body; failures are answers too. */
  handle(body: string, headers: IncomingHttpHeaders): Promise<A2aAnswer>;
};

/** The library is loaded with the first call: most agents are never asked over A2A. */
export function createA2a(parts: A2aParts): () => Promise<A2a> {
  let loaded: Promise<A2a> | undefined;
  return () => (loaded ??= load(parts));
}

async function load(parts: A2aParts): Promise<A2a> {
  const a2a = await import('@a2a-js/sdk');
  const { DefaultRequestHandler, defaultServerCallContextBuilder, JsonRpcTransportHandler, validateVersion } =
    await import('@a2a-js/sdk/server');
  const { LegacyJsonRpcTransportHandler } = await import('@a2a-js/sdk/compat/v0_3/server');
  const card = cardOf(parts);
  const handler = new DefaultRequestHandler(card, createTaskStore(), await executorOf(parts));
  const current = new JsonRpcTransportHandler(handler);
  const legacy = new LegacyJsonRpcTransportHandler(handler);

  return {
    card: async (version) =>
      isLegacy(version) ? legacyCard(card, a2a.AgentCard.toJSON(card)) : a2a.AgentCard.toJSON(card),
    async handle(body, headers) {
      const version = headerOf(headers, a2a.A2A_VERSION_HEADER.toLowerCase());
      const old = isLegacy(version);
      const mapError = old
        ? LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError
        : JsonRpcTransportHandler.mapToJSONRPCError;
      try {
        const extensions = a2a.Extensions.parseServiceParameter(
          headerOf(headers, a2a.HTTP_EXTENSION_HEADER.toLowerCase()),
        );
        const context = defaultServerCallContextBuilder({
          extensions,
          user: undefined,
          headers,
          ...(version === undefined ? {} : { requestedVersion: version }),
        });
        validateVersion(context.requestedVersion, card, 'JSONRPC');
        const said = await (old ? legacy : current).handle(body, context);
        return Symbol.asyncIterator in said ? { kind: 'stream', events: said } : { kind: 'json', body: said };
      } catch (error) {
        return { kind: 'json', body: { jsonrpc: '2.0', id: null, error: mapError(error) } };
      }
    },
  };
}

async function executorOf({ chats }: A2aParts): Promise<AgentExecutor> {
  const { Role, TaskState: states } = await import('@a2a-js/sdk');
  const { AgentEvent } = await import('@a2a-js/sdk/server');
  const transcripts = createTranscripts();
  const cancels = new Map<string, AbortController>();

  const status = (bus: ExecutionEventBus, taskId: string, contextId: string, state: TaskState, words?: string) => {
    const message: Message | undefined =
      words === undefined
        ? undefined
        : {
            messageId: randomUUID(),
            contextId,
            taskId,
            role: Role.ROLE_AGENT,
            parts: [textPart(words)],
            metadata: undefined,
            extensions: [],
            referenceTaskIds: [],
          };
    const at = { state, message, timestamp: new Date().toISOString() };
    bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: at, metadata: undefined }));
  };

  return {
    async execute({ userMessage, task, taskId, contextId }: RequestContext, bus) {
      // Every stream begins with the task, also one that goes on with it.
      bus.publish(AgentEvent.task(task ?? newTask(taskId, contextId, userMessage, states.TASK_STATE_SUBMITTED)));
      const cancel = new AbortController();
      cancels.set(taskId, cancel);
      const artifactId = randomUUID();
      let pieces = 0;
      const publish = (parts: Part[], append: boolean, lastChunk: boolean) => {
        const artifact = { artifactId, name: 'reply', description: '', parts, metadata: undefined, extensions: [] };
        bus.publish(AgentEvent.artifactUpdate({ taskId, contextId, artifact, append, lastChunk, metadata: undefined }));
      };
      try {
        status(bus, taskId, contextId, states.TASK_STATE_WORKING);
        const question = questionOf(userMessage, contextId, transcripts.of(contextId));
        const outcome = await chats.ask(question, cancel.signal, (piece) =>
          publish([textPart(piece)], pieces++ > 0, false),
        );
        const reply = outcome.kind === 'reply' ? outcome.reply : await outcome.answer;
        transcripts.note(contextId, question.message, reply);
        // Whoever joined late has not heard the pieces before; the whole replaces them.
        publish(partsOf(reply), false, true);
        status(bus, taskId, contextId, states.TASK_STATE_COMPLETED);
      } catch (error) {
        // Its cancellation has been told already.
        if (cancel.signal.aborted) return;
        const { code, message } = asAgentError(error);
        status(bus, taskId, contextId, states.TASK_STATE_FAILED, `${code}: ${message}`);
      } finally {
        cancels.delete(taskId);
        bus.finished();
      }
    },
    async cancelTask(taskId, bus) {
      status(bus, taskId, '', states.TASK_STATE_CANCELED);
      cancels.get(taskId)?.abort();
      bus.finished();
    },
  };
}

function questionOf(asked: Message, contextId: string, remembered: Question['history']): Question {
  const texts = asked.parts.flatMap(({ content }) => (content?.$case === 'text' ? [content.value] : []));
  // The newest words come last; before them may stand what was said to another agent.
  const earlier = texts.slice(0, -1).map((content) => ({ role: 'user' as const, content, timestamp: null }));
  return {
    message: texts.at(-1) ?? '',
    messageId: asked.messageId === '' ? null : asked.messageId,
    sessionId: contextId,
    conversationId: null,
    history: [...remembered, ...earlier],
    media: asked.parts.flatMap(({ content, mediaType }) =>
      content?.$case === 'url' ? [{ url: content.value, contentType: mediaType === '' ? null : mediaType }] : [],
    ),
    channel: null,
    replyBudget: { maxCharacters: 480, maxSegments: 3 },
    deadline: null,
    isReplay: false,
    protocol: 'a2a',
  };
}

function partsOf({ message, media = [] }: Reply): Part[] {
  const links = media.map(
    (value): Part => ({ content: { $case: 'url', value }, metadata: undefined, filename: '', mediaType: 'image/*' }),
  );
  return [textPart(message), ...links];
}

function textPart(value: string): Part {
  return { content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: 'text/plain' };
}

function newTask(id: string, contextId: string, question: Message, state: TaskState): Task {
  const status = { state, message: undefined, timestamp: undefined };
  return { id, contextId, status, artifacts: [], history: [question], metadata: undefined };
}

function cardOf({ name, version, description, capabilities, url, hasToken }: A2aParts): AgentCard {
  const bearer = {
    $case: 'httpAuthSecurityScheme' as const,
    value: { description: '', scheme: 'Bearer', bearerFormat: '' },
  };
  return {
    name,
    description,
    version: version ?? '0',
    supportedInterfaces: ['1.0', '0.3'].map((protocolVersion) => ({
      url: `${url()}/a2a`,
      protocolBinding: 'JSONRPC',
      tenant: '',
      protocolVersion,
    })),
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extensions: [] },
    securitySchemes: hasToken() ? { bearer: { scheme: bearer } } : {},
    securityRequirements: hasToken() ? [{ schemes: { bearer: { list: [] } } }] : [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: capabilities.map((id) => ({
      id,
      name: id,
      description,
      tags: [],
      examples: [],
      inputModes: [],
      outputModes: [],
      securityRequirements: [],
    })),
    signatures: [],
  };
}

/** What a client of 0.3 reads, with the interfaces of 1.0 for those that look for both. */
function legacyCard(
  { name, description, version, supportedInterfaces, skills, securityRequirements }: AgentCard,
  whole: unknown,
) {
  const isClosed = securityRequirements.length > 0;
  return {
    protocolVersion: '0.3.0',
    name,
    description,
    version,
    url: supportedInterfaces[0]?.url,
    preferredTransport: 'JSONRPC',
    capabilities: { streaming: true, pushNotifications: false },
    ...(isClosed
      ? { securitySchemes: { bearer: { type: 'http', scheme: 'Bearer' } }, security: [{ bearer: [] }] }
      : {}),
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: skills.map(({ id, name, description, tags }) => ({ id, name, description, tags })),
    supportedInterfaces: (whole as { supportedInterfaces: unknown }).supportedInterfaces,
  };
}

/** No version is 0.3: its clients did not know the header. */
function isLegacy(version: string | undefined): boolean {
  return version === undefined || version === '' || version.startsWith('0.');
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}
