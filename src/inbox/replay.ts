// The `replay` job: an agent is asked a turn again, so that an operator can see what it says. Once, without failover: it is this
// agent's answer that is wanted. It says nothing of the agent's health, for which only people who wait count: the words may have
// been made up, and the agent may be one that was taken out for a reason.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent, AgentResult, Deadlines } from '../agents/agent.ts';
import { type Capacity, takeWithin } from '../agents/capacity.ts';
import type { InvokeAgent } from '../agents/invoke.ts';
import type { Registry } from '../agents/registry.ts';
import { agentExchange } from '../bridge/exchange.ts';
import { packAnswer, replyBudget } from '../bridge/reply.ts';
import type { Exchange } from '../bridge/store.ts';
import type { Media } from '../channels/channel.ts';
import { mayPass } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, type ErrorCode } from '../errors.ts';

export type ReplayDeps = {
  readonly sql: Sql;
  readonly registry: Registry;
  readonly capacity: Capacity;
  readonly invoke: InvokeAgent;
  readonly deadlines: Deadlines;
  mediaLinks(messageId: string, media: readonly Media[]): readonly Media[];
};

export type ReplayPayload = { readonly r: string };

export type Replayer = {
  run(payload: ReplayPayload): Promise<void>;
  /** Cuts off what is under way: it is asked again elsewhere. */
  stop(): void;
};

type Started = {
  readonly conversation_id: string;
  readonly attempt: number;
  readonly session_id: string;
  readonly agent_id: string;
  readonly channel: string;
  readonly max_segments: number;
  readonly words: string;
  readonly media: readonly { id: string; media: readonly Media[] }[];
  readonly history: readonly { role: 'user' | 'assistant'; content: string; timestamp: string }[];
};

type End = {
  readonly reply: string | null;
  readonly mediaUrls: readonly string[];
  readonly segments: number | null;
  readonly code: ErrorCode | null;
  readonly ms: number | null;
  readonly exchanges: readonly Exchange[];
};

/** Between tries to write down what an agent said, while the database is away. */
const AGAIN_MS = 250;
/** So long a full agent is asked for a place. */
const PLACE_MS = 10_000;

export function createReplayer(deps: ReplayDeps): Replayer {
  const { sql, registry } = deps;
  const shutdown = new AbortController();

  async function ask(agent: Agent, replayId: string, started: Started): Promise<AgentResult | null> {
    const place = await takeWithin(deps.capacity, agent, PLACE_MS, shutdown.signal);
    if (place === null) return null;
    try {
      return await deps.invoke({
        agent,
        // Of its own: the agent must not take it for the question that it answered then.
        messageId: replayId,
        conversationId: started.conversation_id,
        // Where an agent keeps its memory under the session's id, a replay would talk into the conversation; the envelope says that
        // it is one.
        sessionId: agent.protocol === 'envelope' ? started.session_id : replayId,
        channel: started.channel,
        text: started.words,
        media: started.media.flatMap(({ id, media }) => deps.mediaLinks(id, media)),
        history: started.history.map((entry) => ({ ...entry, timestamp: new Date(entry.timestamp) })),
        replyBudget: replyBudget(started.max_segments),
        deadlines: deps.deadlines,
        signal: shutdown.signal,
        // A thread of its own: nothing of it must stay in the agent's memory of the session.
        thread: null,
        onProgress() {},
        isReplay: true,
      });
    } finally {
      place.leave();
    }
  }

  /** Written for sure: asking once more because the database was away for a moment would be another answer. */
  async function finish(replayId: string, attempt: number, end: End): Promise<void> {
    for (;;) {
      try {
        await sql`
          select finish_replay(${replayId}, ${attempt}, ${end.reply}, ${end.mediaUrls as string[]}, ${end.segments},
            ${end.code}, ${end.ms}, ${JSON.stringify(end.exchanges)}::text::json)`;
        return;
      } catch (error) {
        if (!mayPass(error) || shutdown.signal.aborted) throw error;
        await sleep(AGAIN_MS);
      }
    }
  }

  return {
    async run({ r }) {
      shutdown.signal.throwIfAborted();
      const [started] = await sql<Started[]>`select * from start_replay(${r})`;
      if (!started) return;
      const agent = await registry.findFresh(started.agent_id);
      if (!agent) {
        await finish(r, started.attempt, failed('agent_none'));
        return;
      }
      const result = await ask(agent, r, started);
      if (shutdown.signal.aborted) throw new DarkspereError('agent_cancelled');
      if (result === null) {
        await finish(r, started.attempt, failed('agent_full'));
        return;
      }
      await finish(r, started.attempt, endOf(agent, result, started));
    },
    stop() {
      shutdown.abort();
    },
  };
}

function endOf(agent: Agent, result: AgentResult, { attempt, max_segments }: Started): End {
  const { outcome } = result;
  const called = { ms: result.exchange.durationMs, exchanges: [agentExchange(agent.id, attempt, result)] };
  if (outcome.kind === 'failed') return { ...failed(outcome.code), ...called };
  if (outcome.kind === 'deferred') return { ...failed('agent_deferred'), ...called };
  const packed = packAnswer(outcome.text, outcome.mediaUrls, max_segments);
  if (!packed) return { ...failed('agent_contract'), ...called };
  const segments = packed.parts.reduce((sum, part) => sum + part.segments, 0);
  return { reply: packed.body, mediaUrls: outcome.mediaUrls, segments, code: null, ...called };
}

function failed(code: ErrorCode): End {
  return { reply: null, mediaUrls: [], segments: null, code, ms: null, exchanges: [] };
}
