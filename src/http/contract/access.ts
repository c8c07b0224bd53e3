// Who is asking, and where they are.
import { z } from 'zod';
import { id, time } from './basics.ts';

export const LoginBody = z.strictObject({ token: z.string().min(20).max(200) });

export const Session = z.object({
  /** How the caller proved who they are; requests with a key need no CSRF token. */
  kind: z.enum(['operator', 'api_key']),
  name: z.string(),
  expires_at: time.nullable(),
  /** To be sent as `x-csrf-token` with everything that changes something; null with a key. */
  csrf_token: z.string().nullable(),
});

export const Instance = z.object({
  version: z.string(),
  /** With the simulator the console can be a phone; with a real carrier it only shows. */
  carrier: z.enum(['simulator', 'twilio']),
  public_url: z.string(),
  numbers: z.array(z.object({ address: z.string(), is_active: z.boolean(), agent_type: z.string() })),
});

export const AgentRef = z.object({ id, name: z.string() });

export type Session = z.infer<typeof Session>;
export type Instance = z.infer<typeof Instance>;
export type AgentRef = z.infer<typeof AgentRef>;
