// What the MCP adapter takes and gives.
import { z } from 'zod';
import { AgentRef } from './access.ts';
import { givenId, id, storableText, time } from './basics.ts';

const MAX_MESSAGE = 20_000;
const MAX_HISTORY = 100;

const words = storableText(MAX_MESSAGE)
  .min(1)
  .refine((text) => text.trim() !== '', 'must not be blank');

export const AdapterQuestion = z.strictObject({
  /** Yours to choose; absent: a new one, given back with the answer. */
  session_id: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 visible ASCII characters')
    .optional(),
  /** This agent and no other; absent: the one that answered in the session while it is healthy, else the best there is. */
  agent_id: givenId.optional(),
  /** Of which type an agent has to be, where none is named. */
  agent_type: z.string().min(1).max(50).default('chat'),
  message: words,
  /** Oldest first, without the message itself. Agents with a memory of their own know what they were told in this session. */
  conversation_history: z
    .array(z.strictObject({ role: z.enum(['user', 'assistant']), content: words, timestamp: time.optional() }))
    .max(MAX_HISTORY)
    .default([]),
});
export const AdapterAnswer = z.object({
  session_id: z.string(),
  agent_id: id,
  agent_name: z.string(),
  /** What the agent said, as it said it. */
  message: z.string(),
  media: z.array(z.string()),
  /** The agent says that the session is over. */
  end_session: z.boolean(),
  timing: z.object({
    /** From the question to the answer. */
    duration_ms: z.number(),
    /** Of that, the call that was answered. */
    agent_ms: z.number(),
    /** Calls that were made; more than one when an agent failed. */
    attempts: z.number().int(),
  }),
});

export const AdapterAsked = z.strictObject({ agent_id: givenId });
export const AdapterCapabilities = z.object({
  agent_id: id,
  agent_name: z.string(),
  protocol: z.string(),
  /** What it was registered with, and is chosen by. */
  capabilities: z.array(z.string()),
  /** What it names itself when it is asked: capabilities, tools, skills or models. Null: it has no answer to that, or its protocol no such question. */
  offers: z.array(z.string()).nullable(),
  version: z.string().nullable(),
  limits: z.record(z.string(), z.unknown()),
  response_ms: z.number().nullable(),
});

export const AdapterCircuit = z.enum(['closed', 'open', 'half_open']).meta({
  description:
    'open: after five failures in a row it is asked by one trial at a time. half_open: that trial is under way. closed: asked as ever.',
});
export const AdapterHealth = z.object({
  agent_id: id,
  agent_name: z.string(),
  protocol: z.string(),
  /** Of the meeting just now. `unknown`: it answers, but does not know the question how it is. */
  status: z.enum(['healthy', 'unhealthy', 'unknown']),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  response_ms: z.number().nullable(),
  /** 0 to 1, as the agent says it. */
  load: z.number().nullable(),
  /** What real questions say of it. */
  health_score: z.number().int(),
  circuit: AdapterCircuit,
});

export const AdapterAgent = AgentRef.extend({
  protocol: z.string(),
  status: z.string(),
  health_score: z.number().int(),
  circuit: AdapterCircuit,
  cooling_until: time.nullable(),
  consecutive_failures: z.number().int(),
  response_ms: z.number(),
  /** Asked through this process since it started; calls that the client or Darkspere cut off are neither answered nor failed. */
  calls: z.number().int(),
  answered: z.number().int(),
  failed: z.number().int(),
  last_error: z.string().nullable(),
});
export const AdapterStatus = z.object({
  state: z.enum(['ready', 'stopping']),
  started_at: time,
  /** Questions being asked by this process. */
  under_way: z.number().int(),
  /** Sessions of the last day, of all processes. */
  sessions: z.number().int(),
  agents: z.array(AdapterAgent),
});
