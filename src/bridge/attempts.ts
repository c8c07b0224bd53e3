// The search for an answer: which agent is asked next, for how long, and when it is over. The only place where agents are retried.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Admission, Admitted } from '../agents/admission.ts';
import type { Agent, AgentExchange, AgentOutcome, Deadlines } from '../agents/agent.ts';
import type { Capacity } from '../agents/capacity.ts';
import type { HealthRecorder } from '../agents/health-recorder.ts';
import type { InvokeAgent } from '../agents/invoke.ts';
import type { Registry } from '../agents/registry.ts';
import { type Choice, chooseAgent, hasRoom, isAnybodyWell, type Wish } from '../agents/routing.ts';
import type { Media } from '../channels/channel.ts';
import type { Clock } from '../clock.ts';
import { CATALOGUE, type ErrorCode } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import { agentExchange } from './exchange.ts';
import { type PackedReply, packAnswer, replyBudget } from './reply.ts';
import { type Exchange, type Failover, FIRST_OF_FLOOD, type Turn } from './store.ts';

export type AttemptDeps = {
  readonly registry: Registry;
  readonly admission: Admission;
  readonly capacity: Pick<Capacity, 'roomAt'>;
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
/** Between the first two looks for a place at agents that are full or out; as much more from each to the next, up to a second. */
const ROOM_MS = 250;
const LONGEST_ROOM_MS = 1_000;
/** Agents asked for a place in one look: of a thousand that are full a person need not wait for a thousand answers. */
const MOST_ASKED = 8;
/** Of these, the ones that had no room when we last heard of them, which was a second ago where other processes ask them too. */
const MOST_FULL_ASKED = 3;
/** A trial is made with the text of a person whom others could answer: it may not cost them much. */
const TRIAL_FIRST_BYTE_MS = 5_000;
const LEAST_FIRST_BYTE_MS = 8_000;

const NOTHING_SAID = {
  kind: 'failed',
  code: 'agent_contract',
  reason: 'Nothing is left to read of the reply.',
  retry: 'other',
  afterMs: null,
} as const;

export type Called =
  | { readonly outcome: Extract<AgentOutcome, { kind: 'reply' }>; readonly packed: PackedReply }
  | { readonly outcome: Exclude<AgentOutcome, { kind: 'reply' }>; readonly packed?: never };

/** Who failed, what was exchanged, how much time is left. */
export class Attempts {
  readonly exchanges: Exchange[] = [];
  lastError: ErrorCode = 'agent_none';
  private readonly excluded = new Set<string>();
  private readonly repeated = new Set<string>();
  private readonly errors = new Map<string, ErrorCode>();
  private passing = false;
  private round = 0;
  /** When an agent that may be asked once more may be asked, monotonic milliseconds. */
  private readonly notBefore = new Map<string, number>();
  private readonly endsAtMs: number;
  private readonly turn: Turn;
  private readonly deps: AttemptDeps;
  private readonly signal: AbortSignal;
  private readonly onProgress: () => void;

  constructor(turn: Turn, deps: AttemptDeps, signal: AbortSignal, onProgress: () => void) {
    this.turn = turn;
    this.deps = deps;
    this.signal = signal;
    this.onProgress = onProgress;
    this.endsAtMs = deps.clock.monotonicMs() + deps.turnMs;
  }

  get count(): number {
    return this.exchanges.length;
  }

  /** What the record says of a session that this agent takes over from another; null when it had it already. */
  failover(agentId: string): Failover | null {
    const { agentId: old, agentType } = this.turn;
    if (old === null || old === agentId) return null;
    const known = this.deps.registry.find(old);
    // The person has chosen another type since: nobody has failed.
    if (known !== null && known.type !== agentType) return null;
    const reason = this.errors.get(old) ?? (known === null ? 'gone' : 'unhealthy');
    return { old_agent: old, new_agent: agentId, reason };
  }

  private leftMs(): number {
    return this.endsAtMs - this.deps.clock.monotonicMs();
  }

  private choose(turnedAway: ReadonlySet<string>, trials: boolean): Choice | null {
    return chooseAgent(this.deps.registry.agents(this.turn.agentType), this.wish(turnedAway, trials));
  }

  private wish(turnedAway: ReadonlySet<string>, trials: boolean): Wish {
    const { turn, excluded } = this;
    return {
      type: turn.agentType,
      capabilities: turn.requiredCapabilities,
      sticky: turn.agentId,
      exclude: { has: (id) => excluded.has(id) || turnedAway.has(id) },
      trials,
      now: this.deps.clock.now(),
    };
  }

  /**
   * The next agent to ask, with a place at it; null when all have failed, or the time is over. Where all that are left are full or
   * out, or have named a time, waits for them. Throws when the database is away for so long that no place could be had.
   */
  async next(): Promise<Admitted | null> {
    const { clock, capacity } = this.deps;
    const againAtMs = clock.monotonicMs() + this.pauseMs();
    for (let look = 1; !this.signal.aborted && this.leftMs() >= LEAST_ATTEMPT_MS; look++) {
      const turnedAway = this.tooEarly();
      let broken: unknown = null;
      let trials = true;
      for (let asked = 0; asked < MOST_ASKED && !this.signal.aborted; asked++) {
        const choice = this.choose(turnedAway, trials);
        if (choice === null || (asked >= MOST_FULL_ASKED && choice.as === 'healthy' && !hasRoom(choice.agent))) break;
        const admitted = await this.admit(choice).catch((error: unknown) => {
          broken = error;
          return 'full' as const;
        });
        if (typeof admitted === 'object') {
          if (this.leftMs() >= LEAST_ATTEMPT_MS) return admitted;
          // The place was so long in coming that a call would end before it begins, and count against the agent.
          admitted.leave(true);
          return null;
        }
        // Where one may be tried others are well, this one perhaps too: nobody waits for a trial.
        if (choice.as === 'trial') trials = false;
        else this.turnAway(choice.agent, admitted, turnedAway);
      }
      if (turnedAway.size === 0) return null;
      await capacity.roomAt(turnedAway, Math.min(LONGEST_ROOM_MS, ROOM_MS * look), this.signal);
      // Those that have failed may be well again long before the others have room.
      if (this.passing && clock.monotonicMs() >= againAtMs) this.forgive();
      if (broken !== null && this.leftMs() < LEAST_ATTEMPT_MS) throw broken;
    }
    return null;
  }

  private turnAway({ id }: Agent, as: 'full' | 'out', turnedAway: Set<string>): void {
    turnedAway.add(id);
    const code = as === 'full' ? 'agent_full' : 'agent_out';
    if (!this.errors.has(id)) this.errors.set(id, code);
    if (this.exchanges.length === 0) this.lastError = code;
  }

  /** Agents that named a time (Retry-After) which has not come, and that may be asked again when it does. */
  private tooEarly(): Set<string> {
    const now = this.deps.clock.monotonicMs();
    const early = [...this.notBefore].filter(([, atMs]) => atMs > now).map(([id]) => id);
    return new Set(early.filter((id) => this.passing || !this.excluded.has(id)));
  }

  private async admit(choice: Choice): Promise<Admitted | 'full' | 'out'> {
    const { deadlines } = this.deps;
    return this.deps.admission.admit(choice, Math.min(deadlines.totalMs, this.leftMs()));
  }

  /** Asks an agent and notes how it did; `packed` is what a phone shows of its reply. */
  async call({ agent, isTrial, leave }: Admitted): Promise<Called> {
    const { turn, deps } = this;
    let exchange: AgentExchange;
    let called: Called;
    try {
      const result = await deps.invoke({
        agent,
        messageId: turn.requestId,
        conversationId: turn.conversationId,
        sessionId: turn.sessionId,
        channel: turn.channel,
        text: wordsOf(turn),
        media: turn.texts.flatMap((text) => deps.mediaLinks(text.id, text.media)),
        history: turn.history.map((entry) => ({ ...entry, timestamp: new Date(entry.timestamp) })),
        replyBudget: replyBudget(turn.maxSegments),
        deadlines: this.deadlinesFor(agent, isTrial),
        signal: this.signal,
        // A handle of one agent means nothing to another.
        thread: turn.thread?.agentId === agent.id ? turn.thread : null,
        onProgress: this.onProgress,
      });
      exchange = result.exchange;
      called = packed(result.outcome, turn.maxSegments);
    } catch (error) {
      leave(true);
      throw error;
    }
    const { outcome } = called;
    this.exchanges.push(agentExchange(agent.id, this.count + 1, { outcome, exchange }));
    deps.metrics.agentSeconds.observe(
      { protocol: agent.protocol, outcome: outcome.kind === 'failed' ? outcome.code : 'ok' },
      exchange.durationMs / 1000,
    );
    const wasCutOff = outcome.kind === 'failed' && this.signal.aborted;
    if (outcome.kind === 'reply') deps.health.recordSuccess(agent.id, exchange.durationMs);
    else if (outcome.kind === 'deferred') {
      // Only the post will show what it was worth (posts.ts). Until then one that is out is tried with no other person, as after a
      // failure: each would wait for ten minutes.
      if (isTrial) deps.health.recordFailure(agent.id, 'timeout', exchange.startedAt, isTrial);
    } else if (!wasCutOff) {
      deps.health.recordFailure(agent.id, CATALOGUE[outcome.code].category, exchange.startedAt, isTrial);
      this.failed(agent, outcome);
    }
    leave(wasCutOff);
    return called;
  }

  /** While others could answer, nobody waits for an agent that is silent for far longer than it ever takes. */
  private deadlinesFor(agent: Agent, isTrial: boolean): Deadlines {
    const { deadlines, registry } = this.deps;
    const totalMs = Math.min(deadlines.totalMs, this.leftMs());
    const isKnown = isTrial || agent.p99Ms !== null;
    const others = registry.agents(this.turn.agentType);
    if (!isKnown || !isAnybodyWell(others, this.wish(new Set([agent.id]), false))) return { ...deadlines, totalMs };
    const leastMs = isTrial ? TRIAL_FIRST_BYTE_MS : LEAST_FIRST_BYTE_MS;
    // Of few calls there are no percentiles, only a mean: one that thinks for longer than a trial would never come back.
    const patienceMs = Math.max(leastMs, 4 * (agent.p99Ms ?? 0), 2 * agent.responseMs);
    return { ...deadlines, firstByteMs: Math.min(deadlines.firstByteMs, patienceMs), totalMs };
  }

  /** Notes a failure: once more on the same agent where the failure allows it, else on another. */
  private failed(agent: Agent, outcome: Extract<AgentOutcome, { kind: 'failed' }>): void {
    this.lastError = outcome.code;
    this.errors.set(agent.id, outcome.code);
    this.passing ||= PASSING.has(CATALOGUE[outcome.code].category) || outcome.retry === 'same';
    // It is not asked before the time that it named (Retry-After), as far as this turn reaches.
    if (outcome.afterMs !== null) {
      const namedMs = this.deps.clock.monotonicMs() + outcome.afterMs;
      this.notBefore.set(agent.id, Math.min(namedMs, this.endsAtMs - 2 * LEAST_ATTEMPT_MS));
    }
    // Its health has just fallen, so a healthy other one goes first; alone, it is asked once more at once.
    if (outcome.retry === 'same' && !this.repeated.has(agent.id)) this.repeated.add(agent.id);
    else this.excluded.add(agent.id);
  }

  /** Nobody fits: an agent registered a moment ago may not be in the snapshot yet. */
  private async lookAgain(): Promise<boolean> {
    this.round++;
    await this.deps.registry.refresh().catch(() => {});
    return this.choose(new Set(), true) !== null;
  }

  /**
   * Everybody has failed. Where the trouble may pass, waits (1, 2, 4, 8 s with jitter) and lets all of them be tried
   * again; false when there is no time or no hope.
   */
  async pause(): Promise<boolean> {
    if (this.lastError === 'agent_none' && this.round === 0) return this.lookAgain();
    const pauseMs = this.pauseMs();
    if (!this.passing || this.leftMs() < pauseMs + LEAST_ATTEMPT_MS || this.signal.aborted) return false;
    try {
      await sleep(pauseMs, undefined, { signal: this.signal });
    } catch {
      return false;
    }
    this.forgive();
    return true;
  }

  private pauseMs(): number {
    const jitter = 0.75 + Math.random() * 0.5;
    return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.round) * jitter;
  }

  /** Lets all be tried again. */
  private forgive(): void {
    this.round++;
    this.passing = false;
    this.excluded.clear();
    this.repeated.clear();
  }
}

/** A reply of which nothing is left to read is none: its agent has failed. */
function packed(outcome: AgentOutcome, maxSegments: number): Called {
  if (outcome.kind !== 'reply') return { outcome };
  const reply = packAnswer(outcome.text, outcome.mediaUrls, maxSegments);
  return reply === null ? { outcome: NOTHING_SAID } : { outcome, packed: reply };
}

/** What the person said, text by text. */
function wordsOf({ texts, leftOut }: Turn): string {
  const lines = texts.map((text) => text.body);
  if (leftOut > 0) lines.splice(FIRST_OF_FLOOD, 0, `[${leftOut} more texts came here and are left out]`);
  return lines.join('\n');
}
