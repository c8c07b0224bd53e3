// A table for dinner by text: an agent that speaks A2A 1.0 and asks back until it knows enough.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AgentCard, type Message, Role, type Task, TaskState } from '@a2a-js/sdk';
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  type ExecutionEventBus,
  InMemoryTaskStore,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import { joinDarkspere } from '@darkspere/agent';
import express from 'express';
import { answer } from './reservation.ts';

const app = express();
const server = createServer(app);
await once(server.listen(Number(process.env.PORT ?? 9002), '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

const card: AgentCard = {
  name: 'Table for dinner',
  description: 'Takes reservations.',
  version: '1.0.0',
  supportedInterfaces: [{ url: `${url}a2a`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' }],
  provider: undefined,
  // With a stream Darkspere knows the task from its first moment, and can cancel it.
  capabilities: { streaming: true, pushNotifications: false, extensions: [] },
  securitySchemes: {},
  securityRequirements: [],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
  signatures: [],
};

const executor: AgentExecutor = {
  async execute({ userMessage, task, taskId, contextId }: RequestContext, bus: ExecutionEventBus) {
    // Every stream begins with the task, also one that goes on with it.
    bus.publish(AgentEvent.task(task ?? newTask(taskId, contextId, userMessage)));
    const said = [...(task?.history ?? []), userMessage].filter(({ role }) => role === Role.ROLE_USER).map(textOf);
    const { text, isQuestion } = answer(said);
    const state = isQuestion ? TaskState.TASK_STATE_INPUT_REQUIRED : TaskState.TASK_STATE_COMPLETED;
    publishStatus(bus, taskId, contextId, state, text);
  },
  async cancelTask(taskId: string, bus: ExecutionEventBus) {
    publishStatus(bus, taskId, '', TaskState.TASK_STATE_CANCELED, '');
  },
};

function newTask(id: string, contextId: string, question: Message): Task {
  const status = { state: TaskState.TASK_STATE_SUBMITTED, message: undefined, timestamp: undefined };
  return { id, contextId, status, artifacts: [], history: [question], metadata: undefined };
}

function publishStatus(bus: ExecutionEventBus, taskId: string, contextId: string, state: TaskState, text: string) {
  const message: Message = {
    messageId: randomUUID(),
    contextId,
    taskId,
    role: Role.ROLE_AGENT,
    parts: [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: 'text/plain' }],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
  const status = { state, message: text === '' ? undefined : message, timestamp: new Date().toISOString() };
  bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status, metadata: undefined }));
  bus.finished();
}

function textOf({ parts }: Message): string {
  // The newest words come last; before them may stand what was said to another agent.
  const texts = parts.flatMap(({ content }) => (content?.$case === 'text' ? [content.value] : []));
  return texts.at(-1) ?? '';
}

const token = process.env.AGENT_TOKEN;
const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), executor);
app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: handler }));
app.use('/a2a', (request, response, next) => {
  if (token && request.headers.authorization !== `Bearer ${token}`) response.sendStatus(401);
  else next();
});
app.use('/a2a', jsonRpcHandler({ requestHandler: handler, userBuilder: UserBuilder.noAuthentication }));

const place = await joinDarkspere({
  name: 'table for dinner',
  protocol: 'a2a',
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
