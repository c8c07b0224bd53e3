// What an A2A agent has said so far: a message, or a task with its artifacts and states, from one answer or from a stream of
// events. Pure.
import { type Artifact, type Message, type Part, Role, type StreamResponse, type Task, TaskState } from '@a2a-js/sdk';
import { withoutNul } from '../../../text.ts';
import type { AgentOutcome, Handle } from '../../agent.ts';
import { handleIn } from '../template.ts';
import { failed, isHttps, MAX_MEDIA, MAX_TEXT } from '../wire.ts';

/** The task as far as it is known. */
export type Progress = {
  readonly message: Message | null;
  readonly taskId: string;
  readonly contextId: string;
  readonly state: TaskState;
  readonly said: Message | undefined;
  readonly artifacts: readonly Artifact[];
  readonly history: readonly Message[];
};

export const NOTHING: Progress = {
  message: null,
  taskId: '',
  contextId: '',
  state: TaskState.TASK_STATE_UNSPECIFIED,
  said: undefined,
  artifacts: [],
  history: [],
};

const WORKING = new Set([
  TaskState.TASK_STATE_UNSPECIFIED,
  TaskState.TASK_STATE_SUBMITTED,
  TaskState.TASK_STATE_WORKING,
]);

/** True while the agent works on it: neither an answer nor a question has come. */
export function isWorking(progress: Progress): boolean {
  return progress.message === null && WORKING.has(progress.state);
}

/** What is known after one more event. */
export function after(progress: Progress, { payload }: StreamResponse): Progress {
  switch (payload?.$case) {
    case 'message':
      return { ...progress, message: payload.value, contextId: payload.value.contextId || progress.contextId };
    case 'task':
      return ofTask(payload.value);
    case 'statusUpdate': {
      const { taskId, contextId, status } = payload.value;
      return {
        ...progress,
        taskId: taskId || progress.taskId,
        contextId: contextId || progress.contextId,
        state: status?.state ?? progress.state,
        // A note on the way is not the answer at the end.
        said: status?.message,
      };
    }
    case 'artifactUpdate': {
      const { taskId, contextId, artifact, append } = payload.value;
      return {
        ...progress,
        taskId: taskId || progress.taskId,
        contextId: contextId || progress.contextId,
        artifacts: artifact === undefined ? progress.artifacts : withArtifact(progress.artifacts, artifact, append),
      };
    }
    default:
      return progress;
  }
}

export function ofTask(task: Task): Progress {
  return {
    message: null,
    taskId: task.id,
    contextId: task.contextId,
    state: task.status?.state ?? TaskState.TASK_STATE_UNSPECIFIED,
    said: task.status?.message,
    artifacts: task.artifacts,
    history: task.history,
  };
}

function withArtifact(artifacts: readonly Artifact[], artifact: Artifact, append: boolean): Artifact[] {
  const known = artifacts.find(({ artifactId }) => artifactId === artifact.artifactId);
  if (known === undefined) return [...artifacts, artifact];
  // Chunks of one text are one text.
  const whole = append ? { ...artifact, parts: joined(known.parts, artifact.parts) } : artifact;
  return artifacts.map((one) => (one === known ? whole : one));
}

function joined(before: readonly Part[], more: readonly Part[]): Part[] {
  const [first, ...rest] = more;
  const last = before.at(-1);
  if (last?.content?.$case !== 'text' || first?.content?.$case !== 'text') return [...before, ...more];
  const content = { $case: 'text' as const, value: last.content.value + first.content.value };
  return [...before.slice(0, -1), { ...last, content }, ...rest];
}

/** The outcome of a call that has come to its end, or to a question. */
export function outcomeOf(progress: Progress): AgentOutcome {
  if (progress.message !== null) return replyOf([progress.message.parts], handleOf(progress, false));
  switch (progress.state) {
    case TaskState.TASK_STATE_COMPLETED:
      return replyOf(
        [progress.artifacts.flatMap(({ parts }) => parts), progress.said?.parts ?? [], lastSaid(progress.history)],
        handleOf(progress, false),
      );
    // The question goes out as a text, and what the person answers to it goes on with the task.
    case TaskState.TASK_STATE_INPUT_REQUIRED:
      return replyOf([progress.said?.parts ?? [], lastSaid(progress.history)], handleOf(progress, true));
    case TaskState.TASK_STATE_AUTH_REQUIRED:
      return failed('agent_unauthorized', 'The task waits for a login of its user, which a text cannot give.');
    case TaskState.TASK_STATE_FAILED:
    case TaskState.TASK_STATE_REJECTED:
    case TaskState.TASK_STATE_CANCELED:
      return failed('agent_said_error', `The task ended as ${TaskState[progress.state]}.`);
    default:
      return failed('agent_contract', 'The task is in a state that neither ends it nor asks anything.');
  }
}

/** What the agent said last, if it was after what the person said. */
function lastSaid(history: readonly Message[]): readonly Part[] {
  const last = history.at(-1);
  return last?.role === Role.ROLE_AGENT ? last.parts : [];
}

function handleOf({ contextId, taskId }: Progress, isOpen: boolean): Handle {
  const context = handleIn(contextId);
  const task = isOpen ? handleIn(taskId) : null;
  return {
    ...(context === null ? {} : { context: withoutNul(context) }),
    ...(task === null ? {} : { task: withoutNul(task) }),
  };
}

/** The first of several places that says something. */
function replyOf(places: readonly (readonly Part[])[], handle: Handle): AgentOutcome {
  for (const parts of places) {
    const { text, mediaUrls } = contentOf(parts);
    if (text === '' && mediaUrls.length === 0) continue;
    if (text.length > MAX_TEXT) return failed('agent_contract', `The answer is longer than ${MAX_TEXT} characters.`);
    const kept = Object.keys(handle).length === 0 ? {} : { handle };
    return { kind: 'reply', text, mediaUrls, endSession: false, ...kept };
  }
  return failed('agent_contract', 'The answer has no text in its artifacts, its status or its history.');
}

function contentOf(parts: readonly Part[]): { text: string; mediaUrls: string[] } {
  const texts: string[] = [];
  const mediaUrls: string[] = [];
  for (const { content, mediaType } of parts) {
    if (content === undefined) continue;
    if (content.$case === 'text') texts.push(content.value);
    else if (content.$case === 'data') texts.push(dataText(content.value));
    else if (content.$case === 'url' && isHttps(content.value)) {
      const isMedia = /^(image|audio|video)\//.test(mediaType) && mediaUrls.length < MAX_MEDIA;
      if (isMedia) mediaUrls.push(new URL(content.value).href);
      else texts.push(content.value);
    } else texts.push('[attachment]');
  }
  return { text: withoutNul(texts.join('\n')).trim(), mediaUrls };
}

/** Data for programs is no text for people, unless it is a text. */
function dataText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
