// One turn: from the texts of a burst to what is to be said. Calls agents, writes nothing; the mailbox commits the result.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent, AgentOutcome, AgentResult, Deadlines } from '../agents/agent.ts';
import type { HealthRecorder } from '../agents/health.ts';
import type { InvokeAgent } from '../agents/invoke.ts';
import type { Registry } from '../agents/registry.ts';
import { chooseAgent } from '../agents/routing.ts';
import type { Media } from '../channels/channel.ts';
import type { Clock } from '../clock.ts';
import { CATALOGUE, type ErrorCode } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import { agentExchange } from './exchange.ts';
import { FALLBACK_TEXT, packAnswer, packNotice, replyBudget } from './reply.ts';
import { type Exchange, FIRST_OF_FLOOD, type Turn, type TurnEnd } from './store.ts';

export type TurnDeps = {
  readonly registry: Registry;
  readonly health: HealthRecorder;
  readonly invoke: InvokeAgent;
  readonly deadlines: Deadlines;
  /** All attempts of one turn together, milliseconds. */
  readonly turnMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Addresses under which the agent can fetch a text's media: the carrier's own need our credential. */
  mediaLinks(messageId: string, media: readonly Media[]): readonly Media[];
};

/** Failures that pass by themselves: worth another round over the same agents while the turn has time. */
const PASSING = new Set(['network', 'timeout', 'rate_limit', 'agent_unavailable']);
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;
/** An attempt with less time than this is not worth beginning. */
const LEAST_ATTEMPT_MS = 500;
/** How long an agent that said 202 may take before the person is told that nobody could answer. */
const DEFERRED_MS = 10 * 60_000;

/** No turn has this epoch: of an end that carries it only the calls are kept, marked late, and nothing is said. */
const NO_EPOCH = -1;

/**
 * Answers a turn: the session's agent first, then others, each with its own deadlines, all within turnMs. An end that
 * `signal` brought about (STOP, shutdown) says nothing and is refused as stale when it is committed. `onProgress` hears each
 * time an agent says that it is at work.
 */
export async function answerTurn(
  turn: Turn,
  deps: TurnDeps,
  signal: AbortSignal,
  onProgress: () => void,
): Promise<TurnEnd> {
  const attempts = new Attempts(turn, deps, signal, onProgress);
  while (true) {
    const agent = attempts.next();
    if (!agent) {
      if (await attempts.pause()) continue;
      return signal.aborted ? cutOff(turn, attempts) : fellBack(turn, attempts);
    }
    const outcome = await attempts.call(agent);
    if (signal.aborted) return cutOff(turn, attempts);
    if (outcome.kind === 'deferred') return deferred(turn, agent, attempts, deps.clock);
    if (outcome.kind === 'reply') {
      const end = replied(turn, agent, outcome, attempts);
      if (end) return end;
      attempts.failed(agent, {
        kind: 'failed',
        code: 'agent_contract',
        reason: 'empty',
        retry: 'other',
        afterMs: null,
      });
    }
  }
}

/** The state of the search for an answer: who failed, what was exchanged, how much time is left. */
class Attempts {
  readonly exchanges: Exchange[] = [];
  lastError: ErrorCode = 'agent_none';
  private readonly excluded = new Set<string>();
  private readonly repeated = new Set<string>();
  private passing = false;
  private round = 0;
  /** When an agent that may be asked once more may be asked, monotonic milliseconds. */
  private readonly notBefore = new Map<string, number>();
  private readonly endsAtMs: number;
  private readonly turn: Turn;
  private readonly deps: TurnDeps;
  private readonly signal: AbortSignal;
  private readonly onProgress: () => void;

  constructor(turn: Turn, deps: TurnDeps, signal: AbortSignal, onProgress: () => void) {
    this.turn = turn;
    this.deps = deps;
    this.signal = signal;
    this.onProgress = onProgress;
    this.endsAtMs = deps.clock.monotonicMs() + deps.turnMs;
  }

  get count(): number {
    return this.exchanges.length;
  }

  private leftMs(): number {
    return this.endsAtMs - this.deps.clock.monotonicMs();
  }

  next(): Agent | null {
    if (this.signal.aborted || this.leftMs() < LEAST_ATTEMPT_MS) return null;
    return chooseAgent(this.deps.registry.agents(this.turn.agentType), {
      type: this.turn.agentType,
      capabilities: this.turn.requiredCapabilities,
      sticky: this.turn.agentId,
      exclude: this.excluded,
      now: this.deps.clock.now(),
    });
  }

  async call(agent: Agent): Promise<AgentOutcome> {
    const { turn, deps } = this;
    await this.waitFor(agent);
    const totalMs = Math.min(deps.deadlines.totalMs, this.leftMs());
    deps.registry.noteCallStarted(agent.id);
    let result: AgentResult;
    try {
      result = await deps.invoke({
        agent,
        messageId: turn.requestId,
        conversationId: turn.conversationId,
        sessionId: turn.sessionId,
        channel: turn.channel,
        text: wordsOf(turn),
        media: turn.texts.flatMap((text) => deps.mediaLinks(text.id, text.media)),
        history: turn.history.map((entry) => ({ ...entry, timestamp: new Date(entry.timestamp) })),
        replyBudget: replyBudget(turn.maxSegments),
        deadlines: { ...deps.deadlines, totalMs },
        signal: this.signal,
        // A handle of one agent means nothing to another.
        thread: turn.thread?.agentId === agent.id ? turn.thread : null,
        onProgress: this.onProgress,
      });
    } finally {
      deps.registry.noteCallEnded(agent.id);
    }
    const { outcome } = result;
    this.exchanges.push(agentExchange(agent.id, this.count + 1, result));
    deps.metrics.agentSeconds.observe(
      { protocol: agent.protocol, outcome: outcome.kind === 'failed' ? outcome.code : 'ok' },
      result.exchange.durationMs / 1000,
    );
    if (outcome.kind !== 'failed') deps.health.recordSuccess(agent.id, result.exchange.durationMs);
    else if (!this.signal.aborted) {
      deps.health.recordFailure(agent.id, CATALOGUE[outcome.code].category, result.exchange.startedAt);
      this.failed(agent, outcome);
    }
    return outcome;
  }

  /** Notes a failure: once more on the same agent where the failure allows it, else on another. */
  failed(agent: Agent, outcome: Extract<AgentOutcome, { kind: 'failed' }>): void {
    this.lastError = outcome.code;
    this.passing ||= PASSING.has(CATALOGUE[outcome.code].category) || outcome.retry === 'same';
    const now = this.deps.clock.monotonicMs();
    if (outcome.afterMs !== null) this.notBefore.set(agent.id, now + outcome.afterMs);
    // Its health has just fallen, so a healthy other one goes first; alone, it is asked once more at once.
    if (outcome.retry === 'same' && !this.repeated.has(agent.id)) this.repeated.add(agent.id);
    else this.excluded.add(agent.id);
  }

  /** An agent that named a time (Retry-After) is not asked before it, as far as this turn reaches. */
  private async waitFor(agent: Agent): Promise<void> {
    const waitMs = (this.notBefore.get(agent.id) ?? 0) - this.deps.clock.monotonicMs();
    if (waitMs <= 0) return;
    await sleep(Math.min(waitMs, Math.max(0, this.leftMs() - LEAST_ATTEMPT_MS)), undefined, {
      signal: this.signal,
    }).catch(() => {});
  }

  /** Nobody fits: an agent registered a moment ago may not be in the snapshot yet. */
  private async lookAgain(): Promise<boolean> {
    this.round++;
    await this.deps.registry.refresh().catch(() => {});
    return this.next() !== null;
  }

  /**
   * Everybody has failed. Where the trouble may pass, waits (1, 2, 4, 8 s with jitter) and lets all of them be tried
   * again; false when there is no time or no hope.
   */
  async pause(): Promise<boolean> {
    if (this.lastError === 'agent_none' && this.round === 0) return this.lookAgain();
    const jitter = 0.75 + Math.random() * 0.5;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.round) * jitter;
    if (!this.passing || this.leftMs() < pauseMs + LEAST_ATTEMPT_MS || this.signal.aborted) return false;
    this.round++;
    try {
      await sleep(pauseMs, undefined, { signal: this.signal });
    } catch {
      return false;
    }
    this.passing = false;
    this.excluded.clear();
    this.repeated.clear();
    return true;
  }
}

/** What the person said, text by text. */
function wordsOf({ texts, leftOut }: Turn): string {
  const lines = texts.map((text) => text.body);
  if (leftOut > 0) lines.splice(FIRST_OF_FLOOD, 0, `[${leftOut} more texts came here and are left out]`);
  return lines.join('\n');
}

function ended(turn: Turn, attempts: Attempts): Omit<TurnEnd, 'state'> {
  return {
    conversation_id: turn.conversationId,
    turn_id: turn.turnId,
    session_id: turn.sessionId,
    epoch: turn.epoch,
    agent_id: null,
    attempts: attempts.count,
    error_code: null,
    kind: null,
    body: null,
    parts: [],
    more: null,
    end_session: false,
    deferred_until: null,
    exchanges: attempts.exchanges,
  };
}

function replied(
  turn: Turn,
  agent: Agent,
  outcome: Extract<AgentOutcome, { kind: 'reply' }>,
  attempts: Attempts,
): TurnEnd | null {
  const packed = packAnswer(outcome.text, outcome.mediaUrls, turn.maxSegments);
  if (!packed) return null;
  return {
    ...ended(turn, attempts),
    state: 'replied',
    kind: 'reply',
    agent_id: agent.id,
    end_session: outcome.endSession,
    ...(outcome.handle === undefined ? {} : { thread: { agent: agent.id, handle: outcome.handle } }),
    ...packed,
  };
}

function deferred(turn: Turn, agent: Agent, attempts: Attempts, clock: Clock): TurnEnd {
  return {
    ...ended(turn, attempts),
    state: 'deferred',
    agent_id: agent.id,
    deferred_until: new Date(clock.now().getTime() + DEFERRED_MS),
  };
}

function fellBack(turn: Turn, attempts: Attempts): TurnEnd {
  return {
    ...ended(turn, attempts),
    state: 'fell_back',
    kind: 'fallback',
    error_code: attempts.lastError,
    ...packNotice(FALLBACK_TEXT),
  };
}

function cutOff(turn: Turn, attempts: Attempts): TurnEnd {
  return { ...ended(turn, attempts), state: 'fell_back', epoch: NO_EPOCH, error_code: 'agent_cancelled' };
}

/** A turn cut off because its person has said more: the call is kept, nothing is said, and the texts wait again. */
export function interrupted(turn: Turn, end: TurnEnd): TurnEnd {
  return { ...end, state: 'interrupted', epoch: turn.epoch };
}

/** For a turn that broke workers again and again: told that nobody can answer, without another try. */
export function abandonTurn(turn: Turn): TurnEnd {
  return {
    conversation_id: turn.conversationId,
    turn_id: turn.turnId,
    session_id: turn.sessionId,
    epoch: turn.epoch,
    state: 'fell_back',
    agent_id: null,
    attempts: 0,
    error_code: 'internal_error',
    kind: 'fallback',
    more: null,
    end_session: false,
    deferred_until: null,
    exchanges: [],
    ...packNotice(FALLBACK_TEXT),
  };
}
