// What an agent is to the rest of the product, and what one call to it takes and gives.
import type { ErrorCode } from '../errors.ts';

export const PROTOCOLS = ['envelope', 'openai'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type AgentStatus = 'registered' | 'active' | 'degraded' | 'disabled' | 'deactivated';

/** One row of the registry as routing and calling need it; secrets are decrypted. */
export type Agent = {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly protocol: Protocol;
  readonly endpointUrl: string;
  readonly capabilities: readonly string[];
  readonly status: AgentStatus;
  /** 0–100. */
  readonly healthScore: number;
  readonly maxConcurrentSessions: number;
  readonly activeSessions: number;
  /** Smoothed time to answer, milliseconds. */
  readonly responseMs: number;
  readonly consecutiveFailures: number;
  /** Not to be tried before this time unless nobody else is left. */
  readonly coolingUntil: Date | null;
  /** Standard Webhooks secret (`whsec_…`), protocol `envelope`. */
  readonly signingSecret: string;
  /** Bearer credential for the endpoint, if it wants one (protocol `openai`). */
  readonly credential: string | null;
  /** Protocol options: `model`, `instructions`, `max_tokens_field` … */
  readonly metadata: Readonly<Record<string, unknown>>;
};

export type HistoryEntry = {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly timestamp: Date;
};

export type AgentCall = {
  readonly agent: Agent;
  /** Id of the question: stable over attempts, agents and crashes, so that an agent can recognise a repeat. */
  readonly messageId: string;
  readonly conversationId: string;
  readonly sessionId: string;
  readonly channel: string;
  readonly text: string;
  readonly media: readonly { url: string; contentType: string }[];
  /** Oldest first, without the text itself. */
  readonly history: readonly HistoryEntry[];
  readonly replyBudget: { readonly maxCharacters: number; readonly maxSegments: number };
  readonly deadlines: Deadlines;
  readonly signal: AbortSignal;
  /** An operator asks once more to see what would be said: the answer goes to nobody. */
  readonly isReplay?: boolean;
};

export type Deadlines = { readonly connectMs: number; readonly firstByteMs: number; readonly totalMs: number };

/** What happened on the wire, kept in `exchanges`. No secret and no header gets in here. */
export type AgentExchange = {
  readonly target: string;
  readonly status: number | null;
  readonly request: string;
  /** First 2 KiB of the answer. */
  readonly response: string;
  readonly startedAt: Date;
  readonly durationMs: number;
};

export type AgentOutcome =
  | {
      readonly kind: 'reply';
      readonly text: string;
      readonly mediaUrls: readonly string[];
      readonly endSession: boolean;
    }
  /** 202: the agent will post its reply later. */
  | { readonly kind: 'deferred' }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly reason: string;
      /** `same`: this agent may be tried again; `other`: go to another agent; `never`: stop the turn. */
      readonly retry: 'same' | 'other' | 'never';
      /** From Retry-After, clamped. */
      readonly afterMs: number | null;
    };

export type AgentResult = { readonly outcome: AgentOutcome; readonly exchange: AgentExchange };
