// What an agent's author writes and reads: a question in, an answer out, whatever the protocol it came by.

export type Protocol = 'envelope' | 'mcp' | 'a2a';

export type HistoryEntry = {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  /** Null where the protocol does not say. */
  readonly timestamp: Date | null;
};

export type Media = { readonly url: string; readonly contentType: string | null };

export type ChatRequest = {
  /** One text, or several of a burst with a line break between them. */
  readonly message: string;
  /** Names the question: asked again after a failure it has the same id. Null where the protocol has none. */
  readonly messageId: string | null;
  /** One stretch of conversation; what an agent remembers belongs to it. */
  readonly sessionId: string;
  /** Where texts of the agent's own go (`agent.post`); null over MCP and A2A, which do not say. */
  readonly conversationId: string | null;
  /** Earlier messages of the session, oldest first; the question is not among them. */
  readonly history: readonly HistoryEntry[];
  readonly media: readonly Media[];
  /** `sms`, `whatsapp` …; null where the protocol does not say. */
  readonly channel: string | null;
  /** What is longer is kept back until the person asks for more. */
  readonly replyBudget: { readonly maxCharacters: number; readonly maxSegments: number };
  /** An answer after it is dropped; `signal` is aborted then. */
  readonly deadline: Date | null;
  /** An operator wants to see the answer again: it reaches nobody, so nothing should be done in the world. */
  readonly isReplay: boolean;
  readonly protocol: Protocol;
  /** Aborted when nobody waits for the answer any more: cancelled, disconnected, too late. */
  readonly signal: AbortSignal;
};

export type Reply = {
  readonly message: string;
  /** Addresses of pictures, https; at most ten. */
  readonly media?: readonly string[];
  /** The next text begins a new session, with an empty history. Envelope only. */
  readonly endSession?: boolean;
};

/** Text in pieces is sent as one text; who listens over A2A or MCP hears the pieces as they come. */
export type ChatResult = string | Reply | Later | AsyncIterable<string>;
export type ChatHandler = (request: ChatRequest) => ChatResult | Promise<ChatResult>;

/** An answer that comes too late for the call it belongs to; see `later`. */
export class Later {
  readonly answer: Promise<string | Reply>;
  constructor(answer: Promise<string | Reply>) {
    this.answer = answer;
    // Whoever runs it looks at the failure; until then it must not end the process.
    answer.catch(() => undefined);
  }
}

/**
 * Answers later: over the envelope the call is answered 202 now, and the answer is posted when it is there, within ten
 * minutes. Over MCP and A2A, which know no such thing, the call stays open.
 */
export function later(answer: Promise<string | Reply>): Later {
  return new Later(answer);
}

/** A failure that Darkspere is told about. Its words are for operators; the person texting never sees them. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  /** A short name for the failure, `out_of_stock`. */
  readonly code: string;
  /** Ask this agent once more; else another one is asked. */
  readonly retryable: boolean;

  constructor(code: string, message: string, options: { readonly retryable?: boolean; readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** What Darkspere takes at most in one answer. */
const MAX_CHARACTERS = 20_000;
const MAX_MEDIA = 10;

/** The answer, checked. Throws AgentError naming what is wrong with it. */
export function settleReply(value: unknown): Reply {
  const reply = typeof value === 'string' ? { message: value } : (value as Partial<Reply> | null | undefined);
  const message = reply?.message;
  if (typeof message !== 'string') {
    throw new AgentError('bad_reply', 'chat must give a text, or an object with one as its message.');
  }
  const media = reply?.media ?? [];
  if (!Array.isArray(media) || media.length > MAX_MEDIA || !media.every(isHttps)) {
    throw new AgentError('bad_reply', `media must be a list of at most ${MAX_MEDIA} https addresses.`);
  }
  if (message.trim() === '') throw new AgentError('bad_reply', 'The message is empty.');
  if (message.length > MAX_CHARACTERS) {
    throw new AgentError('bad_reply', `The message has ${message.length} characters; ${MAX_CHARACTERS} are taken.`);
  }
  return {
    message,
    ...(media.length > 0 ? { media } : {}),
    ...(reply?.endSession === true ? { endSession: true } : {}),
  };
}

function isHttps(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && new URL(value).protocol === 'https:';
}
