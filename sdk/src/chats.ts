// Everything that is being answered, over whatever protocol: how much it is, once per question, and an end to it.
import { AgentError, type ChatHandler, type ChatRequest, Later, type Reply, settleReply } from './chat.ts';
import { createRecent } from './recent.ts';

/** A question as a protocol reads it. */
export type Question = Omit<ChatRequest, 'signal'>;
/** What tells a question from another one. */
export type Asked = Pick<Question, 'protocol' | 'sessionId' | 'messageId' | 'message'>;
/** `later` comes when it comes; it is checked then, and `settle` is called when it is out of the house. */
export type Outcome =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'later'; readonly answer: Promise<Reply> };

export type Chats = {
  /**
   * Runs the handler, or joins the run of the very same question. Throws AgentError: what the handler threw, `busy`,
   * `draining`, `cancelled` when `signal` was aborted, `deadline_exceeded`.
   */
  ask(question: Question, signal: AbortSignal, onPiece?: (piece: string) => void): Promise<Outcome>;
  /** Why it would not be begun now, `busy` or `draining`; null: it would, or it is a repeat of one that was. */
  refusal(question: Asked): AgentError | null;
  /** Counts work that goes on after its call was answered. */
  track(work: Promise<unknown>): void;
  readonly running: number;
  /** 0 idle, 1 full. */
  readonly load: number;
  readonly isDraining: boolean;
  /** Takes nothing new; resolves when everything has ended, after `graceMs` by aborting what has not. */
  drain(graceMs: number): Promise<void>;
};

/** A question is known for as long as a repeat of it can come: its whole turn, and the ten minutes of late answers. */
const REMEMBERED = { keepMs: 600_000, most: 1_000 };

type Run = {
  readonly message: string;
  readonly outcome: Promise<Outcome>;
  readonly pieces: Set<(piece: string) => void>;
  readonly controller: AbortController;
  waiting: number;
};

/** `most` answers run at a time. */
export function createChats(chat: ChatHandler, most: number): Chats {
  const runs = new Set<Run>();
  const works = new Set<Promise<unknown>>();
  const known = createRecent<Run>(REMEMBERED);
  let isDraining = false;

  // A newer run may have taken the place.
  const forget = (key: string, run: Run): void => {
    if (known.get(key) === run) known.delete(key);
  };

  const start = (question: Question, key: string | null): Run => {
    const controller = new AbortController();
    const deadline = deadlineTimer(question.deadline, controller);
    const pieces = new Set<(piece: string) => void>();
    const outcome = perform(chat, { ...question, signal: controller.signal }, pieces).finally(() => {
      clearTimeout(deadline);
      runs.delete(run);
    });
    const run: Run = { message: question.message, outcome, pieces, controller, waiting: 0 };
    runs.add(run);
    if (key !== null) {
      known.set(key, run);
      // A failure is no answer: asked again, it is tried again.
      outcome.catch(() => forget(key, run));
    }
    return run;
  };

  const repeated = (question: Asked): Run | null => {
    const key = keyOf(question);
    const before = key === null ? undefined : known.get(key);
    return before?.message === question.message ? before : null;
  };

  const refusal = (question: Asked): AgentError | null => {
    if (repeated(question) !== null) return null;
    if (isDraining) return new AgentError('draining', 'The agent is stopping.', { retryable: true });
    if (runs.size < most) return null;
    return new AgentError('busy', `The agent answers ${most} already.`, { retryable: true });
  };

  return {
    refusal,
    async ask(question, signal, onPiece) {
      const refused = refusal(question);
      if (refused !== null) throw refused;
      const key = keyOf(question);
      const run = repeated(question) ?? start(question, key);
      if (onPiece !== undefined) run.pieces.add(onPiece);
      run.waiting += 1;
      try {
        return await orAborted(run.outcome, signal);
      } finally {
        run.waiting -= 1;
        if (onPiece !== undefined) run.pieces.delete(onPiece);
        if (run.waiting === 0 && signal.aborted && runs.has(run)) {
          if (key !== null) forget(key, run);
          run.controller.abort(new AgentError('cancelled', 'Nobody waits for the answer any more.'));
        }
      }
    },
    track(work) {
      works.add(work);
      const gone = () => works.delete(work);
      work.then(gone, gone);
    },
    get running() {
      return runs.size + works.size;
    },
    get load() {
      return isDraining ? 1 : Math.min(1, runs.size / most);
    },
    get isDraining() {
      return isDraining;
    },
    async drain(graceMs) {
      isDraining = true;
      let timer: NodeJS.Timeout | undefined;
      const over = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([allEnded(runs, works), over]);
      clearTimeout(timer);
      for (const { controller } of runs)
        controller.abort(new AgentError('draining', 'The agent is stopping.', { retryable: true }));
    },
  };
}

/** Ids of messages are their callers': the same one in another session is another question. */
function keyOf({ protocol, sessionId, messageId }: Asked): string | null {
  return messageId === null ? null : JSON.stringify([protocol, sessionId, messageId]);
}

async function allEnded(runs: ReadonlySet<Run>, works: ReadonlySet<Promise<unknown>>): Promise<void> {
  // What ends may leave work behind, so it is looked at again.
  while (runs.size + works.size > 0) await Promise.allSettled([...works, ...[...runs].map(({ outcome }) => outcome)]);
}

async function perform(
  chat: ChatHandler,
  request: ChatRequest,
  pieces: Set<(piece: string) => void>,
): Promise<Outcome> {
  const { signal } = request;
  try {
    const result = await orAborted(
      Promise.resolve().then(() => chat(request)),
      signal,
    );
    if (result instanceof Later) return { kind: 'later', answer: result.answer.then(settleReply) };
    if (isPieces(result)) return { kind: 'reply', reply: settleReply(await gather(result, signal, pieces)) };
    return { kind: 'reply', reply: settleReply(result) };
  } catch (error) {
    // An aborted handler fails in its own words; why it was aborted is what matters.
    throw signal.aborted ? asAgentError(signal.reason) : asAgentError(error);
  }
}

async function gather(
  source: AsyncIterable<string>,
  signal: AbortSignal,
  listeners: ReadonlySet<(piece: string) => void>,
): Promise<string> {
  const iterator = source[Symbol.asyncIterator]();
  let text = '';
  try {
    for (;;) {
      const next = await orAborted(iterator.next(), signal);
      if (next.done) return text;
      if (typeof next.value !== 'string') throw new AgentError('bad_reply', 'A streamed answer is made of texts.');
      text += next.value;
      for (const listen of listeners) listen(next.value);
    }
  } finally {
    // Not waited for: a generator that hangs would keep the answer from failing.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function isPieces(value: unknown): value is AsyncIterable<string> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** What was thrown, as Darkspere is told it; unknown errors keep their words to themselves. */
export function asAgentError(error: unknown): AgentError {
  if (error instanceof AgentError) return error;
  return new AgentError('internal_error', 'The agent failed.', { cause: error });
}

function deadlineTimer(deadline: Date | null, controller: AbortController): NodeJS.Timeout | undefined {
  if (deadline === null) return undefined;
  const late = () => controller.abort(new AgentError('deadline_exceeded', 'The deadline of the question has passed.'));
  // Node takes what is longer than 2^31 ms for none at all.
  return setTimeout(late, Math.min(Math.max(0, deadline.getTime() - Date.now()), 2 ** 31 - 1));
}

/** The promise, or the reason of the signal as soon as it is aborted. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(asCancelled(signal.reason));
    if (signal.aborted) {
      promise.catch(() => undefined);
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function asCancelled(reason: unknown): AgentError {
  return reason instanceof AgentError
    ? reason
    : new AgentError('cancelled', 'The call was cancelled.', { cause: reason });
}
