// One turn: from the texts of a burst to what is to be said. Calls agents, writes nothing; the mailbox commits the result.
import type { Agent } from '../agents/agent.ts';
import type { Clock } from '../clock.ts';
import { type AttemptDeps, Attempts, type Called } from './attempts.ts';
import { FALLBACK_TEXT, type PackedReply, packNotice } from './reply.ts';
import type { Turn, TurnEnd } from './store.ts';

export type TurnDeps = AttemptDeps;

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
    const admitted = await attempts.next();
    if (!admitted) {
      if (await attempts.pause()) continue;
      return signal.aborted ? cutOff(turn, attempts) : fellBack(turn, attempts);
    }
    const { agent } = admitted;
    const called = await attempts.call(admitted);
    if (signal.aborted) return cutOff(turn, attempts);
    if (called.outcome.kind === 'deferred') return deferred(turn, agent, attempts, deps.clock);
    if (called.packed !== undefined) return replied(turn, agent, called, attempts);
  }
}

function ended(turn: Turn, attempts: Pick<Attempts, 'count' | 'exchanges'>): Omit<TurnEnd, 'state'> {
  return {
    conversation_id: turn.conversationId,
    turn_id: turn.turnId,
    session_id: turn.sessionId,
    epoch: turn.epoch,
    agent_id: null,
    agent_was: turn.agentId,
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

function takenOver(agent: Agent, attempts: Attempts): Pick<TurnEnd, 'agent_id' | 'failover'> {
  const failover = attempts.failover(agent.id);
  return { agent_id: agent.id, ...(failover === null ? {} : { failover }) };
}

function replied(
  turn: Turn,
  agent: Agent,
  { outcome, packed }: Extract<Called, { packed: PackedReply }>,
  attempts: Attempts,
): TurnEnd {
  return {
    ...ended(turn, attempts),
    state: 'replied',
    kind: 'reply',
    ...takenOver(agent, attempts),
    end_session: outcome.endSession,
    ...(outcome.handle === undefined ? {} : { thread: { agent: agent.id, handle: outcome.handle } }),
    ...packed,
  };
}

function deferred(turn: Turn, agent: Agent, attempts: Attempts, clock: Clock): TurnEnd {
  return {
    ...ended(turn, attempts),
    state: 'deferred',
    ...takenOver(agent, attempts),
    deferred_until: new Date(clock.now().getTime() + DEFERRED_MS),
  };
}

function fellBack(turn: Turn, attempts: Pick<Attempts, 'count' | 'exchanges' | 'lastError'>): TurnEnd {
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
  return fellBack(turn, { count: 0, exchanges: [], lastError: 'internal_error' });
}
