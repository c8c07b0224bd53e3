// Agents that speak A2A, 1.0 and 0.3: a turn is a message, its answer a message or a task, and a task that asks back is
// answered by the person's next text.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Part, Role, type SendMessageRequest } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { A2AError } from '@a2a-js/sdk/errors';
import type { Dispatcher } from 'undici';
import type { AgentCall, AgentOutcome, AgentResult } from '../../agent.ts';
import type { AgentMemory } from '../memory.ts';
import { orAborted, type Wire } from '../sdk-wire.ts';
import { transcriptOf, wordsOf } from '../template.ts';
import { type Failed, failed, misshapen } from '../wire.ts';
import { type AgentCard, clientFor, fetchCard, openA2aWire, streamsOf } from './client.ts';
import { type A2aSettings, a2aSettings } from './settings.ts';
import { after, isWorking, NOTHING, ofTask, outcomeOf, type Progress } from './task.ts';

/** Between looks at a task whose agent does not stream. */
const FIRST_LOOK_MS = 250;
const LONGEST_PAUSE_MS = 2_000;

/** Asks an A2A agent for a reply. Never throws. */
export async function callA2a(call: AgentCall, http: Dispatcher, cards: AgentMemory<AgentCard>): Promise<AgentResult> {
  const wire = openA2aWire(call, http);
  const attempt: Attempt = { call, wire, streams: false, looks: false, progress: NOTHING };
  const outcome = await answer(attempt, cards);
  return { outcome, exchange: wire.exchange() };
}

type Attempt = {
  readonly call: AgentCall;
  readonly wire: Wire;
  streams: boolean;
  /** The agent has taken the message and is at work on it. */
  looks: boolean;
  progress: Progress;
};

async function answer(attempt: Attempt, cards: AgentMemory<AgentCard>): Promise<AgentOutcome> {
  const { call, wire } = attempt;
  const settings = a2aSettings.safeParse(call.agent.metadata);
  if (!settings.success) return misshapen(settings.error);
  let client: Client | null = null;
  try {
    const card = cards.recall(call.agent) ?? (await orAborted(fetchCard(call, wire), wire.signal));
    if (card === null) return noCard(wire);
    client = await clientFor(card, wire);
    attempt.streams = streamsOf(card);
    cards.keep(call.agent, card);
    return await converse(attempt, client, settings.data);
  } catch (error) {
    if (!call.signal.aborted) cards.forget(call.agent);
    // A look that failed, too, leaves a task at work for which nobody waits any more.
    if ((wire.signal.aborted || attempt.looks) && client !== null) cancel(attempt, client);
    return failureOf(error, wire);
  }
}

/** Goes on with an open task where there is one; when it is gone or closed at the agent, begins a new one. */
async function converse(attempt: Attempt, client: Client, settings: A2aSettings): Promise<AgentOutcome> {
  const { thread } = attempt.call;
  // What was asked has been answered by somebody else since.
  const open = thread?.missed === 'answered elsewhere' ? undefined : thread?.handle.task;
  if (open !== undefined) {
    try {
      return await send(attempt, client, settings, open);
    } catch (error) {
      if (!isRefusal(error) || attempt.wire.signal.aborted) throw error;
      attempt.progress = NOTHING;
    }
  }
  return send(attempt, client, settings, '');
}

async function send(attempt: Attempt, client: Client, settings: A2aSettings, taskId: string): Promise<AgentOutcome> {
  const { call, wire } = attempt;
  const request = requestFor(attempt, settings, taskId);
  attempt.progress = { ...NOTHING, taskId };
  const events = client.sendMessageStream(request, { signal: wire.signal });
  // A stream that goes on with a task may begin with the task as it stood: the question that has just been answered.
  let replayed: Progress | null = null;
  try {
    for (let n = 0; ; n++) {
      const next = await orAborted(events.next(), wire.signal);
      if (next.done) break;
      attempt.progress = after(attempt.progress, next.value);
      if (n === 0 && taskId !== '' && next.value.payload?.$case === 'task' && !isWorking(attempt.progress)) {
        replayed = attempt.progress;
        attempt.progress = { ...NOTHING, taskId, contextId: replayed.contextId };
        continue;
      }
      replayed = null;
      if (!isWorking(attempt.progress)) return outcomeOf(attempt.progress);
      if (settings.progress === 'tell') call.onProgress();
    }
  } finally {
    // Not waited for: a stream that was cut off may never hear of it.
    void events.return().catch(() => undefined);
  }
  if (replayed !== null) return outcomeOf(replayed);
  return look(attempt, client, settings);
}

/** Looks at a task until it has come to something: its agent does not stream, or its stream ended early. */
async function look(attempt: Attempt, client: Client, settings: A2aSettings): Promise<AgentOutcome> {
  const { call, wire } = attempt;
  if (attempt.progress.taskId === '') return failed('agent_broken', 'The stream ended before an answer came.');
  attempt.looks = true;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    await sleep(pauseMs, undefined, { signal: wire.signal });
    const query = { tenant: '', id: attempt.progress.taskId };
    attempt.progress = ofTask(await orAborted(client.getTask(query, { signal: wire.signal }), wire.signal));
    if (!isWorking(attempt.progress)) return outcomeOf(attempt.progress);
    if (settings.progress === 'tell') call.onProgress();
  }
}

function requestFor({ call, streams }: Attempt, settings: A2aSettings, taskId: string): SendMessageRequest {
  const { thread } = call;
  const isNew = thread === null || thread.missed !== null;
  const earlier = isNew && settings.history === 'text' && call.history.length > 0;
  const texts = [...(earlier ? [`[Earlier in this conversation]\n${transcriptOf(call)}`] : []), wordsOf(call)];
  return {
    tenant: '',
    message: {
      messageId: call.messageId,
      // Its own name for it or none: an agent is not told how to call its contexts.
      contextId: thread?.handle.context ?? '',
      taskId,
      role: Role.ROLE_USER,
      parts: texts.map(textPart),
      metadata: undefined,
      extensions: [],
      referenceTaskIds: [],
    },
    configuration: {
      acceptedOutputModes: ['text/plain'],
      taskPushNotificationConfig: undefined,
      // Without a stream the name of a new task, which ending it takes, is heard only with the answer. One that goes on has a name, and
      // its first state would be that of the question before.
      returnImmediately: !streams && taskId === '',
    },
    metadata: undefined,
  };
}

function textPart(value: string): Part {
  return { content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: 'text/plain' };
}

/** Ends the task at the agent, beside the call: the person has stopped, said more, or waited too long. */
function cancel({ progress }: Attempt, client: Client): void {
  if (progress.taskId === '' || !isWorking(progress)) return;
  void client.cancelTask({ tenant: '', id: progress.taskId, metadata: undefined }).catch(() => undefined);
}

/** Errors that say that a task is gone or closed: to agents of 0.3 a message to a closed one is an invalid request. */
const CLOSED = new Set(['TaskNotFoundError', 'UnsupportedOperationError', 'RequestMalformedError']);

function isRefusal(error: unknown): boolean {
  return CLOSED.has(saidIn(error)?.name ?? '');
}

/** The error of the agent in what the library threw: out of a stream it comes wrapped. */
function saidIn(error: unknown): A2AError | null {
  if (error instanceof A2AError) return error;
  return error instanceof Error && error.cause instanceof A2AError ? error.cause : null;
}

/** Why no card came. That there is none is about the agent and not about the server, which has answered. */
export function noCard(wire: Wire): Failed {
  const none = failed('agent_contract', 'There is no agent card (/.well-known/agent-card.json) at the address.');
  return wire.status() === 404 ? none : (wire.failure() ?? none);
}

/** What the wire knows comes first; only names get into reasons, since an error's words may repeat the person's. */
export function failureOf(error: unknown, wire: Wire): Failed {
  const broken = wire.failure();
  if (broken !== null) {
    // Whether a message that was sent before is recognised is unknown; another agent is the better next try.
    return wire.hasAsked() && broken.code === 'agent_broken' ? { ...broken, retry: 'other' } : broken;
  }
  const said = saidIn(error);
  if (said !== null) return failed('agent_said_error', `The agent answered with ${said.name}.`);
  if (!wire.hasAsked())
    return failed('agent_contract', 'The agent card cannot be read, or names no binding that is spoken here.');
  return failed('agent_contract', 'The answer is not one of the protocol.');
}
