// The staged probe: the way of a text to an agent, one stage after the other, so that the first one that fails has a name.
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Dispatcher } from 'undici';
import { now } from '../../clock.ts';
import { DarkspereError, type ErrorCode, messageOf } from '../../errors.ts';
import { parseCidrs, type Resolve, resolveHost } from '../../security/egress-rules.ts';
import type { Agent, AgentCall } from '../agent.ts';
import { createInvoke, type InvokeAgent } from '../invoke.ts';
import { createMeet, type Meet } from '../meet.ts';
import { type Failed, failed } from '../protocols/wire.ts';
import { type Reached, resolveStage, since, tcpStage, tlsStage } from './reach.ts';
import { type Depth, hintFor, type Probe, STAGES, type Stage, type StageResult } from './stages.ts';

export type ProbeLimits = {
  /** Each for the name, the port and the certificate, milliseconds. */
  readonly connectMs: number;
  /** Each for the handshake and the echo. */
  readonly answerMs: number;
  /** For everything together. */
  readonly totalMs: number;
};

/** Somebody waits for the end of a registration, and programs give up after ten seconds. */
export const REGISTRATION_LIMITS: ProbeLimits = { connectMs: 2_000, answerMs: 6_000, totalMs: 9_000 };
export const OPERATOR_LIMITS: ProbeLimits = { connectMs: 3_000, answerMs: 20_000, totalMs: 30_000 };

export type ProbeOptions = {
  readonly depth: Depth;
  readonly limits: ProbeLimits;
  /**
   * False: the agent cannot know the secret that it is called with yet, or its credential cannot be read here. That it refuses the
   * call is what a good agent does then.
   */
  readonly isKnownThere: boolean;
  /** A slow echo is no failure: whoever waits here waits shorter than a person does. */
  readonly forgivesSlowness: boolean;
  readonly signal?: AbortSignal;
};

/** Probes one agent; never throws and takes `limits.totalMs` at most. */
export type ProbeAgent = (agent: Agent, options: ProbeOptions) => Promise<Probe>;

/** What the echo asks where it has to be a question. */
const QUESTION = 'ping';

export function createProbe(deps: {
  readonly http: Dispatcher;
  readonly egressAllow: readonly string[];
  readonly resolve?: Resolve;
}): ProbeAgent {
  const allow = parseCidrs(deps.egressAllow);
  const resolve = deps.resolve ?? resolveHost;
  return async (agent, options) => {
    const startedAt = now();
    const url = new URL(agent.endpointUrl);
    const run = new Run(agent, url, options);
    try {
      const addresses = await run.reach('dns', (ms) => resolveStage(url, allow, resolve, ms));
      const socket = await run.reach('tcp', (ms) => tcpStage(url, addresses, ms));
      if (url.protocol === 'https:') await run.reach('tls', (ms) => tlsStage(url, socket, ms));
      else run.note('tls', 'skipped', 0, 'the address begins with http://');
      socket.destroy();
      // Anew each time: what earlier calls have taught must not stand in for an answer.
      await converse(run, { meet: createMeet(deps.http), invoke: createInvoke(deps.http) });
    } catch (error) {
      if (!(error instanceof Stop)) run.failed('http', { code: 'internal_error', reason: messageOf(error) }, 0);
    }
    return run.end(startedAt);
  };
}

/** The agent's failure ends the probe. */
class Stop extends Error {}

type Why = { readonly code: Failed['code']; readonly reason: string };

/** One probe: its stages so far, and the time that is left. */
class Run {
  readonly agent: Agent;
  readonly options: ProbeOptions;
  private readonly url: URL;
  private readonly stages: StageResult[] = [];
  private failure: (Why & { readonly stage: Stage }) | null = null;
  private readonly startedMs = performance.now();

  constructor(agent: Agent, url: URL, options: ProbeOptions) {
    this.agent = agent;
    this.url = url;
    this.options = options;
  }

  leftMs(): number {
    return Math.max(1, this.options.limits.totalMs - (performance.now() - this.startedMs));
  }

  note(stage: Stage, outcome: StageResult['outcome'], ms: number, detail: string): void {
    this.stages.push({ stage, outcome, duration_ms: ms, detail });
  }

  /** Notes where the agent failed. */
  failed(stage: Stage, why: Why, ms: number): void {
    this.failure = { stage, ...why };
    this.note(stage, 'failed', ms, why.reason);
  }

  has(stage: Stage): boolean {
    return this.stages.some((one) => one.stage === stage);
  }

  async reach<T>(stage: Stage, how: (limitMs: number) => Promise<Reached<T>>): Promise<T> {
    const startedMs = performance.now();
    const reached = await how(Math.min(this.options.limits.connectMs, this.leftMs()));
    if ('failure' in reached) {
      this.failed(stage, reached.failure, since(startedMs));
      throw new Stop();
    }
    this.note(stage, 'passed', since(startedMs), reached.detail);
    return reached.value;
  }

  /** The server has answered: what fails from here on is no longer about it. */
  answered(status: number | null): void {
    if (status !== null && !this.has('http')) this.note('http', 'passed', 0, `it answered ${status}`);
  }

  /** A call like those of texts, about nobody. */
  call(): AgentCall {
    const { limits, signal } = this.options;
    const totalMs = Math.min(limits.answerMs, this.leftMs());
    const ends = AbortSignal.timeout(Math.ceil(totalMs) + 500);
    return {
      agent: this.agent,
      messageId: randomUUID(),
      conversationId: randomUUID(),
      sessionId: randomUUID(),
      channel: 'sms',
      text: QUESTION,
      media: [],
      history: [],
      replyBudget: { maxCharacters: 160, maxSegments: 1 },
      deadlines: { connectMs: limits.connectMs, firstByteMs: totalMs, totalMs },
      signal: signal === undefined ? ends : AbortSignal.any([signal, ends]),
      thread: null,
      onProgress: () => {},
      isReplay: true,
    };
  }

  end(startedAt: Date): Probe {
    const { failure } = this;
    return {
      ok: failure === null,
      depth: this.options.depth,
      at: startedAt.toISOString(),
      duration_ms: since(this.startedMs),
      failed_stage: failure?.stage ?? null,
      code: failure?.code ?? null,
      reason: failure?.reason ?? null,
      hint: failure && hintFor(failure.stage, failure.code, this.url, this.agent.protocol),
      stages: this.stages.toSorted((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage)),
    };
  }
}

type Ways = { readonly meet: Meet; readonly invoke: InvokeAgent };

/** From the first HTTP request on: the handshake of the protocol, then its echo. */
async function converse(run: Run, ways: Ways): Promise<void> {
  const startedMs = performance.now();
  const { outcome, status } = await ways.meet(run.call(), 'capabilities');
  const ms = since(startedMs);
  if (outcome.kind === 'failed') {
    if (isExpectedRefusal(run, outcome)) {
      run.answered(status);
      run.note(
        'handshake',
        'unknown',
        ms,
        'it refuses a call whose secret or credential it cannot know or we cannot read',
      );
      return;
    }
    // The demo agent, for one, has nothing to say before it has its secret: it is there, and more cannot be known now.
    if (outcome.code === 'agent_busy') {
      run.answered(status);
      return run.note('handshake', 'unknown', ms, busy(status));
    }
    const stage = stageOf(outcome, status, 'handshake');
    if (stage === 'handshake') run.answered(status);
    return run.failed(stage, outcome, ms);
  }
  if (outcome.kind === 'met' || (status !== null && !NO_SUCH_PATH.has(status))) run.answered(status);
  run.note('handshake', outcome.kind === 'met' ? 'passed' : 'skipped', ms, outcome.detail);
  if (run.options.depth === 'full') await echo(run, ways, outcome.kind === 'met' && run.agent.protocol === 'envelope');
  else if (!run.has('http')) run.note('http', 'unknown', 0, 'the protocol has no question without work');
}

/** What a server says that has nothing at the address, and an agent that only has no such question. */
const NO_SUCH_PATH = new Set([404, 405, 410]);

type Echo = {
  readonly outcome: { readonly kind: 'reply' } | { readonly kind: 'deferred' } | Failed;
  readonly status: number | null;
  /** Whatever the status, the answer is one of an API and not of a server that knows no such path. */
  readonly isApi: boolean;
};

async function echo(run: Run, { meet, invoke }: Ways, hasOwn: boolean): Promise<void> {
  const startedMs = performance.now();
  const call = run.call();
  const { outcome, status, isApi } = hasOwn ? await ownEcho(call, meet) : await question(call, invoke);
  const ms = since(startedMs);
  const detail = passable(run, outcome, status);
  if (detail !== null) {
    run.answered(status);
    run.note('echo', outcome.kind === 'reply' ? 'passed' : 'unknown', ms, detail);
    return;
  }
  const stage = run.has('http') || isApi ? 'echo' : stageOf(outcome as Failed, status, 'echo');
  if (stage === 'echo') run.answered(status);
  run.failed(stage, outcome as Failed, ms);
}

/** The echo that the envelope has, so that nobody is asked a question. That the agent is not well is an answer too. */
async function ownEcho(call: AgentCall, meet: Meet): Promise<Echo> {
  const { outcome, status } = await meet(call, 'health');
  const isAnswer = outcome.kind === 'met' || (outcome.kind === 'failed' && outcome.code === 'agent_said_error');
  if (isAnswer) return { outcome: { kind: 'reply' }, status, isApi: true };
  const why = outcome.kind === 'none' ? failed('agent_contract', outcome.detail) : outcome;
  return { outcome: why, status, isApi: true };
}

/** A real question. */
async function question(call: AgentCall, invoke: InvokeAgent): Promise<Echo> {
  const { outcome, exchange } = await invoke(call);
  const isApi = call.agent.protocol === 'openai' && /^\s*\{\s*"error"/.test(exchange.response);
  return { outcome, status: exchange.status, isApi };
}

/** What an echo shows that is no failure; null: it is one. */
function passable(run: Run, outcome: Echo['outcome'], status: number | null): string | null {
  if (outcome.kind === 'reply') return 'it answered';
  if (outcome.kind === 'deferred') return 'it took the question and will answer later (202)';
  const { code } = outcome;
  if (isExpectedRefusal(run, outcome))
    return 'it refuses a call whose secret or credential it cannot know or we cannot read';
  if (code === 'agent_busy') return busy(status);
  const isSlow = code === 'agent_timeout' && (run.has('http') || status !== null);
  return isSlow && run.options.forgivesSlowness ? 'no answer yet; a text would wait longer' : null;
}

const busy = (status: number | null) => `it says that it is busy (${status})`;

function isExpectedRefusal(run: Run, { code }: Failed): boolean {
  return code === 'agent_unauthorized' && !run.options.isKnownThere;
}

/** Failures that a server, or a proxy before it, tells by its status or its size. */
const OF_HTTP: ReadonlySet<ErrorCode> = new Set(['agent_http', 'agent_away', 'agent_busy', 'agent_too_large']);

/** The stage that a failure belongs to: the network may break after it has been looked at. */
function stageOf({ code }: Failed, status: number | null, own: 'handshake' | 'echo'): Stage {
  if (code === 'egress_denied' || code === 'agent_refused') return 'tcp';
  if (code === 'agent_tls') return 'tls';
  return status === null || OF_HTTP.has(code) ? 'http' : own;
}

/** The error of a registration that is refused over a probe: it names the stage, what was found and what to correct. */
export function probeFailed(probe: Probe): DarkspereError {
  const { failed_stage, code, reason, hint } = probe;
  const denied = code === 'egress_denied';
  return new DarkspereError(
    denied ? 'egress_denied' : 'probe_failed',
    `endpoint_url: the probe failed at the stage ${failed_stage}: ${reason?.replace(/\.$/, '')}. ${hint}`,
    { param: 'endpoint_url', facts: { stage: failed_stage, probe } },
  );
}
