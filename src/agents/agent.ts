// What an agent is to the rest of the product, and what one call to it takes and gives.
import type { ErrorCode } from '../errors.ts';
import type { HealthState } from './health.ts';

const PROTOCOLS = ['envelope', 'openai', 'mcp', 'a2a', 'webhook'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type AgentStatus = 'registered' | 'active' | 'degraded' | 'disabled' | 'deactivated';

/** Closed: called as it likes. Open: by a trial only, which is under way when it is half-open. */
export type Circuit = 'closed' | 'open' | 'half_open';

/** One row of the registry as routing and calling need it; secrets are decrypted. */
export type Agent = HealthState & {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly protocol: Protocol;
  readonly endpointUrl: string;
  readonly capabilities: readonly string[];
  /** Calls at once, over all processes. */
  readonly maxConcurrentSessions: number;
  /** Calls under way: this process's as they are, those of others as of a second ago. */
  readonly callsInProgress: number;
  /** Smoothed time to answer, milliseconds. */
  readonly responseMs: number;
  readonly p99Ms: number | null;
  readonly lastFailureAt: Date | null;
  /** Whose conversations it is asked for; null or absent: everybody's. */
  readonly accountId?: string | null;
  /** It gets no new sessions while others can take them; those that it has go on. */
  readonly isDraining?: boolean;
  /** Standard Webhooks secret (`whsec_…`), protocol `envelope`. */
  readonly signingSecret: string;
  /** The one before, while it still holds: calls are signed with both. */
  readonly oldSigningSecret?: string | null;
  /** Those of further copies behind its address: whichever copy a call reaches knows one of them. */
  readonly copySecrets?: readonly string[];
  /** Bearer credential for the endpoint, if it wants one (every protocol but `envelope`). */
  readonly credential: string | null;
  /** Settings of the protocol (protocols/settings.ts), and whatever else was registered. */
  readonly metadata: Readonly<Record<string, unknown>>;
};

export type HistoryEntry = {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  readonly timestamp: Date;
};

/** Whom to reach, how long that may take, and what ends it: what calls and meetings have in common. */
export type Approach = {
  readonly agent: Agent;
  readonly deadlines: Deadlines;
  readonly signal: AbortSignal;
};

export type AgentCall = Approach & {
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
  /** Where this agent's own memory of the session is, when it answered in it before. */
  readonly thread: Thread | null;
  /** The agent says that it is at work and will take longer. */
  onProgress(): void;
  /** A rehearsal (replay, chat, staged probe): the answer goes to nobody. */
  readonly isReplay?: boolean;
};

/** What an agent calls the thread of a session: a conversation, context, task or response id of its own. */
export type Handle = Readonly<Record<string, string>>;

/** A handle as it was kept with the session, in the commit of the turn that it came with. */
export type Thread = {
  readonly agentId: string;
  readonly handle: Handle;
  /** A turn has ended since without an answer, or with another agent's: it is not in this agent's memory. */
  readonly missed: 'unanswered' | 'answered elsewhere' | null;
  /** When it was kept; what the history has of a later time is not in the agent's memory either. */
  readonly at: Date;
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
      /** Kept with the session and given back with its next question; absent: nothing to keep. */
      readonly handle?: Handle;
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

/** The signing secrets that hold, the newest first. */
export function signingSecretsOf({
  signingSecret,
  oldSigningSecret = null,
  copySecrets = [],
}: Agent): readonly string[] {
  const older = oldSigningSecret === null ? copySecrets : [oldSigningSecret, ...copySecrets];
  return [...new Set([signingSecret, ...older])];
}
