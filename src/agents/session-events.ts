// The `session-events` job: an agent that asked for it is told that a session has become its own, or is over. Best effort: nothing
// waits for it and nothing follows from it, not for its health, its circuit, its places nor anybody's bill.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { messageOf } from '../errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Deadlines } from './agent.ts';
import { type Notice, notifyEnvelope } from './protocols/envelope-notice.ts';
import type { Registry } from './registry.ts';

/** What `tell_of_session` says of one session to one agent. */
export type SessionEventsPayload = {
  readonly agent: string;
  readonly session: string;
  readonly conversation: string;
  readonly channel: string;
  readonly started_at: string;
  /** When it happened, microseconds since 1970: what happens to a session is told in this order. */
  readonly at: number;
  /** The message id of session.start; null: it does not begin here. */
  readonly start: string | null;
  /** Null: it goes on. `id` is the message id of session.end. */
  readonly end: { readonly id: string; readonly at: string; readonly reason: string } | null;
};

export type SessionEvents = {
  /** Runs one job: puts it in line and does not wait. */
  run(payload: SessionEventsPayload): Promise<void>;
  /** Resolves when nothing is in line any more. */
  idle(): Promise<void>;
  /** Cuts off what is under way and drops the rest. */
  stop(): void;
};

const DEADLINES: Deadlines = { connectMs: 2_000, firstByteMs: 5_000, totalMs: 5_000 };
/** Lines of an agent in this process. A session is always in the same one, and each tells one thing at a time. */
const LINES = 4;
/** The most that waits in a line; an agent that is so far behind misses what comes on top. */
const MOST_IN_LINE = 500;
/** Jobs that were taken together begin in any order: they are put in theirs first. */
const GATHER_MS = 20;

/**
 * A job ends as soon as its notice is in line, so that an agent that hangs holds no slot that a send needs. What is in line when the process
 * dies is not told.
 */
export function createSessionEvents(deps: {
  readonly registry: Pick<Registry, 'findFresh'>;
  readonly http: Dispatcher;
  readonly logger: Logger;
}): SessionEvents {
  const { registry, http, logger } = deps;
  const shutdown = new AbortController();
  /** Lines that are being told. */
  const lines = new Map<string, SessionEventsPayload[]>();
  const telling = new Set<Promise<void>>();
  /** Agents that missed the last thing that they were to be told: said once, not for each session. */
  const missing = new Set<string>();

  async function tellLine(key: string, line: SessionEventsPayload[]): Promise<void> {
    await sleep(GATHER_MS);
    while (line.length > 0 && !shutdown.signal.aborted) {
      line.sort((one, other) => one.at - other.at);
      const next = line.shift()!;
      await tell(next).catch((error) => missed(next.agent, messageOf(error)));
    }
    lines.delete(key);
  }

  async function tell(payload: SessionEventsPayload): Promise<void> {
    // Whoever was deactivated or disabled meanwhile is not in the registry, and is told nothing.
    const agent = await registry.findFresh(payload.agent);
    if (agent?.protocol !== 'envelope') return;
    for (const notice of noticesOf(payload)) {
      const failure = await notifyEnvelope({ agent, deadlines: DEADLINES, signal: shutdown.signal }, http, notice);
      if (failure === null) missing.delete(agent.id);
      else missed(agent.id, failure.reason);
    }
  }

  function missed(agent: string, reason: string): void {
    if (missing.has(agent) || shutdown.signal.aborted) return;
    missing.add(agent);
    logger.warn({ agent, reason }, 'an agent could not be told of a session');
  }

  return {
    async run(payload) {
      const key = `${payload.agent} ${Number.parseInt(payload.session.slice(-1), 16) % LINES}`;
      const line = lines.get(key);
      if (line === undefined) {
        const begun = [payload];
        lines.set(key, begun);
        const told = tellLine(key, begun).finally(() => telling.delete(told));
        telling.add(told);
      } else if (line.length < MOST_IN_LINE) line.push(payload);
      else missed(payload.agent, `${MOST_IN_LINE} wait to be told already.`);
    },
    async idle() {
      await Promise.all(telling);
    },
    stop() {
      shutdown.abort();
    },
  };
}

function noticesOf({ session, conversation, channel, started_at, start, end }: SessionEventsPayload): Notice[] {
  const about = {
    session_id: session,
    conversation_id: conversation,
    channel,
    started_at: new Date(started_at).toISOString(),
  };
  return [
    ...(start === null ? [] : [{ type: 'session.start', messageId: start, payload: about } as const]),
    ...(end === null
      ? []
      : [
          {
            type: 'session.end',
            messageId: end.id,
            payload: { ...about, ended_at: new Date(end.at).toISOString(), reason: end.reason },
          } as const,
        ]),
  ];
}
