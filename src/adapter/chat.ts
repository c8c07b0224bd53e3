// A question of a program, answered as the bridge answers a text: the same choice of an agent, the same call, failover and health.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent, AgentOutcome } from '../agents/agent.ts';
import type { Registry } from '../agents/registry.ts';
import { DEFAULT_MAX_SEGMENTS } from '../bridge/reply.ts';
import type { Turn } from '../bridge/store.ts';
import { answerTurn, type TurnDeps } from '../bridge/turn.ts';
import { now } from '../clock.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, type ErrorCode } from '../errors.ts';
import { newId } from '../ids.ts';
import { findAgent } from './find-agent.ts';
import { type AdapterSession, endSession, noteAnswer, noteSilence, openSession } from './sessions.ts';
import type { AgentCounts } from './status.ts';

export type Question = {
  readonly apiKeyId: string;
  /** What the program calls the session; null: a new one. */
  readonly sessionName: string | null;
  /** This agent and no other. Null: the session's agent while it is healthy, else the best of `agentType`. */
  readonly agentId: string | null;
  readonly agentType: string;
  readonly message: string;
  /** Oldest first. */
  readonly history: readonly {
    readonly role: 'user' | 'assistant';
    readonly content: string;
    readonly timestamp: Date | null;
  }[];
};

export type Answer = {
  readonly session: string;
  readonly agent: { readonly id: string; readonly name: string };
  /** As the agent said it. */
  readonly text: string;
  readonly mediaUrls: readonly string[];
  readonly endSession: boolean;
  /** Agents that were asked. */
  readonly attempts: number;
  /** From the question to the answer, and what of it was spent in the call that was answered, milliseconds. */
  readonly durationMs: number;
  readonly agentMs: number;
};

export type ChatDeps = Omit<TurnDeps, 'mediaLinks'> & { readonly sql: Sql; readonly counts: AgentCounts };

export type Chat = {
  /**
   * Answers a question; ends when `signal` does. Throws not_found (`agent_id`), rate_limited (too many questions at once),
   * agent_deferred (the agent would answer later), or why nobody could answer: agent_none, agent_timeout …
   */
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
  /** Questions being asked. */
  readonly underWay: number;
  /** Waits so long for what is under way, then ends it. */
  close(graceMs: number): Promise<void>;
};

/** Questions that one process has open at once. */
const MOST_AT_ONCE = 500;

type Reply = Extract<AgentOutcome, { kind: 'reply' }>;

export function createChat(deps: ChatDeps): Chat {
  const { sql, registry, counts } = deps;
  const shutdown = new AbortController();
  const running = new Set<Promise<unknown>>();

  async function answer(question: Question, signal: AbortSignal): Promise<Answer> {
    const startedMs = performance.now();
    const only = question.agentId === null ? null : await findAgent(deps, question.agentId);
    const session = await openSession(sql, question.apiKeyId, question.sessionName);
    let reply: { outcome: Reply; ms: number } | null = null;
    const end = await answerTurn(
      turnOf(question, session, only?.type ?? question.agentType),
      {
        ...deps,
        mediaLinks: () => [],
        registry: only === null ? registry : alone(registry, only),
        async invoke(call) {
          const result = await deps.invoke(call);
          counts.note(call.agent.id, result);
          if (result.outcome.kind === 'reply') reply = { outcome: result.outcome, ms: result.exchange.durationMs };
          return result;
        },
      },
      signal,
      () => {},
    );
    const said = reply as { outcome: Reply; ms: number } | null;
    if (end.state !== 'replied' || end.agent_id === null || said === null) {
      await noteSilence(sql, session.id);
      if (end.error_code === 'agent_none' && only === null && registry.agents(question.agentType).length === 0)
        throw new DarkspereError(
          'agent_none',
          `agent_type: no agent of the type ${question.agentType} is registered.`,
          { param: 'agent_type' },
        );
      throw new DarkspereError(
        end.state === 'deferred' ? 'agent_deferred' : ((end.error_code ?? 'agent_none') as ErrorCode),
      );
    }
    const { text, mediaUrls, endSession: isOver, handle = null } = said.outcome;
    if (isOver) await endSession(sql, session.id);
    else await noteAnswer(sql, session.id, end.agent_id, handle);
    return {
      session: session.name,
      agent: { id: end.agent_id, name: registry.find(end.agent_id)?.name ?? '' },
      text,
      mediaUrls,
      endSession: isOver,
      attempts: end.attempts,
      durationMs: performance.now() - startedMs,
      agentMs: said.ms,
    };
  }

  return {
    ask(question, signal) {
      if (running.size >= MOST_AT_ONCE || shutdown.signal.aborted) {
        throw new DarkspereError('rate_limited', 'Too many questions are being asked at once. Ask again in a second.', {
          facts: { retryAfterSeconds: 1 },
        });
      }
      const asked = answer(question, AbortSignal.any([signal, shutdown.signal]));
      running.add(asked);
      return asked.finally(() => running.delete(asked));
    },
    get underWay() {
      return running.size;
    },
    async close(graceMs) {
      await Promise.race([Promise.allSettled(running), sleep(graceMs, undefined, { ref: false })]);
      shutdown.abort();
      await Promise.allSettled(running);
    },
  };
}

/** The registry as if there were one agent in it: failover has nowhere to go. */
function alone(registry: Registry, { id }: Agent): Registry {
  return {
    ...registry,
    agents(type) {
      const agent = registry.find(id);
      return agent !== null && agent.type === type ? [agent] : [];
    },
  };
}

function turnOf(question: Question, session: AdapterSession, agentType: string): Turn {
  const id = newId();
  return {
    conversationId: session.id,
    turnId: id,
    requestId: id,
    sessionId: session.id,
    epoch: 0,
    tries: 1,
    channel: 'api',
    ourAddress: '',
    theirAddress: '',
    agentId: session.agentId,
    agentType,
    requiredCapabilities: [],
    // Agents are told the budget of a text message; an answer that is longer is given as it is.
    maxSegments: DEFAULT_MAX_SEGMENTS,
    texts: [{ id, body: question.message, media: [] }],
    leftOut: 0,
    hold: null,
    thread: session.thread,
    // What is not said to be newer counts as known to an agent that remembers the session.
    history: question.history.map(({ role, content, timestamp }) => ({
      role,
      content,
      timestamp: (timestamp ?? session.thread?.at ?? now()).toISOString(),
    })),
  };
}
