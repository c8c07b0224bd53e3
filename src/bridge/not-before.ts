// What agents and programs say by themselves: what it is held to, and the refusal of what may be said later.
import { now } from '../clock.ts';
import { DarkspereError } from '../errors.ts';

export type TextPolicy = {
  readonly optOutScope: string | null;
  readonly pacing: boolean;
  /** Where a number has no setting of its own. */
  readonly maxSegments: number;
};

const WHY_LATER = {
  quiet_hours: 'It is, or would be, night where the person lives.',
  program_budget_spent: 'This key, or this person, has reached the limit for 24 hours.',
  sender_busy: 'Ten hours of texts that nobody has asked for already wait for this number.',
} as const;

/** Says when to try again, in the message and as Retry-After. `freeAt` is a time of the database; `end`: what nothing was. */
export function notBefore(code: keyof typeof WHY_LATER, freeAt: Date, end: 'sent' | 'charged'): DarkspereError {
  const waitMs = freeAt.getTime() - now().getTime();
  return new DarkspereError(code, `${WHY_LATER[code]} Try again after ${freeAt.toISOString()}; nothing was ${end}.`, {
    facts: { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) },
  });
}
