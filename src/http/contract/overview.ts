// Is it well?
import { z } from 'zod';
import { Agent } from './agents.ts';
import { time } from './basics.ts';

export const OverviewQuery = z.strictObject({ window: z.enum(['1h', '24h']).default('1h') });
const percentiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable();
const waiting = z.object({
  texts: z.number().int(),
  conversations: z.number().int(),
  oldest_ms: z.number().nullable(),
});
export const Overview = z.object({
  at: time,
  window: z.enum(['1h', '24h']),
  texts_in: z.number().int(),
  texts_out: z.number().int(),
  /** Of the turns that ended. */
  turns: z.object({ replied: z.number().int(), fell_back: z.number().int(), other: z.number().int() }),
  /** Replied over replied and fallen back, 0 to 1; null when there was none. */
  answered_share: z.number().nullable(),
  /** From the first text of a burst to the commit of its answer. */
  time_to_answer_ms: percentiles,
  /** What was sent, by what became of it; `under_way`: the carrier has it and has not said yet whether it arrived. */
  parts: z.object({
    delivered: z.number().int(),
    failed: z.number().int(),
    under_way: z.number().int(),
    unknown: z.number().int(),
  }),
  /**
   * What waits for an agent. Apart from it: `deferred`, turns whose agent said 202 and has not answered yet, and `with_operator`, what
   * waits in conversations that operators answer by hand.
   */
  waiting: waiting.extend({ deferred: z.number().int(), with_operator: waiting }),
  series: z.object({
    step_ms: z.number().int(),
    points: z.array(
      z.object({
        at: time,
        texts_in: z.number().int(),
        texts_out: z.number().int(),
        fell_back: z.number().int(),
        failed: z.number().int(),
        p50_ms: z.number().nullable(),
        p95_ms: z.number().nullable(),
      }),
    ),
  }),
  agents: z.array(Agent),
});

export type Overview = z.infer<typeof Overview>;
