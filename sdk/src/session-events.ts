// What an agent hears of its sessions beside the texts: that one has become its own, and that one is over.
import { z } from 'zod';

export type SessionStart = {
  readonly sessionId: string;
  /** Where texts of the agent's own go (`agent.post`). */
  readonly conversationId: string | null;
  /** `sms`, `whatsapp` …; null where it is not said. */
  readonly channel: string | null;
  /** When the session began, with this agent or another. */
  readonly startedAt: Date | null;
};

/** The agent's own `endSession`, silence, another agent's now, RESET, STOP; a newer Darkspere may say more. */
export type SessionEndReason = 'agent' | 'idle' | 'moved' | 'reset' | 'stopped' | (string & {});

export type SessionEnd = SessionStart & { readonly endedAt: Date | null; readonly reason: SessionEndReason };

export type SessionHandlers = {
  /** Hears that a session is this agent's: after its first answer in it, or when it is given one. Best effort; envelope only. */
  readonly onSessionStart?: ((session: SessionStart) => void | Promise<void>) | undefined;
  /** Hears that a session of this agent's is over or another's. Best effort; envelope only. */
  readonly onSessionEnd?: ((session: SessionEnd) => void | Promise<void>) | undefined;
};

const moment = z.coerce.date().nullish().catch(null);
const payload = z.object({
  session_id: z.string().min(1),
  conversation_id: z.string().nullish(),
  channel: z.string().nullish(),
  started_at: moment,
  ended_at: moment,
  reason: z.string().default('unknown'),
});

/**
 * Gives what came over the envelope to the handler, whose failure reaches `onFailure` and nobody else. Resolves with what is wrong
 * with the payload, or null when the handler is done or there is none.
 */
export function createSessionEvents(handlers: SessionHandlers, onFailure: (name: string, error: unknown) => void) {
  return async (type: 'session.start' | 'session.end', given: unknown): Promise<string | null> => {
    const { onSessionStart, onSessionEnd } = handlers;
    const name = type === 'session.start' ? 'onSessionStart' : 'onSessionEnd';
    if (handlers[name] === undefined) return null;
    const { data, error } = payload.safeParse(given);
    if (data === undefined) return `payload.${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`;
    const session = {
      sessionId: data.session_id,
      conversationId: data.conversation_id ?? null,
      channel: data.channel ?? null,
      startedAt: data.started_at ?? null,
    };
    try {
      if (type === 'session.start') await onSessionStart?.(session);
      else await onSessionEnd?.({ ...session, endedAt: data.ended_at ?? null, reason: data.reason });
    } catch (thrown) {
      onFailure(name, thrown);
    }
    return null;
  };
}
