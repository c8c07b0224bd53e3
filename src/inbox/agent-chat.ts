// An operator talks to one agent directly, to try it. It is the call that a text would make and nothing else of a text: no session,
// no turn, nothing that is sent or counted, and nothing that says how healthy the agent is. Workers make it: they alone read
// agents' secrets, and it is from where they are that agents are reached.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent, AgentOutcome, AgentResult, Deadlines, Handle, HistoryEntry } from '../agents/agent.ts';
import { type Capacity, takeWithin } from '../agents/capacity.ts';
import type { InvokeAgent } from '../agents/invoke.ts';
import { openAgent } from '../agents/registry.ts';
import { agentExchange } from '../bridge/exchange.ts';
import { DEFAULT_MAX_SEGMENTS, replyBudget } from '../bridge/reply.ts';
import { retryRollbacks } from '../database/faults.ts';
import type { Sql } from '../database/pools.ts';
import { DarkspereError, type ErrorCode } from '../errors.ts';
import { newId } from '../ids.ts';
import type { SecretBox } from '../security/secrets.ts';
import { type Exchange, toExchange } from './path-rows.ts';

export type ChatHistory = readonly {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly timestamp: string;
}[];

export type ChatQuestion = {
  readonly agentId: string;
  /** Of the answer before, to go on where it was; absent: a new conversation. */
  readonly sessionId?: string | undefined;
  readonly by: string;
  readonly message: string;
  /** Oldest first, without the message. */
  readonly history: ChatHistory;
};

export type ChatAnswer = {
  readonly session_id: string;
  readonly outcome: AgentOutcome['kind'];
  readonly reply: { readonly text: string; readonly media_urls: string[]; readonly end_session: boolean } | null;
  readonly error: { readonly code: ErrorCode; readonly reason: string } | null;
  readonly duration_ms: number;
  /** Null: there was no call. */
  readonly exchange: Exchange | null;
};

type Result = Omit<ChatAnswer, 'session_id'> & { readonly handle?: Handle };

export type ChatPayload = { readonly chat: string };

export type Chats = {
  run(payload: ChatPayload): Promise<void>;
  /** Cuts off what is under way. */
  stop(): void;
};

/** Questions of one operator in a minute. */
const MOST_A_MINUTE = 30;
const LOOK_EVERY_MS = 100;
/** What a question may wait for its job, beside what its call may take. */
const JOB_MS = 10_000;
/** So long a full agent is asked for a place. */
const PLACE_MS = 2_000;

/**
 * Asks an agent and waits for what it says; an agent that fails is an answer too. Throws `not_found`, `rate_limited`, or
 * `chat_unanswered` when no worker has asked it.
 */
export async function askAgent(sql: Sql, question: ChatQuestion, deadlines: Deadlines): Promise<ChatAnswer> {
  const sessionId = question.sessionId ?? newId();
  const [row] = await retryRollbacks(
    () => sql<{ verdict: 'ok' | 'not_found' | 'rate_limited'; chat_id: string }[]>`
      select * from request_chat(${question.agentId}, ${sessionId}, ${question.by}, ${question.message},
        ${JSON.stringify(question.history)}::text::json, ${MOST_A_MINUTE})`,
  );
  if (row!.verdict === 'not_found') throw new DarkspereError('not_found', 'There is no such agent, or it has left.');
  if (row!.verdict === 'rate_limited') {
    throw new DarkspereError(
      'rate_limited',
      `An operator asks ${MOST_A_MINUTE} questions a minute at most. Wait a moment.`,
      {
        facts: { retryAfterSeconds: 10 },
      },
    );
  }
  const endsAtMs = performance.now() + deadlines.totalMs + JOB_MS;
  while (performance.now() < endsAtMs) {
    await sleep(LOOK_EVERY_MS);
    const [chat] = await sql<{ result: Result | null }[]>`select result from agent_chats where id = ${row!.chat_id}`;
    if (chat?.result) {
      const { handle: _, ...answer } = chat.result;
      return { session_id: sessionId, ...answer };
    }
  }
  throw new DarkspereError('chat_unanswered');
}

type Started = {
  readonly agent_id: string;
  readonly session_id: string;
  readonly message: string;
  readonly history: ChatHistory;
  readonly handle: Handle | null;
  readonly handle_at: Date | null;
};

export function createChats(deps: {
  readonly sql: Sql;
  readonly secretBox: SecretBox;
  readonly capacity: Capacity;
  readonly invoke: InvokeAgent;
  readonly deadlines: Deadlines;
}): Chats {
  const { sql, capacity } = deps;
  const shutdown = new AbortController();

  async function ask(agent: Agent, started: Started): Promise<Result> {
    const place = await takeWithin(capacity, agent, PLACE_MS, shutdown.signal);
    if (place === null) return failedWithoutCall('agent_full', 'All places at the agent are taken by texts.');
    try {
      return resultOf(agent, await deps.invoke(callOf(agent, started)));
    } finally {
      place.leave();
    }
  }

  function callOf(agent: Agent, started: Started) {
    const { handle, handle_at: at } = started;
    return {
      agent,
      messageId: newId(),
      conversationId: started.session_id,
      sessionId: started.session_id,
      channel: 'sms',
      text: started.message,
      media: [],
      history: started.history.map((entry): HistoryEntry => ({ ...entry, timestamp: new Date(entry.timestamp) })),
      replyBudget: replyBudget(DEFAULT_MAX_SEGMENTS),
      deadlines: deps.deadlines,
      signal: shutdown.signal,
      thread: handle === null || at === null ? null : { agentId: agent.id, handle, missed: null, at },
      onProgress() {},
      isReplay: true,
    };
  }

  return {
    async run({ chat }) {
      const [started] = await sql<Started[]>`select * from start_chat(${chat})`;
      if (!started) return;
      // From its row: one that an operator has disabled is tried before it is enabled again.
      const opened = await openAgent(sql, deps.secretBox, started.agent_id);
      const result =
        opened === null
          ? failedWithoutCall('agent_none', 'There is no such agent any more.')
          : await ask(opened.agent, started);
      await sql`select finish_chat(${chat}, ${JSON.stringify(result)}::text::json)`;
    },
    stop() {
      shutdown.abort();
    },
  };
}

function resultOf(agent: Agent, result: AgentResult): Result {
  const { outcome } = result;
  const row = agentExchange(agent.id, 1, result);
  const exchange = toExchange({
    ...row,
    id: newId(),
    turn_id: null,
    part_id: null,
    agent_name: agent.name,
    late: false,
    protocol: agent.protocol,
    endpoint_url: agent.endpointUrl,
    key_header: String(agent.metadata.api_key_header ?? ''),
  });
  const common = { outcome: outcome.kind, duration_ms: result.exchange.durationMs, exchange } as const;
  if (outcome.kind === 'failed')
    return { ...common, reply: null, error: { code: outcome.code, reason: outcome.reason } };
  if (outcome.kind === 'deferred') return { ...common, reply: null, error: null };
  const { text, mediaUrls, endSession, handle } = outcome;
  const reply = { text, media_urls: [...mediaUrls], end_session: endSession };
  return { ...common, reply, error: null, ...(handle === undefined ? {} : { handle }) };
}

function failedWithoutCall(code: ErrorCode, reason: string): Result {
  return { outcome: 'failed', reply: null, error: { code, reason }, duration_ms: 0, exchange: null };
}
