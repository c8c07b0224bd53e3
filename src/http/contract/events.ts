// What happens, as it happens (server-sent events), and the shape of errors.
import { z } from 'zod';
import { AgentProbe } from './agents.ts';
import { id, time } from './basics.ts';
import { PhoneMessage } from './phone.ts';

/** `event: change`. A hint: what it is about is read anew. */
export const ChangeEvent = z.object({
  conversation_id: id,
  what: z.enum(['text', 'turn', 'reply', 'send', 'status', 'takeover', 'replay']),
});
/** `event: agent`. A hint too: an agent was registered, changed, or is in another state; null: any of them may be. */
export const AgentEvent = z.object({ agent_id: id.nullable() });
/** `event: phone`: something happened at the simulated carrier. */
export const PhoneEvent = z.object({ type: z.enum(['text-in', 'text-out', 'status']), message: PhoneMessage });
/** `event: beat`, every five seconds; `event: reset`: something may have been missed, read everything anew. */
export const BeatEvent = z.object({ at: time });

export const ErrorBody = z.object({
  error: z.object({
    type: z.string(),
    code: z.string(),
    message: z.string(),
    param: z.string().optional(),
    doc_url: z.string(),
    trace_id: z.string(),
    /** With `probe_failed`: all that the probe found. */
    probe: AgentProbe.optional(),
  }),
});

export type ChangeEvent = z.infer<typeof ChangeEvent>;
export type AgentEvent = z.infer<typeof AgentEvent>;
export type PhoneEvent = z.infer<typeof PhoneEvent>;
export type BeatEvent = z.infer<typeof BeatEvent>;
export type ErrorBody = z.infer<typeof ErrorBody>;
