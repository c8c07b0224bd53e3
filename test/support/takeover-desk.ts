// Operators at one conversation, without their pages.
import type { Sql } from '../../src/database/pools.ts';
import { handBack, type OperatorPolicy, sendAsOperator, takeOver } from '../../src/inbox/takeover.ts';

export const POLICY: OperatorPolicy = { optOutScope: null, pacing: false, takeoverMinutes: 30 };

/** What operators do to one conversation. */
export function deskOf(sql: Sql, conversationId: string, policy = POLICY) {
  return {
    take: (by = 'Ida') => takeOver(sql, { conversationId, by }, policy),
    say: (text: string, { by = 'Ida', key = null as string | null } = {}) =>
      sendAsOperator(sql, { conversationId, by, text, idempotencyKey: key }, policy),
    back: (by = 'Ida') => handBack(sql, { conversationId, by }),
  };
}
