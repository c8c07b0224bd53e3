// The phone of the simulator.
import { z } from 'zod';
import { time } from './basics.ts';
import { Direction } from './conversations.ts';

export const SegmentsBody = z.strictObject({
  text: z.string().max(10_000),
  /** Pictures that go along: then it is one MMS, whatever its length. */
  media: z.number().int().min(0).max(10).default(0),
  /** Whose words: a person's leave as they are typed, an operator's with quotes, dashes and the like put into GSM-7. */
  by: z.enum(['person', 'operator']).default('person'),
});
export const Segments = z.object({
  encoding: z.enum(['GSM-7', 'UCS-2']),
  characters: z.number().int(),
  segments: z.number().int(),
  /** Messages of the carrier that they make: one, or more of an operator's text whose characters had to be spelled out. */
  parts: z.number().int(),
  /** Units left in the last segment. */
  left: z.number().int(),
  /** Characters that force UCS-2, each once. */
  forced_by: z.array(z.string()),
  /** What the carrier charges for it, in micro-dollars. */
  cost_micro_usd: z.number().int(),
});

/** How our webhook took a text of the person. */
export const PhoneWebhook = z.object({
  /** Deliveries that were answered as they should be: two of a text that came twice. */
  taken: z.number().int(),
  /** What the last delivery was answered: 0 when nothing answered, null before it ended. */
  http_status: z.number().int().nullable(),
});

export const PhoneMessage = z.object({
  sid: z.string(),
  at: time,
  direction: Direction,
  from: z.string(),
  to: z.string(),
  body: z.string(),
  media_urls: z.array(z.string()),
  segments: z.number().int(),
  status: z.string(),
  error_code: z.number().int().nullable(),
  /** What the code means; null where there is none, or nobody knows. */
  error_reason: z.string().nullable(),
  /** Null for texts of ours. */
  webhook: PhoneWebhook.nullable(),
});
export const PhoneMessages = z.object({ data: z.array(PhoneMessage) });
/** One fault or several, each happening to this text or to what answers it: `{ "fail_with": { "code": 30007 } }`. */
export const PhoneTextFault = z.record(z.string(), z.unknown());
export const PhoneTextBody = z.strictObject({
  from: z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be a number like +15551230001'),
  to: z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be a number like +15550001111'),
  text: z.string().max(1600).default(''),
  media_urls: z
    .array(z.url({ protocol: /^https?$/ }))
    .max(10)
    .default([]),
  fault: PhoneTextFault.optional(),
});
export const PhoneText = z.object({ sid: z.string() });
export const Fault = z.object({
  name: z.string(),
  /** What one occurrence is. */
  counts: z.string(),
  /** How many more times; null while it happens by chance or for a time. */
  left: z.number().int().nullable(),
});
export const Faults = z.object({ data: z.array(Fault) });
export const SimulatorState = z.object({
  /** Ours, which can be texted. */
  numbers: z.array(z.string()),
  /** Those that are still to happen. */
  faults: z.array(Fault),
  /** To be sent as `media_urls`, without the internet; `preview_url` is for a page of ours. */
  pictures: z.array(z.object({ title: z.string(), url: z.string(), preview_url: z.string() })),
});

export type SegmentsBody = z.infer<typeof SegmentsBody>;
export type Segments = z.infer<typeof Segments>;
export type PhoneMessage = z.infer<typeof PhoneMessage>;
export type SimulatorState = z.infer<typeof SimulatorState>;
export type Fault = z.infer<typeof Fault>;
