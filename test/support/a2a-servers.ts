// A2A agents not written here: servers of the SDK for 1.0 (which also speaks 0.3) and of the one before it.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AgentCard, type Message, type Part, Role, TaskState } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, type ExecutionEventBus, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import type { AgentCard as OldCard, Message as OldMessage, TaskState as OldState } from 'a2a-sdk-v03';
import * as old from 'a2a-sdk-v03/server';
import * as oldExpress from 'a2a-sdk-v03/server/express';
import express from 'express';

export type A2aQuestion = {
  readonly text: string;
  readonly texts: readonly string[];
  readonly contextId: string;
  readonly taskId: string;
  /** The answer to what the agent has asked in this task. */
  readonly isAnswer: boolean;
};
/** What the agent makes of it. */
export type A2aAct =
  | { readonly message: string }
  | { readonly done: string; readonly where?: 'artifact' | 'status' }
  | { readonly ask: string }
  | { readonly end: 'failed' | 'rejected' | 'auth-required'; readonly why?: string };
export type A2aChat = (question: A2aQuestion, working: (note: string) => void) => A2aAct | Promise<A2aAct>;

export type A2aAgent = {
  readonly url: string;
  /** Tasks that were cancelled. */
  readonly cancelled: string[];
  close(): Promise<void>;
};

const STATES = {
  working: TaskState.TASK_STATE_WORKING,
  completed: TaskState.TASK_STATE_COMPLETED,
  'input-required': TaskState.TASK_STATE_INPUT_REQUIRED,
  failed: TaskState.TASK_STATE_FAILED,
  rejected: TaskState.TASK_STATE_REJECTED,
  canceled: TaskState.TASK_STATE_CANCELED,
  'auth-required': TaskState.TASK_STATE_AUTH_REQUIRED,
} as const;
type StateName = keyof typeof STATES;

const part = (value: string): Part => ({
  content: { $case: 'text', value },
  metadata: undefined,
  filename: '',
  mediaType: 'text/plain',
});

/** An agent of the current SDK. `version` chooses what its card offers. */
export async function startA2aAgent(
  chat: A2aChat,
  options: { streams?: boolean; version?: '1.0' | '0.3'; binding?: 'JSONRPC' | 'HTTP+JSON' } = {},
): Promise<A2aAgent> {
  const { streams = true, version = '1.0', binding = 'JSONRPC' } = options;
  const cancelled: string[] = [];
  const app = express();
  const listening = await listen(app);
  const path = binding === 'JSONRPC' ? 'rpc' : 'rest';
  const card: AgentCard = {
    name: 'Test agent',
    description: 'Answers texts',
    version: '1.0.0',
    supportedInterfaces: [
      { url: `${listening.url}${path}`, protocolBinding: binding, tenant: '', protocolVersion: version },
    ],
    provider: undefined,
    capabilities: { streaming: streams, pushNotifications: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    signatures: [],
  };
  const message = (taskId: string, contextId: string, text: string): Message => ({
    messageId: randomUUID(),
    contextId,
    taskId,
    role: Role.ROLE_AGENT,
    parts: [part(text)],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  });
  const status = (bus: ExecutionEventBus, taskId: string, contextId: string, state: StateName, text?: string) =>
    bus.publish(
      AgentEvent.statusUpdate({
        taskId,
        contextId,
        status: {
          state: STATES[state],
          message: text === undefined ? undefined : message(taskId, contextId, text),
          timestamp: new Date().toISOString(),
        },
        metadata: undefined,
      }),
    );
  const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), {
    async execute({ userMessage, taskId, contextId, task }, bus) {
      const texts = userMessage.parts.map(({ content }) => (content?.$case === 'text' ? content.value : ''));
      const question = { text: texts.at(-1) ?? '', texts, contextId, taskId, isAnswer: task !== undefined };
      // The library wants a stream to begin with the task, one that goes on with it too.
      if (task !== undefined) bus.publish(AgentEvent.task(task));
      let begun = task !== undefined;
      const begin = () => {
        if (begun) return;
        begun = true;
        const submitted = { state: TaskState.TASK_STATE_SUBMITTED, message: undefined, timestamp: undefined };
        const fresh = { id: taskId, contextId, status: submitted, artifacts: [], history: [userMessage] };
        bus.publish(AgentEvent.task({ ...fresh, metadata: undefined }));
      };
      const act = await chat(question, (note) => {
        begin();
        status(bus, taskId, contextId, 'working', note);
      });
      if ('message' in act) bus.publish(AgentEvent.message(message('', contextId, act.message)));
      else begin();
      if ('done' in act && act.where !== 'status') {
        bus.publish(
          AgentEvent.artifactUpdate({
            taskId,
            contextId,
            artifact: {
              artifactId: 'a',
              name: '',
              description: '',
              parts: [part(act.done)],
              metadata: undefined,
              extensions: [],
            },
            append: false,
            lastChunk: true,
            metadata: undefined,
          }),
        );
      }
      if ('done' in act) status(bus, taskId, contextId, 'completed', act.where === 'status' ? act.done : undefined);
      if ('ask' in act) status(bus, taskId, contextId, 'input-required', act.ask);
      if ('end' in act) status(bus, taskId, contextId, act.end, act.why);
      bus.finished();
    },
    async cancelTask(taskId, bus) {
      cancelled.push(taskId);
      status(bus, taskId, '', 'canceled');
      bus.finished();
    },
  });
  const legacyCompat = { enabled: version === '0.3' };
  const userBuilder = UserBuilder.noAuthentication;
  app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: handler, legacyCompat }));
  app.use('/rpc', jsonRpcHandler({ requestHandler: handler, userBuilder, legacyCompat }));
  app.use('/rest', restHandler({ requestHandler: handler, userBuilder, legacyCompat }));
  return { ...listening, cancelled };
}

/** An agent of the SDK before, which knows 0.3 alone. */
export async function startOldA2aAgent(chat: A2aChat, { streams = true } = {}): Promise<A2aAgent> {
  const cancelled: string[] = [];
  const app = express();
  const listening = await listen(app);
  const card: OldCard = {
    name: 'Old agent',
    description: 'Answers texts',
    protocolVersion: '0.3.0',
    version: '1.0.0',
    url: `${listening.url}rpc`,
    preferredTransport: 'JSONRPC',
    capabilities: { streaming: streams, pushNotifications: false },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
  };
  const message = (taskId: string, contextId: string, text: string): OldMessage => ({
    kind: 'message',
    messageId: randomUUID(),
    role: 'agent',
    parts: [{ kind: 'text', text }],
    contextId,
    ...(taskId === '' ? {} : { taskId }),
  });
  const status = (bus: old.ExecutionEventBus, taskId: string, contextId: string, state: OldState, text?: string) =>
    bus.publish({
      kind: 'status-update',
      taskId,
      contextId,
      final: state !== 'working',
      status: { state, ...(text === undefined ? {} : { message: message(taskId, contextId, text) }) },
    });
  const handler = new old.DefaultRequestHandler(card, new old.InMemoryTaskStore(), {
    async execute({ userMessage, taskId, contextId, task }, bus) {
      const texts = userMessage.parts.map((one) => (one.kind === 'text' ? one.text : ''));
      const question = { text: texts.at(-1) ?? '', texts, contextId, taskId, isAnswer: task !== undefined };
      if (task === undefined)
        bus.publish({ kind: 'task', id: taskId, contextId, status: { state: 'submitted' }, history: [userMessage] });
      const act = await chat(question, (note) => status(bus, taskId, contextId, 'working', note));
      if ('message' in act) status(bus, taskId, contextId, 'completed', act.message);
      else if ('done' in act) {
        const parts = [{ kind: 'text' as const, text: act.done }];
        if (act.where !== 'status')
          bus.publish({ kind: 'artifact-update', taskId, contextId, artifact: { artifactId: 'a', parts } });
        status(bus, taskId, contextId, 'completed', act.where === 'status' ? act.done : undefined);
      } else if ('ask' in act) status(bus, taskId, contextId, 'input-required', act.ask);
      else status(bus, taskId, contextId, act.end, act.why);
      bus.finished();
    },
    async cancelTask(taskId, bus) {
      cancelled.push(taskId);
      status(bus, taskId, '', 'canceled');
      bus.finished();
    },
  });
  app.use('/.well-known/agent-card.json', oldExpress.agentCardHandler({ agentCardProvider: handler }));
  app.use(
    '/rpc',
    oldExpress.jsonRpcHandler({ requestHandler: handler, userBuilder: oldExpress.UserBuilder.noAuthentication }),
  );
  return { ...listening, cancelled };
}

async function listen(app: express.Express) {
  const server = createServer(app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
